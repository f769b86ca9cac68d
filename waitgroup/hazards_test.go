package waitgroup_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// Each test here is named after a problem of another wait group. It runs in a bubble, where
// the order is certain. hazards_stress_test.go has the same hazards without a bubble.

// TestHazardReuseBeforeTheLastWaitReturned: the group counts up again while the waiters
// that it released have not run yet. There is no panic, and they return.
func TestHazardReuseBeforeTheLastWaitReturned(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		synctest.Test(t, func(t *testing.T) {
			var g waitgroup.Group
			g.Add(1)
			for range 20 {
				a, b := wait.start(&g, bg), wait.start(&g, bg)
				synctest.Wait()
				g.Done()
				g.Add(1) // neither of the two has run
				require.NoError(t, <-a)
				require.NoError(t, <-b)
			}
			requireCount(t, 1, &g)
		})
	})
}

// TestHazardReuseBeforeWakersRan: the same within a zero. The first waker begins the next
// round, ends it, and begins another one.
func TestHazardReuseBeforeWakersRan(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		synctest.Test(t, func(t *testing.T) {
			var g waitgroup.Group
			g.Add(1)
			var next <-chan error
			g.Register(wake.Func(func() {
				g.Add(1)
				g.Done()
				g.Add(1)
				next = wait.start(&g, bg)
			}))
			c := wait.start(&g, bg)
			synctest.Wait()
			g.Done()
			require.NoError(t, <-c)
			synctest.Wait()
			requirePending(t, next)
			g.Done()
			require.NoError(t, <-next)
		})
	})
}

// TestHazardGenerations: a waiter that begins to wait after the next Add is not released by
// the zero before it, whether or not the waiters of that zero have run.
func TestHazardGenerations(t *testing.T) {
	for _, settle := range []bool{false, true} {
		t.Run(fmt.Sprintf("settle=%t", settle), func(t *testing.T) {
			overWaits(t, func(t *testing.T, wait wait) {
				synctest.Test(t, func(t *testing.T) { generations(t, wait, settle) })
			})
		})
	}
}

func generations(t *testing.T, wait wait, settle bool) {
	var g waitgroup.Group
	g.Add(1)
	old := wait.start(&g, bg)
	for range 10 {
		synctest.Wait()
		requirePending(t, old)
		g.Done()
		if settle {
			synctest.Wait()
		}
		g.Add(1)
		young := wait.start(&g, bg)
		require.NoError(t, <-old)
		old = young
	}
	synctest.Wait()
	requirePending(t, old)
	g.Done()
	require.NoError(t, <-old)
}

// TestHazardLeakPerTimeout: waits that end with their contexts leave neither a goroutine
// nor a place in line. The bubble and TestMain fail if a goroutine stays, and the parkers
// count wakes.
func TestHazardLeakPerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g waitgroup.Group
		g.Add(1)
		before := testkit.Goroutines()
		parkers := make([]*parker, 100)
		for i := range parkers {
			parkers[i] = newParker()
			ctx, cancel := context.WithTimeout(bg, time.Minute)
			require.ErrorIs(t, g.Wait(parkers[i].under(ctx)), context.DeadlineExceeded)
			cancel()
		}
		synctest.Wait()
		require.LessOrEqual(t, testkit.Goroutines(), before+10, "others may come and go")
		g.Done()
		for _, p := range parkers {
			require.EqualValues(t, 1, p.parks.Load())
			require.Zero(t, p.wakes.Load())
		}
		requireZero(t, &g)
	})
}

// TestHazardLeakOfIdle: Idle leaves no goroutine either, if there is never a zero. The
// bubble looks for goroutines.
func TestHazardLeakOfIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g waitgroup.Group
		g.Add(1)
		for range 100 {
			select {
			case <-g.Idle():
				t.Fatal("closed")
			case <-time.After(time.Minute):
			}
		}
		g.Register(nil)
	})
}

// TestHazardDeadContext: an unsatisfied wait on a context that ended before
// fails at once and changes nothing; a satisfied one returns nil.
func TestHazardDeadContext(t *testing.T) {
	overEnds(t, func(t *testing.T, ctx context.Context, end func()) {
		end()
		<-ctx.Done()
		var g waitgroup.Group
		for range 100 { // a random choice would be noticed
			require.NoError(t, g.Wait(ctx), "satisfied")
			g.Add(2)
			requireContextError(t, ctx, g.Wait(ctx))
			require.Equal(t, 2, g.Count())
			g.Done()
			requireContextError(t, ctx, g.Wait(ctx))
			g.Done()
			require.NoError(t, g.Wait(ctx), "satisfied again")
		}
		requireZero(t, &g)
	})
}

// TestHazardReleasedAsTheContextEnds: both happen in one instant of the bubble. The first
// of them wins each time.
func TestHazardReleasedAsTheContextEnds(t *testing.T) {
	for _, zeroFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("zero first=%t", zeroFirst), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 200 {
					endsTogether(t, zeroFirst)
				}
			})
		})
	}
}

func endsTogether(t *testing.T, zeroFirst bool) {
	var g waitgroup.Group
	g.Add(1)
	ctx, cancel := context.WithCancelCause(bg)
	c := startWait(&g, ctx)
	synctest.Wait()
	if zeroFirst {
		g.Done()
		g.Add(1)
		cancel(errCause)
		require.NoError(t, <-c)
	} else {
		cancel(errCause)
		synctest.Wait() // it has left
		g.Done()
		requireContextError(t, ctx, <-c)
	}
}

// TestHazardDeadlineMeetsZero: the end of the context and the zero happen at the same time
// of the bubble's clock. Wait returns nil or the context's error.
func TestHazardDeadlineMeetsZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			var g waitgroup.Group
			g.Add(1)
			ctx, cancel := context.WithTimeoutCause(bg, time.Minute, errCause)
			time.AfterFunc(time.Minute, g.Done)
			if err := g.Wait(ctx); err != nil {
				requireContextError(t, ctx, err)
			} else {
				require.True(t, g.TryWait())
			}
			cancel()
			synctest.Wait()
			requireZero(t, &g)
		}
	})
}

// TestHazardSynctest: waits block durably in a bubble, also in a group that was used
// outside: hours of the bubble's clock pass.
func TestHazardSynctest(t *testing.T) {
	var g waitgroup.Group
	for range 2 {
		g.Go(func() {})
		<-g.Idle()
		require.NoError(t, g.Wait(bg))
		synctest.Test(t, func(t *testing.T) {
			for name, w := range waits {
				begin := time.Now()
				g.Add(1)
				ctx, cancel := context.WithTimeout(bg, time.Hour)
				require.ErrorIs(t, w(&g, ctx), context.DeadlineExceeded, name)
				cancel()
				time.AfterFunc(time.Hour, g.Done)
				require.NoError(t, w(&g, bg), name)
				require.Equal(t, 2*time.Hour, time.Since(begin), name)
			}
		})
	}
	requireZero(t, &g)
}
