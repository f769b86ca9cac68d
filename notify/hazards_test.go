package notify_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/notify"
)

// Each test here is named after a bug of another system. hazards_stress_test.go
// looks for the same ones without a bubble.

// TestHazardPermitLostWithItsWaiter: a waiter that is picked in the instant in which its
// context ends has the wake; one that left before is not picked.
func TestHazardPermitLostWithItsWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			var n notify.Notify
			ctx, cancel := context.WithCancel(bg)
			wait := async(func() error { return n.Wait(ctx) })
			synctest.Wait()
			go cancel()
			n.NotifyOne()
			if err := <-wait; err == nil {
				require.False(t, n.TryWait(), "one wake, taken twice")
			} else {
				require.True(t, n.TryWait(), "the wake is gone")
			}
			requireIdle(t, &n)
		}
	})
}

// TestHazardPermitLostWithItsListener: Stop hands an unconsumed wake on.
func TestHazardPermitLostWithItsListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		l := n.Listen()
		wait := async(func() error { return n.Wait(bg) })
		synctest.Wait()
		n.NotifyOne()
		synctest.Wait()
		requirePending(t, wait)
		require.False(t, l.Stop())
		require.NoError(t, <-wait)
		requireIdle(t, &n)
	})
}

// TestHazardOneNotifyWaitersWakesTwoWaits: a call that ended a wait does not reach the
// next wait of the same goroutine.
func TestHazardOneNotifyWaitersWakesTwoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		first := make(chan struct{})
		second := async(func() error {
			err := n.Wait(bg)
			close(first)
			if err != nil {
				return err
			}
			return n.Wait(bg)
		})
		synctest.Wait()
		require.Equal(t, 1, n.NotifyWaiters())
		<-first
		synctest.Wait()
		requirePending(t, second)
		require.Equal(t, 1, n.NotifyWaiters())
		require.NoError(t, <-second)
	})
}

// TestHazardPermitToOneAlreadyWoken: NotifyOne after NotifyWaiters picks a waiter that is
// in line, or keeps a permit. It never picks one that was woken and has not run.
func TestHazardPermitToOneAlreadyWoken(t *testing.T) {
	var n notify.Notify
	woken := n.Listen()
	require.Equal(t, 1, n.NotifyWaiters())
	n.NotifyOne()
	require.True(t, woken.Ready())
	require.False(t, woken.Stop())
	require.True(t, n.TryWait(), "the permit went to one already woken")

	woken = n.Listen()
	n.NotifyWaiters()
	next := n.Listen()
	n.NotifyOne()
	require.True(t, next.Ready())
	require.True(t, woken.Ready())
	requireIdle(t, &n)
}

// TestHazardNobodyListensReturnsEarly: a NotifyOne that finds the line empty keeps its
// permit for a waiter that gets in line at this moment.
func TestHazardNobodyListensReturnsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 500 {
			var n notify.Notify
			wait := async(func() error { return n.Wait(bg) })
			listen := async(func() error { return n.Listen().Wait(bg) })
			go n.NotifyOne()
			go n.NotifyLast()
			synctest.Wait()
			if n.Waiters() == 1 { // both came while the line was empty, and are one permit
				n.NotifyOne()
			}
			require.NoError(t, <-wait)
			require.NoError(t, <-listen)
			n.TryWait()
		}
	})
}

// TestHazardSuccessOnADeadContext: nothing is consumed.
func TestHazardSuccessOnADeadContext(t *testing.T) {
	var n notify.Notify
	n.NotifyOne()
	require.ErrorIs(t, n.Wait(doneCtx()), context.Canceled)
	require.True(t, n.TryWait())
	n.NotifyOne()
	l := n.Listen()
	require.ErrorIs(t, l.Wait(doneCtx()), context.Canceled)
	require.True(t, l.Ready())
}

// TestHazardAGoroutinePerTimeout: a Wait with a context starts no goroutine.
func TestHazardAGoroutinePerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		ctx, cancel := context.WithCancel(bg)
		before := testkit.Goroutines()
		waits := make([]<-chan error, 100)
		for i := range waits {
			waits[i] = async(func() error { return n.Wait(ctx) })
		}
		synctest.Wait()
		require.LessOrEqual(t, testkit.Goroutines(), before+len(waits))
		cancel()
		for _, w := range waits {
			require.Error(t, <-w)
		}
		requireIdle(t, &n)
	})
}
