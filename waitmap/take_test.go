package waitmap_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

func startTake(m *intMap, ctx context.Context, key string) <-chan result[int] {
	return startIn(func() (int, error) { return m.Take(ctx, key) })
}

func TestTakeIsFIFO(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		const n = 100
		ws := make([]<-chan result[int], n)
		for i := range ws {
			ws[i] = startTake(m, bg, "a")
		}
		for i := range n / 2 {
			m.Store("a", i)
			requireValue(t, i, ws[i])
			require.Zero(t, m.Len())
			require.Equal(t, n-i-1, m.Waiters("a"))
		}
		for i := n / 2; i < n; i++ { // and without a pause
			m.Store("a", i)
			require.Zero(t, m.Len())
		}
		for i := n / 2; i < n; i++ {
			requireValue(t, i, ws[i])
		}
		m.Store("a", 7)
		requireContents(t, map[string]int{"a": 7}, m)
	})
}

// TestTakeFIFOAfterLeaving: takers that give up do not change the order of the others.
func TestTakeFIFOAfterLeaving(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		const n = 30
		ws := make([]<-chan result[int], n)
		cancels := make([]func(), n)
		for i := range ws {
			ctx, cancel := context.WithCancel(bg)
			cancels[i] = cancel
			ws[i] = startTake(m, ctx, "a")
		}
		for i := range ws {
			if i%3 != 1 {
				cancels[i]()
				requireError(t, context.Canceled, ws[i])
			}
		}
		for i := 1; i < n; i += 3 {
			m.Store("a", i)
			requireValue(t, i, ws[i])
			cancels[i]()
		}
		requireIdle(t, m)
		require.Zero(t, m.Len())
	})
}

// TestTakeServedByEveryStore, before the value becomes visible.
func TestTakeServedByEveryStore(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		for name, store := range stores {
			w := startTake(m, bg, "a")
			store(m, "a")
			_, ok := m.Load("a")
			require.False(t, ok, name)
			require.Zero(t, m.Len(), name)
			requireContents(t, map[string]int{}, m)
			requireValue(t, 1, w)
		}
		w := startTake(m, bg, "a")
		v, loaded := m.LoadOrStore("a", 3)
		require.False(t, loaded)
		require.Equal(t, 3, v)
		v, loaded = m.LoadOrStore("a", 4)
		require.False(t, loaded, "the first one was taken")
		require.Equal(t, 4, v)
		requireValue(t, 3, w)
		old, loaded := m.Swap("a", 5)
		require.True(t, loaded)
		require.Equal(t, 4, old)
	})
}

// TestTakeAmongWaiters: every waiter of the key sees the value, one takes it.
func TestTakeAmongWaiters(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w1 := waitFun(waits["Wait"]).start(m, bg, "a")
		t1 := startTake(m, bg, "a")
		w2 := waitFun(waits["WaitNext"]).start(m, bg, "a")
		t2 := startTake(m, bg, "a")
		f := m.Register("a", nil)
		require.Equal(t, 5, m.Waiters("a"))
		m.Store("a", 1)
		requireValue(t, 1, w1)
		requireValue(t, 1, w2)
		requireValue(t, 1, t1)
		_, done, _ := f.Result()
		require.True(t, done)
		synctest.Wait()
		requirePending(t, t2)
		require.Equal(t, 1, m.Waiters("a"))
		w3 := waitFun(waits["Wait"]).start(m, bg, "a")
		requirePending(t, w3)
		m.Store("a", 2)
		requireValue(t, 2, t2)
		requireValue(t, 2, w3)
		require.Zero(t, m.Len())
		requireIdle(t, m)
	})
}

// TestTakeDoneContext fails and consumes nothing.
func TestTakeDoneContext(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		for range 10 {
			_, err := m.Take(doneCtx(), "a")
			require.ErrorIs(t, err, context.Canceled)
			requireContents(t, map[string]int{"a": 1}, m)
		}
		requireIdle(t, m)
	})
}

// TestTakeKeepsWhatItWasGiven: the context ends after the hand-over, before
// the taker runs.
func TestTakeKeepsWhatItWasGiven(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		for i := range 50 {
			ctx, cancel := context.WithCancel(bg)
			w := startTake(m, ctx, "a")
			next := startTake(m, bg, "a")
			if i%2 == 0 {
				m.Store("a", i)
				cancel()
			} else {
				cancel()
				m.Store("a", i)
			}
			synctest.Wait()
			r := <-w
			if r.err == nil {
				require.Equal(t, i, r.v)
				requirePending(t, next)
				m.Store("a", -1)
				requireValue(t, -1, next)
			} else {
				require.NotZero(t, i%2, "the value was there first")
				require.ErrorIs(t, r.err, context.Canceled)
				requireValue(t, i, next)
			}
			require.Zero(t, m.Len())
			requireIdle(t, m)
		}
	})
}

// TestTakeNext: a value that was left over goes to the next taker at once.
func TestTakeNext(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		m.Store("a", 1)
		m.Store("b", 2)
		v, err := m.Take(bg, "a")
		require.NoError(t, err)
		require.Equal(t, 1, v)
		requireContents(t, map[string]int{"b": 2}, m)
		_, ok := m.Load("a")
		require.False(t, ok)
	})
}

func TestTakeCanceled(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startTake(m, bg, "a")
		require.Equal(t, 1, m.Cancel("a"))
		m.Store("a", 1)
		requireError(t, waitmap.ErrCanceled, w)
		requireContents(t, map[string]int{"a": 1}, m)
	})
}
