package uringnet_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// TestCloseEndsAll: reads and writes that wait, and those in line behind them.
func TestCloseEndsAll(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		inWorlds(t, func(t *testing.T, w world) {
			for range 10 {
				a, _ := pair(t, network)
				var all []<-chan struct{}
				for range 2 {
					all = append(all, w.start(func(context.Context) {
						_, err := a.Read(make([]byte, 1))
						require.ErrorIs(t, err, net.ErrClosed)
					}), w.start(func(context.Context) {
						_, err := a.Write(make([]byte, 16<<20))
						require.ErrorIs(t, err, net.ErrClosed)
					}))
				}
				w.do(func(context.Context) { require.NoError(t, a.Close()) })
				for _, done := range all {
					<-done
				}
				_, err := a.Read(nil)
				require.ErrorIs(t, err, net.ErrClosed)
				require.ErrorIs(t, a.SetDeadline(past), net.ErrClosed)
				require.ErrorIs(t, a.SetNoDelay(true), net.ErrClosed)
				require.ErrorIs(t, a.CloseWrite(), net.ErrClosed)
			}
		})
	}
}

func TestCloseEndsAccept(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		inWorlds(t, func(t *testing.T, w world) {
			for range 10 {
				l := listen(t, network)
				var all []<-chan struct{}
				for range 2 {
					all = append(all, w.start(func(context.Context) {
						_, err := l.Accept()
						require.ErrorIs(t, err, net.ErrClosed)
					}))
				}
				w.do(func(context.Context) { require.NoError(t, l.Close()) })
				for _, done := range all {
					<-done
				}
			}
		})
	}
}

// TestLoopClosesUnderConn: the task's operations end with the loop, and the connection
// works elsewhere.
func TestLoopClosesUnderConn(t *testing.T) {
	a, b := pair(t, "tcp")
	l := newLoop(t)
	w := world{t, l}
	entered := make(chan struct{})
	done := w.start(func(context.Context) {
		close(entered)
		_, err := a.Read(make([]byte, 1))
		require.ErrorIs(t, err, context.Canceled)
	})
	<-entered
	require.NoError(t, l.Close(bg))
	<-done
	exchange(t, world{t, nil}, b, a)
}

// exchange sends a byte from one end to the other.
func exchange(t *testing.T, w world, from, to *uringnet.Conn) {
	w.do(func(context.Context) {
		_, err := from.Write([]byte("x"))
		require.NoError(t, err)
		n, err := to.Read(make([]byte, 2))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}
