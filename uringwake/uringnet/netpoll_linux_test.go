package uringnet_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// asleep waits until a call sleeps on a side; see Asleep.
func asleep(on any, write bool) {
	testkit.SpinUntil(func() bool { asleep, _ := uringnet.Asleep(on, write); return asleep })
}

// sleepingRead starts a read of one byte by a goroutine, and returns when that sleeps. The
// channel is closed when check has been called with the read's error.
func sleepingRead(t *testing.T, c *uringnet.Conn, check func(err error)) <-chan struct{} {
	read := world{t, nil}.start(func(context.Context) {
		_, err := c.Read(make([]byte, 1))
		check(err)
	})
	asleep(c, false)
	return read
}

// echoTen sends ten messages on c, whose peer echoes them, and closes c.
func echoTen(t *testing.T, c *uringnet.Conn) {
	p := make([]byte, 10)
	for range 10 {
		_, err := c.Write(p)
		require.NoError(t, err)
		_, err = io.ReadFull(c, p)
		require.NoError(t, err)
	}
	require.NoError(t, c.Close())
}

// TestLateInterruptsEndNothing: an interrupt that was meant for an operation that has ended
// does not end another one.
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
		read := sleepingRead(t, a, func(err error) { require.NoError(t, err) })
		uringnet.InterruptLate(a, false)
		_, err = b.Write([]byte("x"))
		require.NoError(t, err)
		<-read
	}
	_, err = a.Write([]byte("x"))
	require.NoError(t, err)
}

// TestDeadlineBeforeTheSleep: a deadline that comes after the attempt, and before the sleep,
// ends it. Here the attempt sets it, which is the last moment before the sleep.
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

// TestContextsEndSleeps: contexts end reads of one Conn, one after the other. A context that
// ends after its read does not end the next read.
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

// A watched is a context that counts the functions that are to be called when it ends, and
// calls none of them. It ends when done is closed.
type watched struct {
	context.Context
	done chan struct{}
	n    atomic.Int64
}

func newWatched() *watched { return &watched{Context: bg, done: make(chan struct{})} }

func (c *watched) Done() <-chan struct{} { return c.done }

func (c *watched) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

func (c *watched) AfterFunc(func()) (stop func() bool) {
	c.n.Add(1)
	return func() bool { return c.n.Add(-1) >= 0 }
}

// TestEndedReadsAreForgotten by their context, which may last long.
func TestEndedReadsAreForgotten(t *testing.T) {
	skipWithoutRing(t)
	a, b := pair(t, "tcp")
	ctx := newWatched()
	for range 2 {
		read := world{t, nil}.start(func(context.Context) {
			_, err := a.ReadContext(ctx, make([]byte, 1))
			require.NoError(t, err)
		})
		asleep(a, false)
		require.EqualValues(t, 1, ctx.n.Load())
		_, err := b.Write([]byte("x"))
		require.NoError(t, err)
		<-read
		require.Zero(t, ctx.n.Load())
	}
}

// TestSignalIsClearedBeforeTheAttempt: otherwise one that comes during the attempt would be
// lost. There may be a second one for what came while the poll began.
func TestSignalIsClearedBeforeTheAttempt(t *testing.T) {
	a, b := pair(t, "tcp")
	var writes sync.WaitGroup
	attempts, cleared := 0, 0
	world{t, newLoop(t)}.do(func(context.Context) {
		raw, err := a.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Read(func(uintptr) bool {
			if attempts++; attempts > 1 && !uringnet.Signaled(a) {
				cleared++
			}
			if attempts > 5 {
				return true
			}
			writes.Go(func() { b.Write([]byte("x")) })
			return false
		}))
	})
	writes.Wait()
	require.Positive(t, cleared)
}

// TestUnwatchedSocket: a socket that the netpoller does not watch, here because it was made
// blocking, waits by the ring.
func TestUnwatchedSocket(t *testing.T) {
	skipWithoutRing(t)
	a, b := pair(t, "tcp")
	raw, err := a.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { require.NoError(t, unix.SetNonblock(int(fd), false)) }))
	done := sleepingRead(t, a, func(err error) { require.NoError(t, err) })
	_, err = b.Write([]byte("x"))
	require.NoError(t, err)
	<-done
	done = sleepingRead(t, a, func(err error) { requireTimeout(t, err) })
	require.NoError(t, a.SetReadDeadline(time.Unix(1, 0)))
	<-done
	require.NoError(t, a.SetReadDeadline(time.Time{}))
	done = sleepingRead(t, a, func(err error) { require.ErrorIs(t, err, net.ErrClosed) })
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
		w.do(func(context.Context) { echoTen(t, a) })
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
		read := sleepingRead(t, a, func(err error) { require.NoError(t, err) })
		w.do(func(context.Context) {
			_, err := b.Write([]byte("x"))
			require.NoError(t, err)
		})
		<-read
		served := w.start(func(context.Context) { echo(b) })
		w.do(func(context.Context) {
			echoTen(t, a)
			require.True(t, uringnet.OwnerClosed(a))
			require.ErrorIs(t, a.Close(), net.ErrClosed)
		})
		<-served
	}
}
