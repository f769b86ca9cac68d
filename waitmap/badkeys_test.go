package waitmap_test

import (
	"context"
	"math"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

// TestHazardUnhashableKey: every call panics as a built-in map does, even on
// an empty map, and nothing stays locked.
func TestHazardUnhashableKey(t *testing.T) {
	type M = waitmap.Map[any, int]
	calls := map[string]func(m *M, k any){
		"Load":          func(m *M, k any) { m.Load(k) },
		"Store":         func(m *M, k any) { m.Store(k, 1) },
		"Swap":          func(m *M, k any) { m.Swap(k, 1) },
		"LoadOrStore":   func(m *M, k any) { m.LoadOrStore(k, 1) },
		"LoadAndDelete": func(m *M, k any) { m.LoadAndDelete(k) },
		"Delete":        func(m *M, k any) { m.Delete(k) },
		"CAS":           func(m *M, k any) { waitmap.CompareAndSwap(m, k, 0, 1) },
		"CAD":           func(m *M, k any) { waitmap.CompareAndDelete(m, k, 0) },
		"LoadOrCompute": func(m *M, k any) { m.LoadOrCompute(k, func() (int, error) { return 1, nil }) },
		"Compute":       func(m *M, k any) { m.Compute(k, func(int, bool) (int, waitmap.Op) { return 1, waitmap.StoreOp }) },
		"Wait":          func(m *M, k any) { m.Wait(bg, k) },
		"WaitNext":      func(m *M, k any) { m.WaitNext(bg, k) },
		"WaitFor":       func(m *M, k any) { m.WaitFor(bg, k, func(int) bool { return true }) },
		"WaitCompute":   func(m *M, k any) { m.WaitCompute(bg, k, func(int) (int, waitmap.Op) { return 1, waitmap.StoreOp }) },
		"Take":          func(m *M, k any) { m.Take(bg, k) },
		"Register":      func(m *M, k any) { m.Register(k, nil) },
		"Cancel":        func(m *M, k any) { m.Cancel(k) },
		"Waiters":       func(m *M, k any) { m.Waiters(k) },
	}
	keys := map[string]any{
		"slice":           []int{1},
		"map":             map[int]int{},
		"func":            func() {},
		"struct":          struct{ s []int }{},
		"nested in array": [1]any{[]string{}},
	}
	makers := map[string]maker[any, int]{
		"zero":      func() *M { return new(M) },
		"one shard": func() *M { return waitmap.New[any, int](&waitmap.Options[any]{Shards: 1}) },
	}
	for name, newMap := range makers {
		t.Run(name, func(t *testing.T) {
			for call, f := range calls {
				for kind, k := range keys {
					m := newMap()
					for range 2 {
						require.Panics(t, func() { f(m, k) }, "%s(%s) on an empty map", call, kind)
					}
					w := m.Register("waiting", nil)
					m.Store("present", 1)
					err := recovered(func() { f(m, k) })
					require.Implements(t, (*runtime.Error)(nil), err, "%s(%s)", call, kind)
					require.Equal(t, 1, m.Len())
					m.Store("waiting", 2)
					_, done, _ := w.Result()
					require.True(t, done)
					m.Clear()
					requireIdle(t, m)
				}
			}
		})
	}
}

func recovered(f func()) (r any) {
	defer func() { r = recover() }()
	f()
	return nil
}

// TestHazardPanickingHash: a user's hash that panics leaves nothing locked.
func TestHazardPanickingHash(t *testing.T) {
	m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 1, Hash: func(k int, _ uint64) uint64 {
		if k < 0 {
			panic("bad key")
		}
		return uint64(k)
	}})
	calls := []func(){
		func() { m.Load(-1) },
		func() { m.Store(-1, 1) },
		func() { m.Delete(-1) },
		func() { m.Compute(-1, func(int, bool) (int, waitmap.Op) { return 1, waitmap.StoreOp }) },
		func() { m.Wait(bg, -1) },
		func() { m.Take(bg, -1) },
		func() { m.Register(-1, nil) },
		func() { m.Cancel(-1) },
		func() { m.Waiters(-1) },
	}
	for i, f := range calls {
		require.Equal(t, "bad key", panicText(t, f), "call %d", i)
		m.Store(i, i)
		v, ok := m.Load(i)
		require.True(t, ok)
		require.Equal(t, i, v)
	}
	require.Equal(t, len(calls), m.Len())
	requireIdle(t, m)
}

// TestUncomparableInterfaceValues: the compare panics as == does when both
// hold the same uncomparable type, is false for different types, and leaves
// nothing locked.
func TestUncomparableInterfaceValues(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, any]) {
		m := newMap()
		m.Store("a", []int{1})
		require.Panics(t, func() { waitmap.CompareAndSwap[string, any](m, "a", []int{1}, 2) })
		require.Panics(t, func() { waitmap.CompareAndDelete[string, any](m, "a", []int{1}) })
		require.False(t, waitmap.CompareAndSwap[string, any](m, "a", 1, 2))
		require.False(t, waitmap.CompareAndDelete[string, any](m, "a", "x"))
		require.False(t, waitmap.CompareAndSwap[string, any](m, "absent", []int{1}, 2))
		v, ok := m.Load("a")
		require.True(t, ok)
		require.Equal(t, []int{1}, v)
		m.Store("a", 1)
		require.True(t, waitmap.CompareAndSwap[string, any](m, "a", 1, []int{2}))
		v, ok = m.LoadAndDelete("a")
		require.True(t, ok)
		require.Equal(t, []int{2}, v)
	})
}

// TestHazardNaNKey: NaN equals nothing, as in a built-in map: each store adds
// an entry that only Range and Clear find again.
func TestHazardNaNKey(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[float64, int]) {
		m := newMap()
		nan := math.NaN()
		m.Store(nan, 1)
		m.Store(nan, 2)
		v, loaded := m.LoadOrStore(nan, 3)
		require.False(t, loaded)
		require.Equal(t, 3, v)
		_, ok := m.Load(nan)
		require.False(t, ok)
		m.Delete(nan)
		require.False(t, waitmap.CompareAndSwap(m, nan, 1, 9))
		require.False(t, waitmap.CompareAndDelete(m, nan, 1))
		require.Equal(t, 3, m.Len())
		sum := 0
		m.Range(func(k float64, v int) bool {
			require.True(t, math.IsNaN(k))
			sum += v
			return true
		})
		require.Equal(t, 6, sum)
		for i := range 100 {
			m.Store(nan, i)
		}
		require.Equal(t, 103, m.Len())
		m.Clear()
		require.Zero(t, m.Len())
	})
}

// TestHazardNaNWaiter: no store can complete a wait on NaN, but its end, Stop,
// CancelAll and Close find it and leave nothing.
func TestHazardNaNWaiter(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[float64, int]) {
		synctest.Test(t, func(t *testing.T) {
			m := newMap()
			nan := math.NaN()
			for range 100 {
				require.True(t, m.Register(nan, nil).Stop())
			}
			requireIdle(t, m)

			ctx, cancel := context.WithCancel(bg)
			w := async(func() (int, error) { return m.Wait(ctx, nan) })
			tk := async(func() (int, error) { return m.Take(ctx, nan) })
			synctest.Wait()
			_, waiters := waitingKeys(m)
			require.Equal(t, 2, waiters)
			require.Zero(t, m.Waiters(nan))
			require.Zero(t, m.Cancel(nan))
			m.Store(nan, 1)
			synctest.Wait()
			requirePending(t, w)
			requirePending(t, tk)
			cancel()
			requireError(t, context.Canceled, w)
			requireError(t, context.Canceled, tk)
			requireIdle(t, m)

			w = async(func() (int, error) { return m.Wait(bg, nan) })
			synctest.Wait()
			require.Equal(t, 1, m.CancelAll())
			requireError(t, waitmap.ErrCanceled, w)

			w = async(func() (int, error) { return m.Wait(bg, nan) })
			synctest.Wait()
			require.NoError(t, m.Close())
			requireError(t, waitmap.ErrClosed, w)
			requireIdle(t, m)
			require.Equal(t, 1, m.Len())
		})
	})
}

// TestNaNInsideKeys: the same for NaN within structs, arrays and interfaces.
func TestNaNInsideKeys(t *testing.T) {
	nan := math.NaN()
	over(t, func(t *testing.T, newMap maker[[2]float64, int]) {
		m := newMap()
		k := [2]float64{1, nan}
		m.Store(k, 1)
		m.Store(k, 2)
		require.True(t, m.Register(k, nil).Stop())
		require.Equal(t, 2, m.Len())
		m.Clear()
		require.Zero(t, m.Len())
	})
	over(t, func(t *testing.T, newMap maker[any, int]) {
		m := newMap()
		m.Store(nan, 1)
		m.Store(struct{ f float64 }{nan}, 2)
		m.Store(nan, 3)
		require.True(t, m.Register(nan, nil).Stop())
		require.Equal(t, 3, m.Len())
		requireIdle(t, m)
		m.Clear()
		require.Zero(t, m.Len())
	})
}
