package programs_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"golang.org/x/net/nettest"
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
	})
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
