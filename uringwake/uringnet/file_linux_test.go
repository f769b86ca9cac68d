package uringnet_test

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// filePair returns the ends of a socket pair of that kind, as files.
func filePair(t *testing.T, kind int) (a, b *os.File) {
	p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	a, b = os.NewFile(uintptr(p[0]), "a"), os.NewFile(uintptr(p[1]), "b")
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestFileConn(t *testing.T) {
	for kind, network := range map[int]string{unix.SOCK_STREAM: "unix", unix.SOCK_SEQPACKET: "unixpacket"} {
		inWorlds(t, func(t *testing.T, w world) {
			f, g := filePair(t, kind)
			a, err := uringnet.FileConn(f)
			require.NoError(t, err)
			b, err := uringnet.FileConn(g)
			require.NoError(t, err)
			require.NoError(t, f.Close()) // the Conn has a descriptor of its own
			require.Equal(t, network, a.LocalAddr().Network())
			w.do(func(ctx context.Context) {
				_, err := a.Write([]byte("hello"))
				require.NoError(t, err)
				p := make([]byte, 16)
				n, err := b.Read(p)
				require.NoError(t, err)
				require.Equal(t, "hello", string(p[:n]))
				require.NoError(t, a.Close())
				require.NoError(t, b.Close())
			})
		})
	}
}

func TestFileListener(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		of := listen(t, "tcp")
		f, err := of.File()
		require.NoError(t, err)
		defer f.Close()
		l, err := uringnet.FileListener(f)
		require.NoError(t, err)
		require.Equal(t, of.Addr(), l.Addr())
		require.NoError(t, of.Close())
		w.do(func(ctx context.Context) {
			c, err := uringnet.Dial(ctx, "tcp", l.Addr().String())
			require.NoError(t, err)
			accepted, err := l.AcceptContext(ctx)
			require.NoError(t, err)
			require.Equal(t, c.LocalAddr().String(), accepted.RemoteAddr().String())
			require.NoError(t, c.Close())
			require.NoError(t, accepted.Close())
			require.NoError(t, l.Close())
		})
	})
}

// TestFileIsNoConnection: the errors are those of package net.
func TestFileIsNoConnection(t *testing.T) {
	skipWithoutRing(t)
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	_, want := net.FileConn(f)
	_, err = uringnet.FileConn(f)
	require.ErrorIs(t, err, unix.ENOTSOCK)
	require.Equal(t, want.Error(), err.Error())
	_, err = uringnet.FileListener(f)
	require.ErrorIs(t, err, unix.ENOTSOCK)
	g, _ := filePair(t, unix.SOCK_DGRAM)
	_, err = uringnet.FileConn(g)
	require.ErrorIs(t, err, unix.EPROTONOSUPPORT)
	require.NoError(t, g.Close())
	_, err = uringnet.FileConn(g)
	require.Error(t, err)
}
