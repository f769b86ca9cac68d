package waitmap_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

type wide [8]int64 // 64 bytes

// TestAllocations counts the allocations of the calls that promise a number.
func TestAllocations(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	x, y := new(int), new(int)
	t.Run("int,int", func(t *testing.T) { testAllocs(t, func(i int) int { return i }, int64(1<<40), 2, 0) })
	t.Run("string,int", func(t *testing.T) { testAllocs(t, strconv.Itoa, int64(1<<40), 2, 0) })
	t.Run("int,pointer", func(t *testing.T) { testAllocs(t, func(i int) int { return i }, x, y, 0) })
	t.Run("string,string", func(t *testing.T) { testAllocs(t, strconv.Itoa, "a", "b", 1) })
	t.Run("int,64 bytes", func(t *testing.T) { testAllocs(t, func(i int) int { return i }, wide{1}, wide{2}, 1) })
	t.Run("string,64 bytes", func(t *testing.T) { testAllocs(t, strconv.Itoa, wide{1}, wide{2}, 1) })
	t.Run("16 bytes,int8", func(t *testing.T) {
		testAllocs(t, func(i int) [2]int { return [2]int{i, i} }, int8(1), int8(2), 0)
	})
	t.Run("int,zero size", func(t *testing.T) { testAllocs(t, func(i int) int { return i }, struct{}{}, struct{}{}, 0) })
}

func testAllocs[K, V comparable](t *testing.T, key func(int) K, a, b V, perStore float64) {
	const n = 2000
	keys := make([]K, 2*n+4) // the first half is in the map
	m := waitmap.New[K, V](&waitmap.Options[K]{Capacity: len(keys)})
	for i := range keys {
		keys[i] = key(i)
		if i < len(keys)/2 {
			m.Store(keys[i], a)
		}
	}
	i := 0
	next := func() K { i++; return keys[i%(len(keys)/2)] }
	allocs := func(what string, most float64, f func()) {
		t.Helper()
		require.LessOrEqual(t, testing.AllocsPerRun(n, f), most, what)
	}
	var future *waitmap.Future[V]
	allocs("Load", 0, func() { m.Load(next()) })
	allocs("Wait on a present key", 0, func() { m.Wait(bg, next()) })
	allocs("LoadOrStore on a present key", 0, func() { m.LoadOrStore(next(), b) })
	allocs("LoadOrCompute on a present key", 0, func() { m.LoadOrCompute(next(), func() (V, error) { panic("present") }) })
	allocs("Store over an existing key", perStore, func() { m.Store(next(), b) })
	allocs("Swap over an existing key", perStore, func() { m.Swap(next(), a) })
	allocs("Load of an absent key", 0, func() { m.Load(keys[len(keys)-1]) })
	allocs("Delete of an absent key", 0, func() { m.Delete(keys[len(keys)-1]) })
	allocs("Waiters", 0, func() { m.Waiters(next()) })
	allocs("Cancel without waiters", 0, func() { m.Cancel(next()) })
	allocs("Len", 0, func() { m.Len() })

	i = len(keys)/2 - 1
	fresh := func() K { i++; return keys[i] }
	allocs("Register and Stop of a fresh key", 1, func() { future = m.Register(fresh(), nil); future.Stop() })
	i = len(keys)/2 - 1
	allocs("Register of a fresh key", 1, func() { future = m.Register(fresh(), nil) })
	require.Equal(t, n+1, m.CancelAll())

	i = -1
	allocs("Delete", 0, func() { m.Delete(fresh()) })
	require.Equal(t, len(keys)/2-n-1, m.Len())
}
