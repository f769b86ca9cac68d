package waitmap_test

import (
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

func TestCompute(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		do := func(op waitmap.Op, v int) (got int, ok bool, old int, loaded bool) {
			got, ok = m.Compute("a", func(o int, l bool) (int, waitmap.Op) {
				old, loaded = o, l
				return v, op
			})
			return got, ok, old, loaded
		}
		steps := []struct {
			op             waitmap.Op
			give, want     int
			wantOK         bool
			seen, mapAfter int
			seenLoaded, in bool
		}{
			{op: waitmap.KeepOp, give: 5},
			{op: waitmap.DeleteOp, give: 5},
			{op: waitmap.StoreOp, give: 5, want: 5, wantOK: true, in: true, mapAfter: 5},
			{op: waitmap.KeepOp, give: 6, want: 5, wantOK: true, seen: 5, seenLoaded: true, in: true, mapAfter: 5},
			{op: waitmap.StoreOp, give: 0, want: 0, wantOK: true, seen: 5, seenLoaded: true, in: true},
			{op: waitmap.StoreOp, give: 7, want: 7, wantOK: true, seenLoaded: true, in: true, mapAfter: 7},
			{op: waitmap.DeleteOp, give: 8, want: 7, seen: 7, seenLoaded: true},
			{op: waitmap.KeepOp, give: 9},
		}
		for i, s := range steps {
			got, ok, old, loaded := do(s.op, s.give)
			require.Equal(t, s.want, got, "step %d", i)
			require.Equal(t, s.wantOK, ok, "step %d", i)
			require.Equal(t, s.seen, old, "step %d", i)
			require.Equal(t, s.seenLoaded, loaded, "step %d", i)
			want := map[string]int{}
			if s.in {
				want["a"] = s.mapAfter
			}
			requireContents(t, want, m)
		}
	})
}

func TestLoadOrCompute(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		broken := errors.New("broken")
		v, loaded, err := m.LoadOrCompute("a", func() (int, error) { return 9, broken })
		require.ErrorIs(t, err, broken)
		require.False(t, loaded)
		_ = v
		requireContents(t, map[string]int{}, m)

		v, loaded, err = m.LoadOrCompute("a", func() (int, error) { return 1, nil })
		require.NoError(t, err)
		require.False(t, loaded)
		require.Equal(t, 1, v)

		v, loaded, err = m.LoadOrCompute("a", func() (int, error) { panic("present") })
		require.NoError(t, err)
		require.True(t, loaded)
		require.Equal(t, 1, v)
	})
}

// TestComputeCounts increments from many goroutines: no increment is lost.
func TestComputeCounts(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const keys, workers = 5, 4
		each := testkit.Scale(2000, 300)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := range each {
					m.Compute(i%keys, func(old int, _ bool) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
				}
			})
		}
		wg.Wait()
		sum := 0
		for _, v := range m.All() {
			sum += v
		}
		require.Equal(t, workers*each, sum)
	})
}

// TestLoadOrComputeRunsOnce races many goroutines for each key; all get the value of the
// first one.
func TestLoadOrComputeRunsOnce(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		keys := testkit.Scale(500, 100)
		runs := make([]atomic.Int32, keys)
		broken := errors.New("the first one breaks")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for k := range keys {
					for {
						v, _, err := m.LoadOrCompute(k, func() (int, error) {
							if runs[k].Add(1) == 1 {
								return 0, broken
							}
							return 100 + k, nil
						})
						if err == nil {
							if v != 100+k {
								t.Errorf("key %d: %d", k, v)
							}
							break
						}
					}
				}
			})
		}
		wg.Wait()
		for k := range keys {
			require.EqualValues(t, 2, runs[k].Load(), "key %d: one failure and one success", k)
		}
	})
}

// A holder is one of the calls that run a user's function with a key held.
type holder struct {
	name string
	run  func(m *waitmap.Map[int, int], key int, f func())
}

// holders hold a key that has the value 1, LoadOrCompute one that is absent.
var holders = []holder{
	{"Compute", func(m *waitmap.Map[int, int], key int, f func()) {
		m.Compute(key, func(old int, _ bool) (int, waitmap.Op) { f(); return old, waitmap.KeepOp })
	}},
	{"LoadOrCompute", func(m *waitmap.Map[int, int], key int, f func()) {
		m.Delete(key)
		m.LoadOrCompute(key, func() (int, error) { f(); return 1, nil })
	}},
	{"WaitCompute", func(m *waitmap.Map[int, int], key int, f func()) {
		m.WaitCompute(bg, key, func(old int) (int, waitmap.Op) { f(); return old, waitmap.KeepOp })
	}},
}

// overHolders runs f for every construction and every holder, with key 1 set
// to 1 and key 2 set to 2.
func overHolders(t *testing.T, f func(t *testing.T, m *waitmap.Map[int, int], h holder)) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		for _, h := range holders {
			t.Run(h.name, func(t *testing.T) {
				m := newMap()
				m.Store(1, 1)
				m.Store(2, 2)
				f(t, m, h)
			})
		}
	})
}

// TestUserPanic and TestUserGoexit: the map is as it was, nothing is locked.
func TestUserPanic(t *testing.T) {
	overHolders(t, func(t *testing.T, m *waitmap.Map[int, int], h holder) {
		require.Equal(t, "mine", panicText(t, func() {
			h.run(m, 1, func() { panic("mine") })
		}))
		requireAsBefore(t, m, h)
	})
}

func TestUserGoexit(t *testing.T) {
	overHolders(t, func(t *testing.T, m *waitmap.Map[int, int], h holder) {
		var wg sync.WaitGroup
		wg.Go(func() { h.run(m, 1, func() { runtime.Goexit() }) })
		wg.Wait()
		requireAsBefore(t, m, h)
	})
}

// requireAsBefore requires the state before the holder's function ended badly,
// and that every kind of call still works on the key.
func requireAsBefore(t *testing.T, m *waitmap.Map[int, int], h holder) {
	t.Helper()
	want := map[int]int{1: 1, 2: 2}
	if h.name == "LoadOrCompute" {
		delete(want, 1)
	}
	requireContents(t, want, m)
	requireIdle(t, m)
	for _, again := range holders {
		m.Store(1, 1)
		ran := false
		again.run(m, 1, func() { ran = true })
		require.True(t, ran)
	}
	m.Store(1, 5)
	v, loaded := m.LoadAndDelete(1)
	require.True(t, loaded)
	require.Equal(t, 5, v)
	for i := range manyKeys { // the table can grow, too
		m.Store(10+i, i)
	}
	require.Equal(t, manyKeys+1, m.Len())
}

// TestUserPanicReleasesNobody: all waiters stay in line for the next store.
func TestUserPanicReleasesNobody(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		synctest.Test(t, func(t *testing.T) {
			m := newMap()
			w := async(func() (int, error) { return m.Wait(bg, 1) })
			synctest.Wait()
			require.Equal(t, "mine", panicText(t, func() {
				m.Compute(1, func(int, bool) (int, waitmap.Op) { panic("mine") })
			}))
			require.Equal(t, "mine", panicText(t, func() {
				m.LoadOrCompute(1, func() (int, error) { panic("mine") })
			}))
			synctest.Wait()
			requirePending(t, w)
			require.Equal(t, 1, m.Waiters(1))
			m.Store(1, 7)
			requireValue(t, 7, w)
		})
	})
}

// TestReentryOtherKey: a user's function may call every method for another
// key, also one that shares the bucket, and may make the table grow.
func TestReentryOtherKey(t *testing.T) {
	overHolders(t, func(t *testing.T, m *waitmap.Map[int, int], h holder) {
		waiter := m.Register(3, nil)
		h.run(m, 1, func() {
			m.Load(2)
			m.Store(3, 30)
			m.Swap(3, 31)
			m.LoadOrStore(4, 40)
			waitmap.CompareAndSwap(m, 4, 40, 41)
			waitmap.CompareAndDelete(m, 2, 2)
			m.LoadAndDelete(2)
			m.Compute(5, func(int, bool) (int, waitmap.Op) {
				m.LoadOrCompute(6, func() (int, error) { m.Store(7, 70); return 60, nil })
				return 50, waitmap.StoreOp
			})
			m.Register(8, nil).Stop()
			m.Cancel(8)
			m.Waiters(8)
			waitingKeys(m)
			for i := range manyKeys {
				m.Store(100+i, i)
			}
			for i := range manyKeys {
				m.Delete(100 + i)
			}
		})
		requireContents(t, map[int]int{1: 1, 3: 31, 4: 41, 5: 50, 6: 60, 7: 70}, m)
		v, done, err := waiter.Result()
		require.True(t, done)
		require.NoError(t, err)
		require.Equal(t, 30, v)
	})
}

// TestComputeStoreWakes: StoreOp publishes, KeepOp and DeleteOp do not.
func TestComputeStoreWakes(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		f := m.Register("a", nil)
		m.Compute("a", func(int, bool) (int, waitmap.Op) { return 1, waitmap.KeepOp })
		m.Compute("a", func(int, bool) (int, waitmap.Op) { return 1, waitmap.DeleteOp })
		m.LoadOrCompute("a", func() (int, error) { return 1, errors.New("no") })
		_, done, _ := f.Result()
		require.False(t, done)
		require.Equal(t, 1, m.Waiters("a"))
		m.Compute("a", func(_ int, loaded bool) (int, waitmap.Op) {
			require.False(t, loaded, "a key that only has waiters is absent")
			return 2, waitmap.StoreOp
		})
		v, done, err := f.Result()
		require.True(t, done)
		require.NoError(t, err)
		require.Equal(t, 2, v)
	})
}

// TestComputeManyKeys computes through several growths.
func TestComputeManyKeys(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		want := make(map[string]int)
		for round := range 3 {
			for i := range manyKeys {
				k := strconv.Itoa(i)
				m.Compute(k, func(old int, loaded bool) (int, waitmap.Op) {
					require.Equal(t, round > 0, loaded)
					return old + i, waitmap.StoreOp
				})
				want[k] += i
			}
		}
		requireContents(t, want, m)
	})
}

// TestComputeHoldsOffStoresToTakers: a store waits for the computation though
// it would not touch the key, only hand its value to a taker.
func TestComputeHoldsOffStoresToTakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := waitmap.New[int, int](nil)
		finish := make(chan struct{})
		go m.LoadOrCompute(1, func() (int, error) { <-finish; return 0, errors.New("no value") })
		synctest.Wait()
		taken := make(chan int, 1)
		go func() {
			v, _ := m.Take(bg, 1)
			taken <- v
		}()
		synctest.Wait()
		require.Equal(t, 1, m.Waiters(1))
		stored := make(chan struct{})
		go func() {
			m.Store(1, 7)
			close(stored)
		}()
		for range 1000 { // it waits for a mutex, which is not durable: no synctest.Wait
			runtime.Gosched()
		}
		select {
		case <-stored:
			t.Error("the store did not wait")
		default:
		}
		close(finish)
		<-stored
		require.Equal(t, 7, <-taken)
	})
}
