package waitmap_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

// manyKeys is enough for several growths, and few enough that a map whose
// keys all collide stays fast.
const manyKeys = 400

func TestLoadStoreDelete(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		v, ok := m.Load("a")
		require.False(t, ok)
		require.Zero(t, v)
		m.Delete("a") // nothing there

		m.Store("a", 1)
		m.Store("b", 0) // the zero value is a value
		requireContents(t, map[string]int{"a": 1, "b": 0}, m)
		m.Store("a", 2)
		requireContents(t, map[string]int{"a": 2, "b": 0}, m)
		m.Delete("a")
		m.Delete("a")
		requireContents(t, map[string]int{"b": 0}, m)
		m.Store("a", 3) // a deleted key comes back
		requireContents(t, map[string]int{"a": 3, "b": 0}, m)
	})
}

func TestSwap(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		old, loaded := m.Swap("a", 1)
		require.False(t, loaded)
		require.Zero(t, old)
		old, loaded = m.Swap("a", 2)
		require.True(t, loaded)
		require.Equal(t, 1, old)
		m.Delete("a")
		old, loaded = m.Swap("a", 3)
		require.False(t, loaded)
		require.Zero(t, old)
		requireContents(t, map[string]int{"a": 3}, m)
	})
}

func TestLoadOrStore(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		v, loaded := m.LoadOrStore("a", 1)
		require.False(t, loaded)
		require.Equal(t, 1, v)
		v, loaded = m.LoadOrStore("a", 2)
		require.True(t, loaded)
		require.Equal(t, 1, v)
		m.Delete("a")
		v, loaded = m.LoadOrStore("a", 3)
		require.False(t, loaded)
		require.Equal(t, 3, v)
	})
}

func TestLoadAndDelete(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		v, loaded := m.LoadAndDelete("a")
		require.False(t, loaded)
		require.Zero(t, v)
		m.Store("a", 1)
		v, loaded = m.LoadAndDelete("a")
		require.True(t, loaded)
		require.Equal(t, 1, v)
		v, loaded = m.LoadAndDelete("a")
		require.False(t, loaded)
		require.Zero(t, v)
		require.Zero(t, m.Len())
	})
}

func TestCompareAndSwap(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		require.False(t, waitmap.CompareAndSwap(m, "a", 0, 1), "an absent key equals nothing")
		require.Zero(t, m.Len())
		m.Store("a", 1)
		require.False(t, waitmap.CompareAndSwap(m, "a", 2, 3))
		require.True(t, waitmap.CompareAndSwap(m, "a", 1, 1), "old and new may be equal")
		require.True(t, waitmap.CompareAndSwap(m, "a", 1, 2))
		require.False(t, waitmap.CompareAndSwap(m, "a", 1, 3))
		requireContents(t, map[string]int{"a": 2}, m)
		m.Store("a", 0) // the zero value is no wildcard
		require.False(t, waitmap.CompareAndSwap(m, "a", 2, 3))
		require.True(t, waitmap.CompareAndSwap(m, "a", 0, 4))
		require.False(t, waitmap.CompareAndSwap(m, "a", 0, 3))
		m.Delete("a")
		require.False(t, waitmap.CompareAndSwap(m, "a", 4, 3))
		require.False(t, waitmap.CompareAndSwap(m, "a", 0, 3))
	})
}

func TestCompareAndDelete(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		require.False(t, waitmap.CompareAndDelete(m, "a", 0))
		m.Store("a", 1)
		require.False(t, waitmap.CompareAndDelete(m, "a", 0))
		require.False(t, waitmap.CompareAndDelete(m, "b", 1))
		require.True(t, waitmap.CompareAndDelete(m, "a", 1))
		require.False(t, waitmap.CompareAndDelete(m, "a", 1))
		m.Store("a", 0)
		require.False(t, waitmap.CompareAndDelete(m, "a", 2))
		require.Equal(t, 1, m.Len())
		require.True(t, waitmap.CompareAndDelete(m, "a", 0))
		require.Zero(t, m.Len())
	})
}

func TestRangeStops(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		m.Range(func(string, int) bool { panic("empty") })
		for i := range 50 {
			m.Store(strconv.Itoa(i), i)
		}
		n := 0
		m.Range(func(string, int) bool { n++; return n < 7 })
		require.Equal(t, 7, n)
	})
}

func TestClear(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		m.Clear() // of an empty map
		for round := range 3 {
			for i := range manyKeys {
				m.Store(strconv.Itoa(i), i+round)
			}
			require.Equal(t, manyKeys, m.Len())
			m.Clear()
			requireContents(t, map[string]int{}, m)
			v, ok := m.Load("1")
			require.False(t, ok)
			require.Zero(t, v)
		}
		m.Store("again", 1)
		requireContents(t, map[string]int{"again": 1}, m)
	})
}

// TestGrowAndShrink stores many keys, then deletes them in three orders.
func TestGrowAndShrink(t *testing.T) {
	orders := map[string]func(i int) int{
		"forward":   func(i int) int { return i },
		"backward":  func(i int) int { return manyKeys - 1 - i },
		"scattered": func(i int) int { return i * 187 % manyKeys },
	}
	over(t, func(t *testing.T, newMap maker[int, int]) {
		for name, order := range orders {
			m := newMap()
			want := make(map[int]int)
			for i := range manyKeys {
				m.Store(i<<20|i, i)
				want[i<<20|i] = i
				v, ok := m.Load(i<<20 | i)
				require.True(t, ok)
				require.Equal(t, i, v)
			}
			requireContents(t, want, m)
			for i := range manyKeys {
				k := order(i)<<20 | order(i)
				v, ok := m.LoadAndDelete(k)
				require.True(t, ok, "%s: %d", name, k)
				require.Equal(t, order(i), v)
				delete(want, k)
				if i%50 == 0 {
					requireContents(t, want, m)
				}
			}
			requireContents(t, want, m)
		}
	})
}

// TestChurn keeps few keys alive while many come and go: tables fill up with
// dead entries and must make room.
func TestChurn(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		const live = 16
		m := newMap()
		for i := range 5000 {
			m.Store(i, -i)
			if i >= live {
				v, ok := m.LoadAndDelete(i - live)
				require.True(t, ok)
				require.Equal(t, live-i, v)
			}
		}
		require.Equal(t, live, m.Len())
		require.Len(t, contents(t, m), live)
	})
}

// TestZeroValueReady calls every method first on a map of its own.
func TestZeroValueReady(t *testing.T) {
	type M = waitmap.Map[string, int]
	first := map[string]func(m *M){
		"Load":          func(m *M) { m.Load("a") },
		"Store":         func(m *M) { m.Store("a", 1) },
		"Swap":          func(m *M) { m.Swap("a", 1) },
		"LoadOrStore":   func(m *M) { m.LoadOrStore("a", 1) },
		"LoadAndDelete": func(m *M) { m.LoadAndDelete("a") },
		"Delete":        func(m *M) { m.Delete("a") },
		"CAS":           func(m *M) { waitmap.CompareAndSwap(m, "a", 0, 1) },
		"CAD":           func(m *M) { waitmap.CompareAndDelete(m, "a", 0) },
		"Range":         func(m *M) { m.Range(func(string, int) bool { return true }) },
		"All":           func(m *M) { contents(t, m) },
		"Clear":         func(m *M) { m.Clear() },
		"Len":           func(m *M) { m.Len() },
		"LoadOrCompute": func(m *M) { m.LoadOrCompute("a", func() (int, error) { return 1, nil }) },
		"Compute":       func(m *M) { m.Compute("a", func(int, bool) (int, waitmap.Op) { return 1, waitmap.StoreOp }) },
		"Wait":          func(m *M) { m.Wait(doneCtx(), "a") },
		"WaitNext":      func(m *M) { m.WaitNext(doneCtx(), "a") },
		"WaitFor":       func(m *M) { m.WaitFor(doneCtx(), "a", func(int) bool { return true }) },
		"WaitCompute":   func(m *M) { m.WaitCompute(doneCtx(), "a", func(int) (int, waitmap.Op) { return 1, waitmap.StoreOp }) },
		"Take":          func(m *M) { m.Take(doneCtx(), "a") },
		"Register":      func(m *M) { m.Register("a", nil).Stop() },
		"Cancel":        func(m *M) { m.Cancel("a") },
		"CancelCause":   func(m *M) { m.CancelCause("a", nil) },
		"CancelAll":     func(m *M) { m.CancelAll() },
		"Close":         func(m *M) { m.Close() },
		"Waiting":       func(m *M) { waitingKeys(m) },
		"Waiters":       func(m *M) { m.Waiters("a") },
	}
	for name, f := range first {
		t.Run(name, func(t *testing.T) {
			var m M
			f(&m)
			requireIdle(t, &m)
			m.Store("b", 2)
			v, ok := m.Load("b")
			require.True(t, ok)
			require.Equal(t, 2, v)
		})
	}
}
