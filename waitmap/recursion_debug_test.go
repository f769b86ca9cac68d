//go:build race || vigil_debug

package waitmap_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

// sameKey are calls that change the key which their caller holds.
var sameKey = map[string]func(m *waitmap.Map[int, int]){
	"Store":         func(m *waitmap.Map[int, int]) { m.Store(1, 5) },
	"Take":          func(m *waitmap.Map[int, int]) { m.Take(bg, 1) },
	"OnTake":        func(m *waitmap.Map[int, int]) { choose(bg, m.OnTake(1, nil)) },
	"Swap":          func(m *waitmap.Map[int, int]) { m.Swap(1, 5) },
	"Delete":        func(m *waitmap.Map[int, int]) { m.Delete(1); m.LoadOrStore(1, 5) },
	"LoadAndDelete": func(m *waitmap.Map[int, int]) { m.LoadAndDelete(1); m.LoadOrStore(1, 5) },
	"Compute": func(m *waitmap.Map[int, int]) {
		m.Compute(1, func(int, bool) (int, waitmap.Op) { return 5, waitmap.StoreOp })
	},
	"through another key": func(m *waitmap.Map[int, int]) {
		m.Compute(2, func(old int, _ bool) (int, waitmap.Op) {
			m.Compute(1, func(int, bool) (int, waitmap.Op) { return 5, waitmap.StoreOp })
			return old, waitmap.KeepOp
		})
	},
}

// TestHazardRecursion: a call for the key that its caller holds panics and
// says so, and leaves the map as it was, with nothing locked.
func TestHazardRecursion(t *testing.T) {
	overHolders(t, func(t *testing.T, m *waitmap.Map[int, int], h holder) {
		for name, call := range sameKey {
			m.Clear()
			m.Store(1, 1)
			m.Store(2, 2)
			text := panicText(t, func() { h.run(m, 1, func() { call(m) }) })
			require.Contains(t, text, "waitmap: ", name)
			requireAsBefore(t, m, h)
		}
	})
}

// TestHazardRecursionAbsent: as above, for a key that is not there yet.
func TestHazardRecursionAbsent(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		for name, call := range sameKey {
			if name == "Delete" || name == "LoadAndDelete" {
				continue // they change nothing
			}
			m := newMap()
			text := panicText(t, func() {
				m.Compute(1, func(int, bool) (int, waitmap.Op) {
					call(m)
					return 0, waitmap.KeepOp
				})
			})
			require.Contains(t, text, "waitmap: ", name)
			require.Zero(t, m.Waiters(1), name)
			requireContents(t, map[int]int{}, m)
		}
	})
}

// TestHazardRecursionRecovered: the user's function recovers from it and goes
// on; its result counts.
func TestHazardRecursionRecovered(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		v, ok := m.Compute(1, func(int, bool) (int, waitmap.Op) {
			require.Contains(t, panicText(t, func() { m.Store(1, 5) }), "waitmap: ")
			return 7, waitmap.StoreOp
		})
		require.True(t, ok)
		require.Equal(t, 7, v)
		requireContents(t, map[int]int{1: 7}, m)
	})
}

// TestRecursionIsNotSuspectedOfOthers: another goroutine that wants the same
// key waits its turn; so does the same one, afterwards.
func TestRecursionIsNotSuspectedOfOthers(t *testing.T) {
	overHolders(t, func(t *testing.T, m *waitmap.Map[int, int], h holder) {
		var wg sync.WaitGroup
		h.run(m, 1, func() {
			for range 3 {
				wg.Go(func() {
					m.Compute(1, func(old int, _ bool) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
				})
			}
		})
		m.Compute(1, func(old int, _ bool) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
		wg.Wait()
		v, _ := m.Load(1)
		require.Equal(t, 5, v)
	})
}
