package uringwake

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A socket whose close waits for the other end is not closed on the loop's thread, whoever
// set the option.
func TestCloseOfALingeringSocketLeavesTheThread(t *testing.T) {
	l := startedLoop(t)
	withoutPreemption(t, l)
	for name, shut := range map[string]func(ctx context.Context, fd int){
		"Close": func(ctx context.Context, fd int) { Close(ctx, fd) },
		"a result that nobody takes": func(_ context.Context, fd int) {
			o := new(op)
			o.sqe.PrepAccept(-1, nil, nil, 0)
			o.complete(int32(fd), 0)
			o.recycle()
		},
		"an item that nobody takes": func(ctx context.Context, fd int) { acceptStream(ctx, -1).discard(int32(fd)) },
		"a duplicate that a call has": func(_ context.Context, fd int) {
			held := heldFile{fd: fd, duplicated: true}
			held.closeDuplicate()
		},
	} {
		t.Run(name, func(t *testing.T) {
			fd, end := lingering(t)
			rescue := time.AfterFunc(time.Minute, end)
			done := make(chan struct{})
			require.NoError(t, l.Go(background, func(ctx context.Context) { defer close(done); shut(ctx, fd) }))
			for range 2 { // with the first turn the entry goes to the kernel
				OnLoop(t, l, func() {})
			}
			require.True(t, rescue.Stop(), "the thread waited")
			end()
			<-done
		})
	}
}

// withoutPreemption blocks the signal of Go's scheduler on l's thread, which would end the
// wait of a close.
func withoutPreemption(t *testing.T, l *Loop) {
	var old, urgent unix.Sigset_t
	urgent.Val[0] = 1 << (unix.SIGURG - 1)
	mask := func(set *unix.Sigset_t, how int, old *unix.Sigset_t) {
		OnLoop(t, l, func() { require.NoError(t, unix.PthreadSigmask(how, set, old)) })
	}
	mask(&urgent, unix.SIG_BLOCK, &old)
	t.Cleanup(func() { mask(&old, unix.SIG_SETMASK, nil) })
}

// lingering returns a TCP socket whose close waits until end is called.
func lingering(t *testing.T) (fd int, end func()) {
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) { // which peer inherits
		bad := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		return errors.Join(bad, err)
	}}
	listener, err := small.Listen(background, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: listener.Addr().(*net.TCPAddr).Port}
	require.NoError(t, unix.Connect(fd, to))
	peer, err := listener.Accept()
	require.NoError(t, err)
	for err == nil { // until there are bytes that the other end has no room for
		_, err = unix.SendmsgN(fd, make([]byte, 1<<16), nil, nil, unix.MSG_DONTWAIT)
	}
	require.ErrorIs(t, err, unix.EAGAIN)
	hour := unix.Linger{Onoff: 1, Linger: 3600}
	require.NoError(t, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &hour))
	return fd, sync.OnceFunc(func() { peer.Close() })
}
