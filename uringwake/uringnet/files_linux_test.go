package uringnet_test

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// withoutFiles has the process open no more files until f returns.
func withoutFiles(t *testing.T, f func(allow func())) {
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	allow := func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) }
	defer allow()
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}))
	f(allow)
}

// TestAcceptWaitsForFiles: while there are too many files, Accept waits, and that ends with
// its deadline, its context, Close, and when there are fewer files.
func TestAcceptWaitsForFiles(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		l := listen(t, "tcp")
		peer, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer peer.Close()
		withoutFiles(t, func(allow func()) {
			w.do(func(ctx context.Context) {
				require.NoError(t, l.SetDeadline(time.Now().Add(20*time.Millisecond)))
				_, err := l.Accept()
				requireTimeout(t, err)
				require.NoError(t, l.SetDeadline(time.Time{}))
				ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				_, err = l.AcceptContext(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
			done := w.start(func(ctx context.Context) {
				c, err := l.Accept()
				require.NoError(t, err)
				require.NoError(t, c.Close())
			})
			asleep(l, false)
			allow()
			<-done
		})
		peer, err = net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer peer.Close()
		withoutFiles(t, func(func()) {
			done := w.start(func(ctx context.Context) {
				_, err := l.Accept()
				require.ErrorIs(t, err, net.ErrClosed)
			})
			asleep(l, false)
			require.NoError(t, l.Close())
			<-done
		})
	})
}

// TestDialWithoutFiles fails as that of package net does.
func TestDialWithoutFiles(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		l := listen(t, "tcp")
		withoutFiles(t, func(func()) {
			w.do(func(ctx context.Context) {
				_, err := uringnet.Dial(ctx, "tcp", l.Addr().String())
				require.ErrorIs(t, err, syscall.EMFILE)
				require.True(t, err.(*net.OpError).Temporary())
			})
		})
	})
}

// TestPassDescriptor sends the descriptor of a pipe with a byte.
func TestPassDescriptor(t *testing.T) {
	for _, network := range []string{"unix", "unixpacket"} {
		inWorlds(t, func(t *testing.T, w world) {
			a, b := pair(t, network)
			r, p, err := os.Pipe()
			require.NoError(t, err)
			defer r.Close()
			done := w.start(func(context.Context) { // it waits
				data, oob := make([]byte, 10), make([]byte, 100)
				n, oobn, flags, _, err := b.ReadMsgUnix(data, oob)
				require.NoError(t, err)
				require.Equal(t, "x", string(data[:n]))
				require.Zero(t, flags&^unix.MSG_CMSG_CLOEXEC)
				messages, err := unix.ParseSocketControlMessage(oob[:oobn])
				require.NoError(t, err)
				fds, err := unix.ParseUnixRights(&messages[0])
				require.NoError(t, err)
				flags, err = unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0)
				require.NoError(t, err)
				require.NotZero(t, flags&unix.FD_CLOEXEC)
				f := os.NewFile(uintptr(fds[0]), "")
				_, err = f.Write([]byte("through"))
				require.NoError(t, err)
				require.NoError(t, f.Close())
				_, _, _, _, err = b.ReadMsgUnix(data, oob)
				require.IsType(t, (*net.OpError)(nil), err)
			})
			w.do(func(context.Context) {
				rights := unix.UnixRights(int(p.Fd()))
				n, oobn, err := a.WriteMsgUnix([]byte("x"), rights, nil)
				require.NoError(t, err)
				require.Equal(t, 1, n)
				require.Equal(t, len(rights), oobn)
				require.NoError(t, p.Close())
				_, _, err = a.WriteMsgUnix(nil, nil, &net.UnixAddr{Name: "x", Net: network})
				require.ErrorIs(t, err, net.ErrWriteToConnected)
				require.NoError(t, a.Close())
			})
			<-done
			text := make([]byte, 10)
			n, err := r.Read(text)
			require.NoError(t, err)
			require.Equal(t, "through", string(text[:n]))
		})
	}
}

func TestMessageOfTCP(t *testing.T) {
	skipWithoutRing(t)
	a, _ := pair(t, "tcp")
	_, _, _, _, err := a.ReadMsgUnix(nil, nil)
	require.ErrorIs(t, err, syscall.EINVAL)
	_, _, err = a.WriteMsgUnix(nil, nil, nil)
	require.ErrorIs(t, err, syscall.EINVAL)
}
