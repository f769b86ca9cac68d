package uringnet_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

type control = func(network, address string, c syscall.RawConn) error

// controlBy is a Control function that sets a socket option.
func controlBy(set func(fd int) error) control {
	return func(_, _ string, c syscall.RawConn) (err error) {
		bad := c.Control(func(fd uintptr) { err = set(int(fd)) })
		return errors.Join(bad, err)
	}
}

func linger(fd int) error {
	hour := unix.Linger{Onoff: 1, Linger: 3600}
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &hour)
}

// little has the sockets that a listener accepts receive little in advance.
var little = controlBy(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })

// lingering is a way to have a connection linger.
type lingering struct {
	dialer, listener control
	accepted         bool // the accepted end lingers
	set              func(c *uringnet.Conn) error
}

var lingerings = map[string]lingering{
	"SetLinger": {listener: little, set: func(c *uringnet.Conn) error { return c.SetLinger(3600) }},
	"SyscallConn": {listener: little, set: func(c *uringnet.Conn) error {
		raw, err := c.SyscallConn()
		return errors.Join(err, controlBy(linger)("", "", raw))
	}},
	"File": {listener: little, set: func(c *uringnet.Conn) error {
		f, err := c.File()
		return errors.Join(err, linger(int(f.Fd())), f.Close())
	}},
	"Control of the Dialer":   {listener: little, dialer: controlBy(linger)},
	"Control of the Listener": {dialer: little, listener: controlBy(linger), accepted: true},
}

// TestCloseThatLingersLeavesTheThread: Close in a task waits until the data is sent, and
// other tasks go on, whatever has set SO_LINGER.
func TestCloseThatLingersLeavesTheThread(t *testing.T) {
	l := newLoop(t)
	withoutPreemption(t, l)
	for name, way := range lingerings {
		t.Run(name, func(t *testing.T) {
			c, peer := way.connect(t)
			fd := fill(t, c)
			rescue := time.AfterFunc(time.Minute, func() { peer.Close() })
			done := world{t, l}.start(func(context.Context) { require.NoError(t, c.Close()) })
			testkit.SpinUntil(func() bool { return isClosed(fd) })
			onLoop(t, l, func() {})
			require.True(t, rescue.Stop(), "the thread waited")
			require.NoError(t, peer.Close())
			<-done
		})
	}
}

// isClosed reports whether fd is no descriptor any more: then close waits, or is done.
func isClosed(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == unix.EBADF
}

// connect returns a connection that lingers, and a peer that takes little.
func (way *lingering) connect(t *testing.T) (c, peer *uringnet.Conn) {
	config := uringnet.ListenConfig{Control: way.listener}
	listener, err := config.Listen(bg, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	d := uringnet.Dialer{Control: way.dialer}
	dialed, err := d.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	accepted, err := listener.Accept()
	require.NoError(t, err)
	c, peer = dialed.(*uringnet.Conn), accepted.(*uringnet.Conn)
	if way.accepted {
		c, peer = peer, c
	}
	if way.set != nil {
		require.NoError(t, way.set(c))
	}
	return c, peer
}

// fill has c have more to send than its peer takes. It returns the descriptor.
func fill(t *testing.T, c *uringnet.Conn) (fd int) {
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(n uintptr) {
		fd = int(n)
		for err == nil {
			_, err = unix.SendmsgN(fd, make([]byte, 1<<16), nil, nil, unix.MSG_DONTWAIT)
		}
	}))
	require.ErrorIs(t, err, unix.EAGAIN)
	return fd
}

// withoutPreemption blocks the signal of Go's scheduler on l's thread, which would end the
// wait of a close.
func withoutPreemption(t *testing.T, l *uringwake.Loop) {
	var old, urgent unix.Sigset_t
	urgent.Val[0] = 1 << (unix.SIGURG - 1)
	mask := func(set *unix.Sigset_t, how int, old *unix.Sigset_t) {
		onLoop(t, l, func() { require.NoError(t, unix.PthreadSigmask(how, set, old)) })
	}
	mask(&urgent, unix.SIG_BLOCK, &old)
	t.Cleanup(func() { mask(&old, unix.SIG_SETMASK, nil) })
}

// onLoop runs f on l's thread, and waits until it has run.
func onLoop(t *testing.T, l *uringwake.Loop, f func()) {
	done := make(chan struct{})
	require.NoError(t, l.Post(func() { defer close(done); f() }))
	<-done
}
