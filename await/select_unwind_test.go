package await_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// A Select that leaves the line of a semaphore wakes the waiter behind, whose waker
// unwinds the Select. The case that was chosen gives back what it got, and the other
// lines are left.
func TestSelectIsUnwoundByTheWakerOfAWaiterBehind(t *testing.T) {
	for _, how := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			sem := await.NewSemaphore(3)
			require.NoError(t, sem.Acquire(ctx, 1))
			var m waitmap.Map[int, int]
			var n notify.Notify
			var g waitgroup.Group
			var val await.Value[int]
			q := await.NewQueue[int](1)
			g.Add(1)
			taken := 0
			cases := []wake.Case{sem.OnAcquire(3), n.OnNotify(), m.OnTake(1, &taken), g.OnZero(), val.OnNewer(0, nil, nil), q.OnTake(nil)}
			ended := misbehave.None
			misbehave.Go(func() { _, _ = await.Select(context.Background(), cases...) }, func(h misbehave.Strike) { ended = h })
			synctest.Wait()
			p := misbehave.NewParker()
			p.OnWake = how
			done := false
			go func() {
				require.NoError(t, sem.Acquire(wake.WithParker(ctx, p), 1))
				done = true
			}()
			synctest.Wait()
			require.Equal(t, 2, sem.Waiters())
			m.Store(1, 42)
			synctest.Wait()
			require.True(t, done)
			require.Equal(t, how, ended)
			v, ok := m.Load(1)
			require.True(t, ok)
			require.Equal(t, 42, v)
			require.Zero(t, taken)
			_, takers := q.Waiters()
			require.Zero(t, sem.Waiters()+n.Waiters()+m.Waiters(1)+val.Waiters()+takers)
			i, err := await.Select(ctx, cases...)
			require.NoError(t, err)
			require.Equal(t, 2, i)
			require.Equal(t, 42, taken)
			g.Done()
			sem.Release(2)
		})
	}
}

// A Case of a closed map is in line only for a value that a computation holds. A Select
// that uses it meanwhile must not touch its waiter.
func TestSelectOfACaseInUseInAClosedMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m waitmap.Map[int, int]
		m.Store(1, 42)
		hold := make(chan struct{})
		go m.Compute(1, func(old int, _ bool) (int, waitmap.Op) { <-hold; return old, waitmap.KeepOp })
		synctest.Wait()
		require.NoError(t, m.Close())
		taken := 0
		c := m.OnTake(1, &taken)
		done := false
		go func() {
			_, err := await.Select(t.Context(), c)
			require.NoError(t, err)
			done = true
		}()
		synctest.Wait()
		require.Equal(t, 1, m.Waiters(1))
		require.PanicsWithValue(t, "await: a Case is used by two Selects at the same time", func() { _, _ = await.Select(t.Context(), c) })
		require.Equal(t, 1, m.Waiters(1))
		close(hold)
		synctest.Wait()
		require.True(t, done)
		require.Equal(t, 42, taken)
		require.Zero(t, m.Waiters(1))
	})
}
