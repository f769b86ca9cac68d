package waitmap_test

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// An obj is a value whose collection a test can notice.
type obj struct {
	self *obj // a pointer, so that it is no tiny allocation
	_    [60]byte
}

func newObj() (*obj, weak.Pointer[obj]) {
	o := new(obj)
	o.self = o
	return o, weak.Make(o)
}

// requireFreed collects garbage until p is gone.
func requireFreed[T any](t testing.TB, p weak.Pointer[T], what string) {
	t.Helper()
	requireAllFreed(t, map[string]weak.Pointer[T]{what: p})
}

// requireAllFreed collects garbage until all of ps are gone. What is reachable
// never goes, so the number of tries only bounds the failure.
func requireAllFreed[K comparable, T any](t testing.TB, ps map[K]weak.Pointer[T]) {
	t.Helper()
	for range 20 {
		runtime.GC()
		maps.DeleteFunc(ps, func(_ K, p weak.Pointer[T]) bool { return p.Value() == nil })
		if len(ps) == 0 {
			return
		}
		runtime.Gosched()
	}
	require.Fail(t, "still reachable", "%v", slices.Collect(maps.Keys(ps)))
}

// An objWaker is a waker whose collection a test can notice.
type objWaker struct{ o *obj }

func (*objWaker) Wake() {}

// TestHazardPinnedByStoppedFuture: Stop drops key and waker, also while
// the Future itself is still held.
func TestHazardPinnedByStoppedFuture(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[*obj, *obj]) {
		m := newMap()
		f, key, waker := registerObj(m)
		require.Equal(t, 1, func() int { _, n := waitingKeys(m); return n }())
		require.True(t, f.Stop())
		requireFreed(t, waker, "the waker of a stopped Future")
		requireFreed(t, key, "the key of a stopped Future")
		runtime.KeepAlive(f)
		runtime.KeepAlive(m)
	})
}

//go:noinline
func registerObj(m *waitmap.Map[*obj, *obj]) (*waitmap.Future[*obj], weak.Pointer[obj], weak.Pointer[objWaker]) {
	o, key := newObj()
	w := &objWaker{o}
	return m.Register(o, w), key, weak.Make(w)
}

// TestHazardPinnedByDoneFuture: a Future that is done holds its value and
// nothing else; nor does the map hold any of it.
func TestHazardPinnedByDoneFuture(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, *obj]) {
		m := newMap()
		for name, finish := range map[string]func(){
			"canceled": func() { m.Cancel(1) },
			"served":   func() { m.Store(1, nil); m.Delete(1) },
		} {
			f, waker := func() (*waitmap.Future[*obj], weak.Pointer[objWaker]) {
				w := &objWaker{new(obj)}
				m.Register(1, nil)
				return m.Register(1, w), weak.Make(w)
			}()
			finish()
			requireFreed(t, waker, "the waker of a Future that was "+name)
			_, done, _ := f.Result()
			require.True(t, done)
		}
		f, value := func() (*waitmap.Future[*obj], weak.Pointer[obj]) {
			f := m.Register(1, nil)
			v, p := newObj()
			m.Store(1, v)
			m.Delete(1)
			return f, p
		}()
		runtime.GC()
		require.NotNil(t, value.Value(), "the Future's own value")
		_, done, _ := f.Result()
		require.True(t, done)
		f = nil
		requireFreed(t, value, "a handed-over value")
		runtime.KeepAlive(m)
	})
}

// TestHazardPinnedByEndedWait: the end of the context frees everything.
func TestHazardPinnedByEndedWait(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[*obj, *obj]) {
		m := newMap()
		for _, wait := range objWaits {
			ctx, cancel := context.WithCancel(bg)
			key, done := startObjWait(m, ctx, wait)
			testkit.SpinUntil(func() bool { keys, _ := waitingKeys(m); return keys == 1 })
			cancel()
			<-done
			requireFreed(t, key, "the key of an ended wait")
		}
		requireIdle(t, m)
		runtime.KeepAlive(m)
	})
}

type objMap = waitmap.Map[*obj, *obj]

var objWaits = []func(m *objMap, ctx context.Context, k *obj) (*obj, error){
	func(m *objMap, ctx context.Context, k *obj) (*obj, error) { return m.Wait(ctx, k) },
	func(m *objMap, ctx context.Context, k *obj) (*obj, error) { return m.WaitNext(ctx, k) },
	func(m *objMap, ctx context.Context, k *obj) (*obj, error) { return m.Take(ctx, k) },
	func(m *objMap, ctx context.Context, k *obj) (*obj, error) {
		return m.WaitFor(ctx, k, func(*obj) bool { return true })
	},
	func(m *objMap, ctx context.Context, k *obj) (*obj, error) {
		return m.WaitCompute(ctx, k, func(old *obj) (*obj, waitmap.Op) { return old, waitmap.KeepOp })
	},
}

//go:noinline
func startObjWait(m *objMap, ctx context.Context, wait func(*objMap, context.Context, *obj) (*obj, error)) (weak.Pointer[obj], chan struct{}) {
	key, p := newObj()
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait(m, ctx, key)
	}()
	return p, done
}

// TestHazardPinnedByLongContext: a wait that got its value leaves nothing behind
// in a context that lives on.
func TestHazardPinnedByLongContext(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[*obj, *obj]) {
		m := newMap()
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		for _, wait := range objWaits {
			key, done := startObjWait(m, ctx, wait)
			testkit.SpinUntil(func() bool { keys, _ := waitingKeys(m); return keys == 1 })
			value := func() weak.Pointer[obj] {
				v, p := newObj()
				m.Store(key.Value(), v)
				return p
			}()
			<-done
			m.Clear()
			requireFreed(t, value, "the value of a served wait")
			requireFreed(t, key, "the key of a served wait")
		}
		runtime.KeepAlive(m)
	})
}

// removals are all ways for the value of key 1 to leave the map.
func removals[V any]() map[string]func(m *waitmap.Map[int, V]) {
	type M = *waitmap.Map[int, V]
	var zero V
	return map[string]func(m M){
		"Delete":          func(m M) { m.Delete(1) },
		"LoadAndDelete":   func(m M) { m.LoadAndDelete(1) },
		"Take":            func(m M) { m.Take(bg, 1) },
		"Clear":           func(m M) { m.Clear() },
		"Store":           func(m M) { m.Store(1, zero) },
		"Swap":            func(m M) { m.Swap(1, zero) },
		"Compute StoreOp": func(m M) { m.Compute(1, func(V, bool) (V, waitmap.Op) { return zero, waitmap.StoreOp }) },
		"Compute DeleteOp": func(m M) {
			m.Compute(1, func(V, bool) (V, waitmap.Op) { return zero, waitmap.DeleteOp })
		},
		"WaitCompute": func(m M) {
			m.WaitCompute(bg, 1, func(V) (V, waitmap.Op) { return zero, waitmap.DeleteOp })
		},
	}
}

// TestRemovedValueIsFreed at once, whatever its type.
func TestRemovedValueIsFreed(t *testing.T) {
	t.Run("pointer", func(t *testing.T) { testRemovedValue(t, func(o *obj) *obj { return o }) })
	t.Run("any", func(t *testing.T) { testRemovedValue(t, func(o *obj) any { return o }) })
	t.Run("wide", func(t *testing.T) { testRemovedValue(t, func(o *obj) [8]*obj { return [8]*obj{7: o} }) })
	t.Run("slice", func(t *testing.T) { testRemovedValue(t, func(o *obj) []*obj { return []*obj{o} }) })
	t.Run("func", func(t *testing.T) { testRemovedValue(t, func(o *obj) func() *obj { return func() *obj { return o } }) })
}

func testRemovedValue[V any](t *testing.T, wrap func(*obj) V) {
	over(t, func(t *testing.T, newMap maker[int, V]) {
		values := make(map[string]weak.Pointer[obj])
		var all []*waitmap.Map[int, V]
		for name, remove := range removals[V]() {
			m := newMap()
			values["a value after "+name] = storeObj(m, wrap)
			remove(m)
			all = append(all, m)
		}
		kept := newMap()
		there := storeObj(kept, wrap)
		requireAllFreed(t, values)
		require.NotNil(t, there.Value())
		runtime.KeepAlive(all)
		runtime.KeepAlive(kept)
	})
}

//go:noinline
func storeObj[V any](m *waitmap.Map[int, V], wrap func(*obj) V) weak.Pointer[obj] {
	o, p := newObj()
	m.Store(1, wrap(o))
	return p
}

// TestDeletedKeysAreFreed after a bounded number of further calls; after
// Clear at once.
func TestDeletedKeysAreFreed(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[*obj, int]) {
		const n = 64
		for _, clear := range []bool{true, false} {
			m := newMap()
			keys := storeAndDelete(m, n, clear)
			if !clear {
				// Stores and deletes of others, all over the table.
				for range 8 {
					storeAndDelete(m, 8*n, false)
				}
			}
			requireAllFreed(t, keys)
			runtime.KeepAlive(m)
		}
	})
}

//go:noinline
func storeAndDelete(m *waitmap.Map[*obj, int], n int, clear bool) map[int]weak.Pointer[obj] {
	ps := make(map[int]weak.Pointer[obj])
	keys := make([]*obj, n)
	for i := range keys {
		keys[i], ps[i] = newObj()
		m.Store(keys[i], i)
	}
	if clear {
		m.Clear()
		return ps
	}
	for _, k := range keys {
		m.Delete(k)
	}
	return ps
}

// TestMapIsFreed: an unreachable map is collected, with its unreachable waiters; nothing
// global refers to it.
func TestMapIsFreed(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, *obj]) {
		p, value := func() (weak.Pointer[waitmap.Map[int, *obj]], weak.Pointer[obj]) {
			m := newMap()
			for i := range 100 {
				m.Register(-1-i, nil)
				m.Store(100+i, nil)
			}
			value := storeObj(m, func(o *obj) *obj { return o })
			return weak.Make(m), value
		}()
		requireFreed(t, value, "a value of a dropped map")
		requireFreed(t, p, "a dropped map")
	})
}

func heapInUse() int64 {
	for range 3 {
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// TestHazardAbandonedWaits: a million canceled waits, each on a key of its
// own, leave heap, Len and Waiting as before.
func TestHazardAbandonedWaits(t *testing.T) {
	n := testkit.Scale(1_000_000, 100_000)
	ends := map[string]func(m *waitmap.Map[int, int], k int){
		"Stop":       func(m *waitmap.Map[int, int], k int) { m.Register(k, nil).Stop() },
		"Cancel":     func(m *waitmap.Map[int, int], k int) { m.Register(k, nil); m.Cancel(k) },
		"dead Wait":  func(m *waitmap.Map[int, int], k int) { m.Wait(dead, k) },
		"dead Take":  func(m *waitmap.Map[int, int], k int) { m.Take(dead, k) },
		"dead Next":  func(m *waitmap.Map[int, int], k int) { m.WaitNext(dead, k) },
		"dead For":   func(m *waitmap.Map[int, int], k int) { m.WaitFor(dead, k, always) },
		"store, del": func(m *waitmap.Map[int, int], k int) { m.Register(k, nil); m.Store(k, 1); m.Delete(k) },
		"dead Any":   func(m *waitmap.Map[int, int], k int) { m.WaitAny(parkFails, k, k+1) },
		"dead All":   func(m *waitmap.Map[int, int], k int) { m.WaitAll(parkFails, k, k+1) },
		"dead Watch": func(m *waitmap.Map[int, int], k int) { m.Watch(parkFails, k)(func(int, error) bool { return true }) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			var m waitmap.Map[int, int]
			m.Store(-1, 1)
			end(&m, 0)
			before := heapInUse()
			for k := range n / len(ends) {
				end(&m, k)
			}
			requireAbandoned(t, &m, before)
		})
	}
	t.Run("all at once", func(t *testing.T) {
		var m waitmap.Map[int, int]
		m.Store(-1, 1)
		before := heapInUse()
		for k := range n / 4 {
			m.Register(k, nil)
		}
		require.Equal(t, n/4, m.CancelAll())
		requireAbandoned(t, &m, before)
	})
}

// TestHazardAbandonedSelects: a million canceled Selects leave heap, Len and Waiting as
// before, whichever way they end.
func TestHazardAbandonedSelects(t *testing.T) {
	n := testkit.Scale(1_000_000, 50_000)
	ends := map[string]func(m *waitmap.Map[int, int], k int){
		"left": func(m *waitmap.Map[int, int], k int) { choose(parkFails, m.OnTake(k, nil), m.OnStore(k+1, nil)) },
		"left, next behind": func(m *waitmap.Map[int, int], k int) {
			ctx := wake.WithParker(bg, servedParker{wake.Func(func() {}), func() { m.Register(k, nil) }, func() { m.Store(k+1, 1) }})
			choose(ctx, m.OnTake(k, nil), m.OnStore(k+1, nil))
			m.Cancel(k)
			m.Delete(k + 1)
		},
		"canceled": func(m *waitmap.Map[int, int], k int) {
			ctx := wake.WithParker(bg, servedParker{wake.Func(func() {}), func() { m.Cancel(k) }, func() {}})
			choose(ctx, m.OnTake(k, nil), m.OnStore(k+1, nil))
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			var m waitmap.Map[int, int]
			m.Store(-1, 1)
			end(&m, 0)
			before := heapInUse()
			for k := range n / len(ends) {
				end(&m, k)
			}
			requireAbandoned(t, &m, before)
		})
	}
}

var (
	dead      = doneCtx()
	parkFails = wake.WithParker(bg, failingParker{wake.Func(func() {})})
)

// A failingParker ends every wait that sleeps.
type failingParker struct{ wake.Waker }

func (failingParker) Park(context.Context) error { return errCause }

// requireAbandoned allows a little for tables that have grown and for the
// test binary's own noise: far less than a byte for each wait's key.
func requireAbandoned(t *testing.T, m *waitmap.Map[int, int], before int64) {
	t.Helper()
	requireContents(t, map[int]int{-1: 1}, m)
	requireIdle(t, m)
	require.Less(t, heapInUse()-before, int64(64<<10))
	runtime.KeepAlive(m)
}

// TestHazardAbandonedGoroutines: waits that park, each on a key of its own,
// and whose contexts end.
func TestHazardAbandonedGoroutines(t *testing.T) {
	var m waitmap.Map[int, int]
	const batch = 500
	var before int64
	for round := range testkit.Scale(20, 4) {
		ctx, cancel := context.WithCancel(bg)
		var wg sync.WaitGroup
		for i := range batch {
			wg.Go(func() {
				if _, err := m.Wait(ctx, round*batch+i); err == nil {
					t.Error("no value was stored")
				}
			})
		}
		testkit.SpinUntil(func() bool { _, n := waitingKeys(&m); return n == batch })
		cancel()
		wg.Wait()
		requireIdle(t, &m)
		if round == 0 {
			before = heapInUse()
		}
	}
	require.Zero(t, m.Len())
	require.Less(t, heapInUse()-before, int64(256<<10))
	runtime.KeepAlive(&m)
}

// TestHazardNoRemove: a map in which everything is removed again stays small,
// whichever way it is removed.
func TestHazardNoRemove(t *testing.T) {
	for name, remove := range map[string]func(m *waitmap.Map[int, int], k int){
		"Delete":        func(m *waitmap.Map[int, int], k int) { m.Delete(k) },
		"LoadAndDelete": func(m *waitmap.Map[int, int], k int) { m.LoadAndDelete(k) },
		"Take":          func(m *waitmap.Map[int, int], k int) { m.Take(bg, k) },
	} {
		t.Run(name, func(t *testing.T) {
			var m waitmap.Map[int, int]
			var before int64
			const live = 100
			n := testkit.Scale(300_000, 50_000)
			for k := range n {
				m.Store(k, k)
				if k >= live {
					remove(&m, k-live)
				}
				if k == 10_000 {
					before = heapInUse()
				}
			}
			require.Equal(t, live, m.Len())
			require.Less(t, heapInUse()-before, int64(256<<10))
			runtime.KeepAlive(&m)
		})
	}
}
