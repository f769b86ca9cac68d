package await_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
)

// tasksCount counts children that run.
type tasksCount struct{ running, peak, total atomic.Int32 }

func (c *tasksCount) child(ctx context.Context, last time.Duration) error {
	c.total.Add(1)
	now := c.running.Add(1)
	for m := c.peak.Load(); now > m && !c.peak.CompareAndSwap(m, now); {
		m = c.peak.Load()
	}
	time.Sleep(last)
	c.running.Add(-1)
	return nil
}

// TestTasksLimit: no more than that run at the same time, and no fewer while there are
// functions in the queue.
func TestTasksLimit(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		for limit := 1; limit <= 3; limit++ {
			w, _ := await.NewTasks(ctx)
			w.SetLimit(limit)
			var c tasksCount
			start := time.Now()
			for range 12 {
				w.Go(func(ctx context.Context) error { return c.child(ctx, time.Second) })
			}
			require.Zero(t, time.Since(start), "Go has waited")
			require.NoError(t, w.Wait(ctx))
			require.EqualValues(t, limit, c.peak.Load())
			require.EqualValues(t, 12, c.total.Load())
			require.Equal(t, time.Duration(12/limit)*time.Second, time.Since(start))
		}
	})
}

// TestTasksQueueKeepsTheOrder.
func TestTasksQueueKeepsTheOrder(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, _ := await.NewTasks(ctx)
		w.SetLimit(1)
		var order []int
		for i := range 100 {
			w.Go(func(context.Context) error { order = append(order, i); return nil })
		}
		require.NoError(t, w.Wait(ctx))
		require.Len(t, order, 100)
		require.IsIncreasing(t, order)
	})
}

// TestTasksLimitChanges while children run.
func TestTasksLimitChanges(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, _ := await.NewTasks(ctx)
		w.SetLimit(3)
		var running atomic.Int32
		gate := make(chan struct{})
		requireRunning := func(n int) {
			t.Helper()
			synctest.Wait()
			require.EqualValues(t, n, running.Load())
		}
		for range 8 {
			w.Go(func(context.Context) error {
				running.Add(1)
				<-gate
				running.Add(-1)
				return nil
			})
		}
		requireRunning(3)
		w.SetLimit(5)
		requireRunning(5)
		w.SetLimit(2) // those that run go on
		requireRunning(5)
		for _, want := range []int{4, 3, 2, 2, 2} {
			gate <- struct{}{}
			requireRunning(want)
		}
		w.SetLimit(-1)
		requireRunning(3)
		close(gate)
		require.NoError(t, w.Wait(ctx))
	})
}

// TestTasksPause: with a limit of 0 nothing starts, and Wait waits.
func TestTasksPause(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, _ := await.NewTasks(ctx)
		w.SetLimit(0)
		var ran atomic.Bool
		w.Go(func(context.Context) error { ran.Store(true); return nil })
		wait := waitAsync(w, ctx)
		requireWaiting(t, wait)
		require.False(t, ran.Load())
		w.SetLimit(1)
		require.NoError(t, <-wait)
		require.True(t, ran.Load())
	})
}
