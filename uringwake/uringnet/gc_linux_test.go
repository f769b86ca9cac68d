package uringnet_test

import (
	"context"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

// collected runs the garbage collector until no more descriptors are open than before.
func collected(t *testing.T, before int) {
	testkit.SpinUntil(func() bool { runtime.GC(); return descriptors(t) <= before })
}

// TestUnreachableConnIsClosed, though a poll stays armed for it, and a deadline is set.
func TestUnreachableConnIsClosed(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		warm(t)
		before := descriptors(t)
		w.do(func(ctx context.Context) {
			for range 5 {
				c, err := uringnet.Dial(ctx, "tcp", l.Addr().String())
				require.NoError(t, err)
				require.NoError(t, c.SetDeadline(time.Now().Add(time.Millisecond)))
				_, err = c.Read(make([]byte, 1))
				requireTimeout(t, err)
				require.NoError(t, c.SetDeadline(time.Now().Add(time.Hour)))
			}
		})
		for range 5 {
			peer, err := l.Accept()
			require.NoError(t, err)
			defer peer.Close()
		}
		collected(t, before+5)
	})
}

func TestUnreachableListenerIsClosed(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		warm(t)
		before := descriptors(t)
		w.do(func(ctx context.Context) {
			l, err := uringnet.Listen(ctx, "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			require.NoError(t, l.SetDeadline(time.Now().Add(time.Millisecond)))
			_, err = l.Accept()
			requireTimeout(t, err)
		})
		collected(t, before)
	})
}

func TestUnreachablePacketConnIsClosed(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		warm(t)
		before := descriptors(t)
		w.do(func(ctx context.Context) {
			c, err := uringnet.ListenPacket(ctx, "udp", "127.0.0.1:0")
			require.NoError(t, err)
			require.NoError(t, c.SetDeadline(time.Now().Add(time.Millisecond)))
			_, _, err = c.ReadFrom(make([]byte, 1))
			requireTimeout(t, err)
			_, err = uringnet.Dial(ctx, "udp", c.LocalAddr().String())
			require.NoError(t, err)
		})
		collected(t, before)
	})
}

// TestReadKeepsConn: a Conn that only a read refers to, or what SyscallConn has returned,
// stays open.
func TestReadKeepsConn(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		ready := make(chan struct{})
		done := w.start(func(ctx context.Context) {
			c, err := uringnet.Dial(ctx, "tcp", l.Addr().String())
			require.NoError(t, err)
			raw, err := c.SyscallConn()
			require.NoError(t, err)
			close(ready)
			_, err = c.Read(make([]byte, 1))
			require.NoError(t, err)
			runtime.GC()
			require.NoError(t, raw.Control(func(uintptr) {}))
		})
		peer, err := l.Accept()
		require.NoError(t, err)
		<-ready
		for range 5 {
			runtime.GC()
		}
		_, err = peer.Write([]byte("x"))
		require.NoError(t, err)
		<-done
		require.NoError(t, peer.Close())
	})
}
