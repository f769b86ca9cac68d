package programs_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"
)

func TestNettest(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				l := w.newListener(t, network)
				nettest.TestConn(t, func() (client, server net.Conn, stop func(), err error) {
					return w.pipe(l)
				})
			})
		}
		t.Run("pair", func(t *testing.T) { nettest.TestConn(t, w.socketPair) })
	})
}

// socketPair is a nettest.MakePipe for socketpair(2).
func (w world) socketPair() (a, b net.Conn, stop func(), err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		defer f.Close()
		if ends[i], err = w.adopt(f); err != nil {
			return nil, nil, nil, err
		}
	}
	return ends[0], ends[1], func() { ends[0].Close(); ends[1].Close() }, nil
}

// pipe is a nettest.MakePipe for the connections of a listener.
func (w world) pipe(l net.Listener) (client, server net.Conn, stop func(), err error) {
	client, err1 := w.dialer(l)(context.Background(), "", "")
	server, err2 := l.Accept()
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, nil, err
	}
	return client, server, func() { client.Close(); server.Close() }, nil
}
