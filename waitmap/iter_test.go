package waitmap_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

func TestIterators(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		for range m.All() {
			t.Fatal("empty")
		}
		want := make(map[int]int)
		for i := range 100 {
			m.Store(i, i*i)
			want[i] = i * i
		}
		for i := range 20 {
			m.Register(-1-i, nil) // waiters only
		}
		require.Equal(t, want, maps.Collect(m.All()))
		require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(m.Keys()))
		require.ElementsMatch(t, slices.Collect(maps.Values(want)), slices.Collect(m.Values()))
		all := m.All() // an iterator may be used again, and sees the map as it is then
		m.Clear()
		require.Empty(t, maps.Collect(all))
		m.Store(1, 2)
		require.Equal(t, map[int]int{1: 2}, maps.Collect(all))
		require.Equal(t, 20, m.CancelAll())
	})
}

func TestIteratorsStop(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		for i := range 100 {
			m.Store(i, i)
			m.Register(1000+i, nil)
		}
		n := 0
		for range m.All() {
			if n++; n == 3 {
				break
			}
		}
		for range m.Keys() {
			if n++; n == 6 {
				break
			}
		}
		for range m.Values() {
			if n++; n == 9 {
				break
			}
		}
		for range m.Waiting() {
			if n++; n == 12 {
				break
			}
		}
		require.Equal(t, 12, n)
		require.Panics(t, func() {
			for range m.All() {
				panic("in the loop")
			}
		})
		require.Panics(t, func() {
			for range m.Waiting() {
				panic("in the loop")
			}
		})
		m.Store(5, 6) // nothing is locked
		require.Equal(t, 100, m.CancelAll())
	})
}

// TestIterateAndChange: the loop's body may do anything to the map. Each key
// comes at most once; a key that stays comes exactly once.
func TestIterateAndChange(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const n = 200
		for i := range n {
			m.Store(i, 0)
		}
		seen := make(map[int]int)
		for k := range m.All() {
			seen[k]++
			switch {
			case k >= n: // one of the new ones
			case k%2 == 1:
				m.Delete(k)
				m.Store(n+k, 1)
			default:
				m.Store(k, 1)
			}
		}
		for k, times := range seen {
			require.Equal(t, 1, times, "key %d", k)
		}
		for i := range n {
			require.Contains(t, seen, i)
		}
		require.Equal(t, n, m.Len())
	})
}

// TestIterateAndDeleteAhead: the first body deletes all the others. Range may
// still show what was there when it began, each at most once.
func TestIterateAndDeleteAhead(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const n = 100
		for i := range n {
			m.Store(i, i)
		}
		seen := make(map[int]bool)
		for k, v := range m.All() {
			require.False(t, seen[k])
			require.Equal(t, k, v)
			seen[k] = true
			for i := range n {
				if i != k {
					m.Delete(i)
				}
			}
		}
		require.LessOrEqual(t, m.Len(), 1)
		require.Len(t, contents(t, m), m.Len())
	})
}

// TestNestedRange ranges within a range while both change the map.
func TestNestedRange(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const n = 12
		for i := range n {
			m.Store(i, -1)
		}
		m.Range(func(outer, _ int) bool {
			m.Range(func(inner, _ int) bool {
				m.Store(inner, outer)
				if inner == n/2 {
					m.Delete(inner)
				}
				m.Range(func(_, _ int) bool { return false })
				return true
			})
			m.LoadAndDelete(outer)
			m.Store(outer+n, 1)
			return outer < n // the new ones need no visit
		})
		seen := contents(t, m)
		require.Equal(t, len(seen), m.Len())
		for k, v := range seen {
			got, ok := m.Load(k)
			require.True(t, ok)
			require.Equal(t, v, got)
		}
		m.Range(func(k, _ int) bool {
			m.Clear()
			require.Zero(t, m.Len())
			m.Store(k, 5)
			return false
		})
		require.Equal(t, 1, m.Len())
	})
}

func TestWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		tick := func() { <-time.After(time.Second) } // the bubble's clock
		m.Store("value", 1)
		begin := time.Now()
		ctx, cancel := context.WithCancel(bg)
		w1 := waitFun(waits["Wait"]).start(m, ctx, "a")
		tick()
		f := m.Register("a", nil)
		tick()
		w2 := waitFun(waits["Take"]).start(m, bg, "a")
		w3 := waitFun(waits["WaitNext"]).start(m, bg, "value")

		require.Equal(t, 3, m.Waiters("a"))
		require.Equal(t, 1, m.Waiters("value"))
		require.Zero(t, m.Waiters("none"))
		requireWaiting(t, m, map[string]waitmap.WaitInfo{
			"a":     {Waiters: 3, Oldest: begin},
			"value": {Waiters: 1, Oldest: begin.Add(2 * time.Second)},
		})
		cancel()
		requireError(t, context.Canceled, w1)
		requireWaiting(t, m, map[string]waitmap.WaitInfo{
			"a":     {Waiters: 2, Oldest: begin.Add(time.Second)},
			"value": {Waiters: 1, Oldest: begin.Add(2 * time.Second)},
		})
		f.Stop()
		m.Store("value", 2)
		requireWaiting(t, m, map[string]waitmap.WaitInfo{
			"a": {Waiters: 1, Oldest: begin.Add(2 * time.Second)},
		})
		m.Store("a", 1)
		requireWaiting(t, m, map[string]waitmap.WaitInfo{})
		requireValue(t, 1, w2)
		requireValue(t, 2, w3)
	})
}

func requireWaiting(t *testing.T, m *intMap, want map[string]waitmap.WaitInfo) {
	t.Helper()
	got := make(map[string]waitmap.WaitInfo)
	for k, info := range m.Waiting() {
		require.NotContains(t, got, k)
		got[k] = info
	}
	require.Len(t, got, len(want))
	for k, w := range want {
		require.Equal(t, w.Waiters, got[k].Waiters, k)
		require.True(t, w.Oldest.Equal(got[k].Oldest), "%s: want %v, got %v", k, w.Oldest, got[k].Oldest)
	}
}

// TestWaitingManyKeys, and the loop's body cancels as it goes.
func TestWaitingManyKeys(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		synctest.Test(t, func(t *testing.T) {
			m := newMap()
			const n = 100
			for i := range n {
				for range i%3 + 1 {
					m.Register(i, nil)
				}
				m.Store(n+i, i)
			}
			seen := 0
			for k, info := range m.Waiting() {
				require.Equal(t, k%3+1, info.Waiters)
				require.Equal(t, k%3+1, m.Cancel(k))
				seen++
			}
			require.Equal(t, n, seen)
			requireIdle(t, m)
			require.Equal(t, n, m.Len())
		})
	})
}
