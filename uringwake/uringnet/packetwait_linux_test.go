package uringnet_test

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// A waitingCall is a call that waits for ever, unless something ends it.
type waitingCall func(ctx context.Context) error

// eachWait runs f for calls that wait: to receive, and to send to a Unix socket whose queue
// is full.
func eachWait(t *testing.T, f func(t *testing.T, ctx context.Context, c *uringnet.PacketConn, wait waitingCall)) {
	t.Run("receive", func(t *testing.T) {
		eachPacket(t, func(t *testing.T, ctx context.Context, a, _ *uringnet.PacketConn) {
			f(t, ctx, a, func(ctx context.Context) error {
				n, from, err := a.ReadFromContext(ctx, make([]byte, 10))
				require.Zero(t, n)
				require.Nil(t, from)
				return err
			})
		})
	})
	t.Run("send", func(t *testing.T) {
		packetWorlds(t, func(t *testing.T, ctx context.Context) {
			a, b := listenPacket(t, ctx, "unixgram"), listenPacket(t, ctx, "unixgram")
			fillQueue(t, a, b)
			f(t, ctx, a, func(ctx context.Context) error {
				n, err := a.WriteToContext(ctx, []byte("x"), b.LocalAddr())
				require.Zero(t, n)
				return err
			})
		})
	})
}

// fillQueue sends from a to b until b's queue is full. It returns how many datagrams that
// were.
func fillQueue(t *testing.T, a, b *uringnet.PacketConn) (n int) {
	raw, err := a.SyscallConn()
	require.NoError(t, err)
	to := &unix.SockaddrUnix{Name: b.LocalAddr().String()}
	require.NoError(t, raw.Control(func(fd uintptr) {
		for err = error(nil); err == nil; n++ {
			err = unix.Sendto(int(fd), []byte("full"), unix.MSG_DONTWAIT, to)
		}
	}))
	require.ErrorIs(t, err, syscall.EAGAIN)
	return n - 1
}

func TestPacketContextEnds(t *testing.T) {
	eachWait(t, func(t *testing.T, ctx context.Context, _ *uringnet.PacketConn, wait waitingCall) {
		cause := errors.New("cause")
		ended, cancel := context.WithCancelCause(ctx)
		over := beside(t, ctx, func(context.Context) { cancel(cause) })
		for range 2 { // while it waits, perhaps; and before it begins
			err := wait(ended)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, cause)
			var e *net.OpError
			require.ErrorAs(t, err, &e)
			over()
		}
	})
}

func TestPacketDeadlines(t *testing.T) {
	eachWait(t, func(t *testing.T, ctx context.Context, c *uringnet.PacketConn, wait waitingCall) {
		for name, deadline := range map[string]func(){
			"past":          func() { c.SetDeadline(time.Now().Add(-time.Hour)) },
			"long past":     func() { c.SetDeadline(time.Unix(1, 0)) },
			"future":        func() { c.SetDeadline(time.Now().Add(time.Millisecond)) },
			"earlier":       func() { c.SetDeadline(time.Now().Add(time.Hour)); c.SetDeadline(time.Now().Add(time.Millisecond)) },
			"each":          func() { c.SetReadDeadline(time.Unix(1, 0)); c.SetWriteDeadline(time.Unix(1, 0)) },
			"taken back":    func() { c.SetDeadline(time.Unix(1, 0)); c.SetDeadline(time.Time{}); c.SetDeadline(time.Unix(2, 0)) },
			"while waiting": func() { beside(t, ctx, func(context.Context) { c.SetDeadline(time.Unix(1, 0)) }) },
		} {
			deadline()
			for range 2 {
				err := wait(ctx)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded, name)
				var e net.Error
				require.ErrorAs(t, err, &e)
				require.True(t, e.Timeout())
			}
			require.NoError(t, c.SetDeadline(time.Time{}))
		}
	})
}

// TestPacketDeadlineIsOfOneDirection: a deadline fails calls at once although a datagram is
// there, and they go on where it is taken back.
func TestPacketDeadlineOfOneDirection(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn) {
		require.NoError(t, b.SetReadDeadline(time.Unix(1, 0)))
		require.NoError(t, a.SetReadDeadline(time.Unix(1, 0)))
		_, err := a.WriteTo([]byte("x"), b.LocalAddr())
		require.NoError(t, err)
		p := make([]byte, 10)
		_, _, err = b.ReadFrom(p)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, b.SetDeadline(time.Now().Add(time.Hour)))
		n, _, err := b.ReadFrom(p)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, a.SetWriteDeadline(time.Unix(1, 0)))
		_, err = a.WriteTo([]byte("x"), b.LocalAddr())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

func TestPacketClose(t *testing.T) {
	eachWait(t, func(t *testing.T, ctx context.Context, c *uringnet.PacketConn, wait waitingCall) {
		closed := beside(t, ctx, func(context.Context) { require.NoError(t, c.Close()) })
		for range 2 { // while it waits, perhaps; and after
			require.ErrorIs(t, wait(ctx), net.ErrClosed)
			closed()
		}
		_, err := c.WriteTo([]byte("x"), c.LocalAddr())
		require.ErrorIs(t, err, net.ErrClosed)
		raw, err := c.SyscallConn()
		require.NoError(t, err)
		require.ErrorIs(t, raw.Control(func(uintptr) { t.Error("called") }), net.ErrClosed)
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		require.ErrorIs(t, c.SetDeadline(time.Now()), net.ErrClosed)
		require.ErrorIs(t, c.SetReadBuffer(1<<16), net.ErrClosed)
		_, err = c.File()
		require.ErrorIs(t, err, net.ErrClosed)
		require.NotEmpty(t, c.LocalAddr().String())
	})
}

// TestPacketCloseAgainstMany closes while several calls wait.
func TestPacketCloseAgainstMany(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, _ *uringnet.PacketConn) {
		var over []func()
		for range 4 {
			over = append(over, beside(t, ctx, func(context.Context) {
				_, _, err := a.ReadFrom(make([]byte, 10))
				require.ErrorIs(t, err, net.ErrClosed)
			}))
		}
		over = append(over, beside(t, ctx, func(context.Context) { require.NoError(t, a.Close()) }))
		for _, wait := range over {
			wait()
		}
	})
}

// TestPacketFullQueue: a sender goes on when the receiver has made room, also if the queue
// was full of others' datagrams.
func TestPacketFullQueue(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a, b, other := listenPacket(t, ctx, "unixgram"), listenPacket(t, ctx, "unixgram"), listenPacket(t, ctx, "unixgram")
		connected, err := uringnet.Dial(ctx, "unixgram", b.LocalAddr().String())
		require.NoError(t, err)
		defer connected.Close()
		full := fillQueue(t, other, b)
		const more = 10
		over := []func(){
			beside(t, ctx, func(ctx context.Context) {
				for range more {
					_, err := a.WriteToContext(ctx, []byte("more"), b.LocalAddr())
					require.NoError(t, err)
				}
			}),
			beside(t, ctx, func(ctx context.Context) {
				for range more {
					_, err := connected.WriteContext(ctx, []byte("more"))
					require.NoError(t, err)
				}
			}),
		}
		for range full + 2*more {
			n, _, err := b.ReadFrom(make([]byte, 10))
			require.NoError(t, err)
			require.Equal(t, 4, n)
		}
		for _, wait := range over {
			wait()
		}
	})
}

// TestPacketConcurrent has several senders and receivers of one socket. Each datagram
// reaches one receiver, whole.
func TestPacketConcurrent(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn) {
		const senders = 4
		each := testkit.Scale(50, 10)
		var over []func()
		for i := range senders {
			over = append(over, beside(t, ctx, func(ctx context.Context) { sendNumbered(t, ctx, a, b, i, each) }))
		}
		got := make(chan int, senders*each)
		for range 2 {
			over = append(over, beside(t, ctx, func(ctx context.Context) { receiveNumbered(t, ctx, b, a, senders*each/2, got) }))
		}
		for _, wait := range over {
			wait()
		}
		close(got)
		seen := make(map[int]bool)
		for n := range got {
			require.False(t, seen[n])
			seen[n] = true
		}
		require.Len(t, seen, senders*each)
	})
}

// sendNumbered sends datagrams of all bytes the same, and takes an answer to each.
func sendNumbered(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn, from, n int) {
	for i := range n {
		p := make([]byte, 100)
		for j := range p {
			p[j] = byte(from*n + i)
		}
		_, err := a.WriteToContext(ctx, p, b.LocalAddr())
		require.NoError(t, err)
		_, _, err = a.ReadFromContext(ctx, make([]byte, 1))
		require.NoError(t, err)
	}
}

func receiveNumbered(t *testing.T, ctx context.Context, b, a *uringnet.PacketConn, n int, got chan<- int) {
	for range n {
		p := make([]byte, 200)
		n, from, err := b.ReadFromContext(ctx, p)
		require.NoError(t, err)
		require.Equal(t, 100, n)
		for _, x := range p[:n] {
			require.Equal(t, p[0], x)
		}
		require.Equal(t, a.LocalAddr().String(), from.String())
		got <- int(p[0])
		_, err = b.WriteToContext(ctx, []byte("y"), from)
		require.NoError(t, err)
	}
}
