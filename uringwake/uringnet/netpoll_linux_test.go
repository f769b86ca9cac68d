package uringnet_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// asleep waits until a call sleeps on that side of c.
func asleep(c *uringnet.Conn, write bool) {
	testkit.SpinUntil(func() bool { asleep, _ := uringnet.Asleep(c, write); return asleep })
}

// TestLateInterruptsEndNothing: what was meant for an operation that has ended finds
// another one, or none.
func TestLateInterruptsEndNothing(t *testing.T) {
	skipWithoutRing(t)
	w, size := world{t, nil}, 16<<20 // more than the socket has room for
	a, b := pair(t, "tcp")
	written := w.start(func(context.Context) {
		_, err := a.Write(make([]byte, size))
		require.NoError(t, err)
	})
	asleep(a, true)
	uringnet.InterruptLate(a, true)
	_, err := io.ReadFull(b, make([]byte, size))
	require.NoError(t, err)
	<-written
	uringnet.InterruptLate(a, true)
	for _, early := range []bool{true, false} {
		if early {
			uringnet.InterruptLate(a, false)
		}
		read := w.start(func(context.Context) {
			_, err := a.Read(make([]byte, 1))
			require.NoError(t, err)
		})
		asleep(a, false)
		uringnet.InterruptLate(a, false)
		_, err = b.Write([]byte("x"))
		require.NoError(t, err)
		<-read
	}
	_, err = a.Write([]byte("x"))
	require.NoError(t, err)
}

// TestDeadlineBeforeTheSleep: a deadline that comes after the attempt, and before the sleep,
// ends it. Here the attempt itself sets it, as late as it can be set without being noticed.
func TestDeadlineBeforeTheSleep(t *testing.T) {
	skipWithoutRing(t)
	a, b := pair(t, "tcp")
	raw, err := a.SyscallConn()
	require.NoError(t, err)
	for range 2 { // before the netpoller watches the socket, and afterwards
		requireTimeout(t, raw.Read(func(uintptr) bool {
			require.NoError(t, a.SetReadDeadline(time.Unix(1, 0)))
			return false
		}))
		require.NoError(t, a.SetReadDeadline(time.Time{}))
	}
	_, err = b.Write([]byte("x"))
	require.NoError(t, err)
	_, err = a.Read(make([]byte, 1))
	require.NoError(t, err)
}

// TestContextsEndSleeps, one after the other on one Conn, and those that can end leave
// others alone.
func TestContextsEndSleeps(t *testing.T) {
	skipWithoutRing(t)
	w := world{t, nil}
	a, b := pair(t, "tcp")
	for range 100 {
		ctx, cancel := context.WithCancelCause(bg)
		read := w.start(func(context.Context) {
			_, err := a.ReadContext(ctx, make([]byte, 1))
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, io.ErrNoProgress)
		})
		asleep(a, false)
		cancel(io.ErrNoProgress)
		<-read
	}
	ctx, cancel := context.WithCancel(bg)
	read := w.start(func(context.Context) {
		_, err := a.ReadContext(ctx, make([]byte, 1))
		require.NoError(t, err)
	})
	asleep(a, false)
	_, err := b.Write([]byte("xy"))
	require.NoError(t, err)
	<-read
	cancel()
	_, err = a.Read(make([]byte, 1))
	require.NoError(t, err)
}

// TestUnwatchedSocket: a socket that the netpoller does not watch, here because somebody has
// made it blocking, waits by the ring.
func TestUnwatchedSocket(t *testing.T) {
	skipWithoutRing(t)
	w := world{t, nil}
	a, b := pair(t, "tcp")
	raw, err := a.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { require.NoError(t, unix.SetNonblock(int(fd), false)) }))
	read := func(check func(err error)) <-chan struct{} {
		done := w.start(func(context.Context) {
			_, err := a.Read(make([]byte, 1))
			check(err)
		})
		asleep(a, false)
		return done
	}
	done := read(func(err error) { require.NoError(t, err) })
	_, err = b.Write([]byte("x"))
	require.NoError(t, err)
	<-done
	done = read(func(err error) { requireTimeout(t, err) })
	require.NoError(t, a.SetReadDeadline(time.Unix(1, 0)))
	<-done
	require.NoError(t, a.SetReadDeadline(time.Time{}))
	done = read(func(err error) { require.ErrorIs(t, err, net.ErrClosed) })
	require.NoError(t, a.Close())
	<-done
}

// TestOnlySleepingGoroutinesAreWatched: the netpoller would be woken by each message that a
// task reads.
func TestOnlySleepingGoroutinesAreWatched(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp") // dialed and accepted by goroutines
		require.False(t, uringnet.Watched(a))
		require.False(t, uringnet.Watched(b))
		served := w.start(func(context.Context) { echo(b) })
		w.do(func(context.Context) {
			p := make([]byte, 10)
			for range 10 {
				_, err := a.Write(p)
				require.NoError(t, err)
				_, err = io.ReadFull(a, p)
				require.NoError(t, err)
			}
			require.NoError(t, a.Close())
		})
		<-served
		require.Equal(t, w.loop == nil, uringnet.Watched(b))
	})
}

// TestWatchedSocketInTasks: tasks use and close what goroutines have slept on.
func TestWatchedSocketInTasks(t *testing.T) {
	w := world{t, newLoop(t)}
	for _, linger := range []int{-1, 1} {
		a, b := pair(t, "tcp")
		require.NoError(t, a.SetLinger(linger))
		read := world{t, nil}.start(func(context.Context) {
			_, err := a.Read(make([]byte, 1))
			require.NoError(t, err)
		})
		asleep(a, false)
		w.do(func(context.Context) {
			_, err := b.Write([]byte("x"))
			require.NoError(t, err)
		})
		<-read
		served := w.start(func(context.Context) { echo(b) })
		w.do(func(context.Context) {
			p := make([]byte, 10)
			for range 10 {
				_, err := a.Write(p)
				require.NoError(t, err)
				_, err = io.ReadFull(a, p)
				require.NoError(t, err)
			}
			require.NoError(t, a.Close())
			require.True(t, uringnet.OwnerClosed(a))
			require.ErrorIs(t, a.Close(), net.ErrClosed)
		})
		<-served
	}
}
