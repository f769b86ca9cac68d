package uringnet_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

var past = time.Unix(1, 0)

func requireTimeout(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	op, ok := err.(*net.OpError)
	require.True(t, ok)
	require.True(t, op.Timeout())
	require.True(t, op.Temporary())
}

// TestPastDeadline fails reads and writes, even if there is data, and then there is none
// lost.
func TestPastDeadline(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		w.do(func(context.Context) {
			_, err := b.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, a.SetDeadline(past))
			p := make([]byte, 2)
			for range 3 {
				n, err := a.Read(p)
				requireTimeout(t, err)
				require.Zero(t, n)
				n, err = a.Write(p)
				requireTimeout(t, err)
				require.Zero(t, n)
			}
			require.NoError(t, a.SetDeadline(time.Time{}))
			n, err := a.Read(p)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			_, err = a.Write(p)
			require.NoError(t, err)
		})
	})
}

// TestDeadlineEndsRead ends a read that waits: by a timer, and by a call.
func TestDeadlineEndsRead(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		p := make([]byte, 1)
		w.do(func(context.Context) {
			for range 3 {
				require.NoError(t, a.SetReadDeadline(time.Now().Add(time.Millisecond)))
				_, err := a.Read(p)
				requireTimeout(t, err)
			}
			require.NoError(t, a.SetReadDeadline(time.Time{}))
			_, err := b.Write([]byte("x"))
			require.NoError(t, err)
			_, err = a.Read(p)
			require.NoError(t, err)
		})
		for range 10 {
			done := w.start(func(context.Context) {
				_, err := a.Read(p)
				requireTimeout(t, err)
			})
			require.NoError(t, a.SetReadDeadline(past))
			<-done
			require.NoError(t, a.SetReadDeadline(time.Time{}))
		}
	})
}

// TestDeadlineMoves: a read goes on if the deadline is later now.
func TestDeadlineMoves(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		require.NoError(t, a.SetReadDeadline(time.Now().Add(time.Hour)))
		done := w.start(func(context.Context) {
			_, err := a.Read(make([]byte, 1))
			require.NoError(t, err)
		})
		for i := range 100 {
			require.NoError(t, a.SetReadDeadline(time.Now().Add(time.Duration(1+i%2)*time.Hour)))
		}
		_, err := b.Write([]byte("x"))
		require.NoError(t, err)
		<-done
	})
}

// TestWriteDeadline returns what was written until the deadline, which is set when
// something has arrived.
func TestWriteDeadline(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		inWorlds(t, func(t *testing.T, w world) {
			a, b := pair(t, network)
			data := make([]byte, 64<<20)
			go func() {
				b.Read(make([]byte, 1))
				a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			}()
			w.do(func(context.Context) {
				n, err := a.Write(data)
				requireTimeout(t, err)
				require.Positive(t, n)
				require.Less(t, n, len(data))
				require.NoError(t, a.Close())
				got := 1
				for {
					m, err := b.Read(data)
					got += m
					if err != nil {
						break
					}
				}
				require.Equal(t, n, got)
			})
		})
	}
}

func TestAcceptDeadline(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		inWorlds(t, func(t *testing.T, w world) {
			l := listen(t, network)
			w.do(func(ctx context.Context) {
				for range 2 {
					require.NoError(t, l.SetDeadline(time.Now().Add(time.Millisecond)))
					_, err := l.Accept()
					requireTimeout(t, err)
					require.NoError(t, l.SetDeadline(past))
					_, err = l.Accept()
					requireTimeout(t, err)
				}
				require.NoError(t, l.SetDeadline(time.Time{}))
			})
			done := w.start(func(context.Context) {
				c, err := l.Accept()
				require.NoError(t, err)
				require.NoError(t, c.Close())
			})
			c, err := net.Dial(network, l.Addr().String())
			require.NoError(t, err)
			<-done
			c.Close()
		})
	}
}

// TestContextEndsRead: the connection works afterwards.
func TestContextEndsRead(t *testing.T) {
	cause := errors.New("the cause")
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		for range 10 {
			stop := make(chan context.CancelCauseFunc, 1)
			done := w.start(func(ctx context.Context) {
				ctx, cancel := context.WithCancelCause(ctx)
				stop <- cancel
				n, err := a.ReadContext(ctx, make([]byte, 1))
				require.Zero(t, n)
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, cause)
				require.IsType(t, (*net.OpError)(nil), err)
			})
			(<-stop)(cause)
			<-done
		}
		w.do(func(ctx context.Context) {
			_, err := b.Write([]byte("x"))
			require.NoError(t, err)
			_, err = a.Read(make([]byte, 1))
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			n, err := a.WriteContext(ctx, make([]byte, 64<<20))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.True(t, err.(*net.OpError).Timeout())
			require.Less(t, n, 64<<20)
		})
	})
}

// TestEmptyRead returns at once, whatever the deadline, until the Conn is closed.
func TestEmptyRead(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, _ := pair(t, "tcp")
		w.do(func(context.Context) {
			require.NoError(t, a.SetDeadline(time.Unix(1, 0)))
			n, err := a.Read(nil)
			require.Zero(t, n)
			require.NoError(t, err)
			require.NoError(t, a.Close())
			_, err = a.Read(nil)
			require.ErrorIs(t, err, net.ErrClosed)
		})
	})
}

// TestCauses: the cause of the end of a context may look like an error of the kernel.
func TestCauses(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		for _, cause := range []error{
			&ring.Error{Call: "other", Errno: unix.ECONNRESET}, unix.ECONNABORTED, errors.ErrUnsupported,
		} {
			a, _ := pair(t, "unix")
			l := listen(t, "unix")
			for _, call := range []func(ctx context.Context) error{
				func(ctx context.Context) error { _, err := l.AcceptContext(ctx); return err },
				func(ctx context.Context) error { _, err := a.ReadContext(ctx, make([]byte, 1)); return err },
				func(ctx context.Context) error { _, err := a.WriteContext(ctx, make([]byte, 16<<20)); return err },
				func(ctx context.Context) error {
					_, err := a.WritevContext(ctx, [][]byte{{1}, make([]byte, 1<<20)})
					return err
				},
			} {
				stop := make(chan context.CancelCauseFunc, 1)
				done := w.start(func(ctx context.Context) {
					ctx, cancel := context.WithCancelCause(ctx)
					stop <- cancel
					err := call(ctx)
					require.ErrorIs(t, err, context.Canceled)
					require.ErrorIs(t, err, cause)
				})
				end := <-stop
				w.do(func(context.Context) {}) // in a task, the call waits now
				end(cause)
				<-done
			}
		}
	})
}
