package waitmap_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

type (
	intMap  = waitmap.Map[string, int]
	waitFun func(m *intMap, ctx context.Context, key string) (int, error)
)

func always(int) bool { return true }
func never(int) bool  { return false }

func keep(old int) (int, waitmap.Op) { return old, waitmap.KeepOp }

// waits are all ways to wait for the next value of an absent key.
var waits = map[string]waitFun{
	"Wait":        func(m *intMap, ctx context.Context, k string) (int, error) { return m.Wait(ctx, k) },
	"WaitNext":    func(m *intMap, ctx context.Context, k string) (int, error) { return m.WaitNext(ctx, k) },
	"WaitFor":     func(m *intMap, ctx context.Context, k string) (int, error) { return m.WaitFor(ctx, k, always) },
	"WaitCompute": func(m *intMap, ctx context.Context, k string) (int, error) { return m.WaitCompute(ctx, k, keep) },
	"Take":        func(m *intMap, ctx context.Context, k string) (int, error) { return m.Take(ctx, k) },
	"Future": func(m *intMap, ctx context.Context, k string) (int, error) {
		f := m.Register(k, nil)
		defer f.Stop()
		return f.Wait(ctx)
	},
	"OnStore": func(m *intMap, ctx context.Context, k string) (v int, err error) {
		_, err = choose(ctx, m.OnStore(k, &v))
		return v, err
	},
	"OnTake": func(m *intMap, ctx context.Context, k string) (v int, err error) {
		_, err = choose(ctx, nil, m.OnTake(k, &v))
		return v, err
	},
	"WaitAny": func(m *intMap, ctx context.Context, k string) (int, error) {
		_, v, err := m.WaitAny(ctx, k)
		return v, err
	},
	"WaitAll": func(m *intMap, ctx context.Context, k string) (int, error) {
		all, err := m.WaitAll(ctx, k)
		return all[k], err
	},
	"Watch": func(m *intMap, ctx context.Context, k string) (v int, err error) {
		for v, err = range m.Watch(ctx, k) {
			break
		}
		return v, err
	},
}

// overWaits runs f in a bubble for every construction and way to wait.
func overWaits(t *testing.T, f func(t *testing.T, m *intMap, wait waitFun)) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		for name, wait := range waits {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMap()
					defer releaseIfFailed(t, m)
					f(t, m, wait)
				})
			})
		}
	})
}

// start runs a wait and returns once it is in line. For bubbles.
func (w waitFun) start(m *intMap, ctx context.Context, key string) <-chan result[int] {
	c := async(func() (int, error) { return w(m, ctx, key) })
	synctest.Wait()
	return c
}

// stores are all ways to publish 1 under an absent key.
var stores = map[string]func(m *intMap, key string){
	"Store":         func(m *intMap, k string) { m.Store(k, 1) },
	"Swap":          func(m *intMap, k string) { m.Swap(k, 1) },
	"LoadOrStore":   func(m *intMap, k string) { m.LoadOrStore(k, 1) },
	"LoadOrCompute": func(m *intMap, k string) { m.LoadOrCompute(k, func() (int, error) { return 1, nil }) },
	"Compute": func(m *intMap, k string) {
		m.Compute(k, func(int, bool) (int, waitmap.Op) { return 1, waitmap.StoreOp })
	},
}

// overwrites are all ways to publish 1 over a 0 that is there.
var overwrites = map[string]func(m *intMap, key string){
	"Store":   stores["Store"],
	"Swap":    stores["Swap"],
	"Compute": stores["Compute"],
	"CAS":     func(m *intMap, k string) { waitmap.CompareAndSwap(m, k, 0, 1) },
	"WaitCompute": func(m *intMap, k string) {
		m.WaitCompute(bg, k, func(int) (int, waitmap.Op) { return 1, waitmap.StoreOp })
	},
}

func TestEveryStoreServesEveryWait(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		for name, store := range stores {
			w := wait.start(m, bg, name)
			other := wait.start(m, bg, "other")
			require.Equal(t, 1, m.Waiters(name))
			store(m, name)
			synctest.Wait()
			requireValue(t, 1, w)
			require.Zero(t, m.Waiters(name))
			requirePending(t, other)
			m.CancelAll()
			requireError(t, waitmap.ErrCanceled, other)
		}
	})
}

func TestManyWaitersGetTheOneValue(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		const n = 50
		ws := make([]<-chan result[int], n)
		for i := range ws {
			ws[i] = wait.start(m, bg, "a")
			require.Equal(t, i+1, m.Waiters("a"))
		}
		for i := range ws { // takers need a store each; the others have the first
			m.Store("a", i+1)
		}
		synctest.Wait()
		for _, w := range ws {
			r := <-w
			require.NoError(t, r.err)
			require.Positive(t, r.v)
		}
		requireIdle(t, m)
	})
}

func TestEveryOverwriteServesWaitNext(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		synctest.Test(t, func(t *testing.T) {
			m := newMap()
			for name, store := range overwrites {
				m.Store(name, 0)
				w := waitFun(waits["WaitNext"]).start(m, bg, name)
				f := async(func() (int, error) { return m.WaitFor(bg, name, func(v int) bool { return v == 1 }) })
				synctest.Wait()
				requirePending(t, w)
				requirePending(t, f)
				require.Equal(t, 2, m.Waiters(name))
				store(m, name)
				requireValue(t, 1, w)
				requireValue(t, 1, f)
			}
			requireIdle(t, m)
		})
	})
}

// TestWaitNextIgnores what is no store.
func TestWaitNextIgnores(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		synctest.Test(t, func(t *testing.T) {
			m := newMap()
			m.Store("a", 1)
			w := waitFun(waits["WaitNext"]).start(m, bg, "a")
			m.LoadOrStore("a", 2)
			m.LoadOrCompute("a", func() (int, error) { return 3, nil })
			waitmap.CompareAndSwap(m, "a", 7, 8)
			waitmap.CompareAndDelete(m, "a", 7)
			m.Compute("a", func(int, bool) (int, waitmap.Op) { return 9, waitmap.KeepOp })
			m.WaitCompute(bg, "a", func(int) (int, waitmap.Op) { return 9, waitmap.KeepOp })
			m.Store("b", 2)
			m.Delete("a")
			m.Clear()
			m.Compute("a", func(int, bool) (int, waitmap.Op) { return 9, waitmap.DeleteOp })
			synctest.Wait()
			requirePending(t, w)
			require.Equal(t, 1, m.Waiters("a"))
			require.Zero(t, m.Len())
			m.Store("a", 4)
			requireValue(t, 4, w)
			requireContents(t, map[string]int{"a": 4}, m)
		})
	})
}

func TestPresentKeyReturnsAtOnce(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		m.Store("a", 1)
		for _, ctx := range []context.Context{bg, doneCtx()} {
			for _, name := range []string{"Wait", "WaitFor", "Future", "OnStore", "WaitAny", "WaitAll", "Watch"} {
				v, err := waits[name](m, ctx, "a")
				require.NoError(t, err, name)
				require.Equal(t, 1, v)
			}
		}
		v, err := m.WaitCompute(bg, "a", func(old int) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
		require.NoError(t, err)
		require.Equal(t, 2, v)
		v, err = m.Take(bg, "a")
		require.NoError(t, err)
		require.Equal(t, 2, v)
		require.Zero(t, m.Len())
	})
}

// TestWaitForeignContext: Wait on a present key does not look at ctx.
func TestWaitForeignContext(t *testing.T) {
	var m intMap
	m.Store("a", 1)
	v, err := m.Wait(untouchable{t}, "a")
	require.NoError(t, err)
	require.Equal(t, 1, v)
}

type untouchable struct{ t *testing.T }

func (u untouchable) fail()                           { u.t.Error("Wait looked at the context") }
func (u untouchable) Deadline() (_ time.Time, _ bool) { u.fail(); return }
func (u untouchable) Done() <-chan struct{}           { u.fail(); return nil }
func (u untouchable) Err() error                      { u.fail(); return nil }
func (u untouchable) Value(any) any                   { u.fail(); return nil }

var errCause = errors.New("the cause")

func TestContextEnds(t *testing.T) {
	ends := map[string]struct {
		start func() (context.Context, func())
		err   []error
	}{
		"cancel": {func() (context.Context, func()) {
			ctx, cancel := context.WithCancel(bg)
			return ctx, cancel
		}, []error{context.Canceled}},
		"cancel with cause": {func() (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(bg)
			return ctx, func() { cancel(errCause) }
		}, []error{context.Canceled, errCause}},
		"deadline": {func() (context.Context, func()) {
			ctx, cancel := context.WithTimeout(bg, time.Second)
			return ctx, func() { <-ctx.Done(); cancel() }
		}, []error{context.DeadlineExceeded}},
		"deadline with cause": {func() (context.Context, func()) {
			ctx, cancel := context.WithTimeoutCause(bg, time.Second, errCause)
			return ctx, func() { <-ctx.Done(); cancel() }
		}, []error{context.DeadlineExceeded, errCause}},
	}
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		for name, e := range ends {
			ctx, end := e.start()
			w := wait.start(m, ctx, "a")
			before := wait.start(m, bg, "a")
			requirePending(t, w)
			end()
			r := <-w
			for _, want := range e.err {
				require.ErrorIs(t, r.err, want, name)
			}
			require.NotErrorIs(t, r.err, waitmap.ErrCanceled)
			require.NotErrorIs(t, r.err, waitmap.ErrClosed)
			require.Zero(t, r.v)
			requirePending(t, before)
			require.Equal(t, 1, m.Waiters("a"), "a failed wait leaves no trace")
			m.Store("a", 5)
			requireValue(t, 5, before)
			m.Delete("a")
		}
		requireIdle(t, m)
		require.Zero(t, m.Len())
	})
}

func TestContextDoneBefore(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errCause)
		for range 3 {
			_, err := wait(m, ctx, "a")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, errCause)
			requireIdle(t, m)
		}
	})
}

// TestNilContext panics and says so.
func TestNilContext(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		require.Contains(t, panicText(t, func() { wait(m, nilCtx, "a") }), "nil context")
		requireIdle(t, m)
		m.Store("a", 1)
	})
	var m intMap
	m.Store("a", 1)
	require.Contains(t, panicText(t, func() { m.Take(nilCtx, "a") }), "nil context")
	require.Contains(t, panicText(t, func() { m.WaitNext(nilCtx, "a") }), "nil context")
	require.Contains(t, panicText(t, func() { m.Wait(nilCtx, "a") }), "nil context")
	require.Equal(t, 1, m.Len(), "nothing was taken")
}

// TestDeletedBeforeTheWaiterRan: the value was handed over at the store.
func TestDeletedBeforeTheWaiterRan(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		if isWaitCompute(t) {
			t.Skip("WaitCompute changes the value in place: a deleted one means it waits on")
		}
		w := wait.start(m, bg, "a")
		m.Store("a", 1)
		m.Delete("a")
		m.Clear()
		requireValue(t, 1, w)
		require.Zero(t, m.Len())
		requireIdle(t, m)
	})
}

func isWaitCompute(t *testing.T) bool {
	const s = "/WaitCompute"
	n := t.Name()
	return len(n) > len(s) && n[len(n)-len(s):] == s
}

// TestValueWinsOverContext: both happen before the waiter runs.
func TestValueWinsOverContext(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		for range 20 {
			ctx, cancel := context.WithCancel(bg)
			w := wait.start(m, ctx, "a")
			m.Store("a", 1)
			cancel()
			requireValue(t, 1, w)
			m.Delete("a")
			requireIdle(t, m)
		}
	})
}

// TestOnlyWaitersIsAbsent: a key that only has waiters is not in the map.
func TestOnlyWaitersIsAbsent(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		w := wait.start(m, bg, "a")
		m.Store("b", 2)
		requireContents(t, map[string]int{"b": 2}, m)
		_, ok := m.Load("a")
		require.False(t, ok)
		m.Range(func(k string, _ int) bool { require.Equal(t, "b", k); return true })
		for k := range m.Keys() {
			require.Equal(t, "b", k)
		}
		for v := range m.Values() {
			require.Equal(t, 2, v)
		}
		_, loaded := m.LoadAndDelete("a")
		require.False(t, loaded)
		m.Delete("a")
		require.False(t, waitmap.CompareAndSwap(m, "a", 0, 1))
		require.False(t, waitmap.CompareAndDelete(m, "a", 0))
		m.Clear()
		synctest.Wait()
		requirePending(t, w)
		require.Equal(t, 1, m.Waiters("a"))
		_, loaded = m.LoadOrStore("a", 3)
		require.False(t, loaded)
		requireValue(t, 3, w)
	})
}

// scriptedParker is a parker that the context brings along. It returns
// without a wake as often as it is told to.
type scriptedParker struct {
	wake.Parker
	spurious, parks int
}

func (p *scriptedParker) Park(ctx context.Context) error {
	p.parks++
	if p.spurious > 0 {
		p.spurious--
		return nil
	}
	return p.Parker.Park(ctx)
}

// TestSleepsThroughTheContextsParker, which may return without a wake and may
// hold a permit from earlier.
func TestSleepsThroughTheContextsParker(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		p := &scriptedParker{Parker: wake.NewParker(), spurious: 5}
		ctx, cancel := context.WithCancel(wake.WithParker(bg, p))
		defer cancel()
		p.Wake()
		w := wait.start(m, ctx, "a")
		requirePending(t, w)
		require.Zero(t, p.spurious, "it slept on after every return without a wake")
		require.Equal(t, 1, m.Waiters("a"))
		m.Store("a", 1)
		requireValue(t, 1, w)

		m.Delete("a")
		p.spurious, p.parks = 3, 0
		w = wait.start(m, ctx, "a")
		cancel()
		requireError(t, context.Canceled, w)
		require.NotZero(t, p.parks)
		requireIdle(t, m)
	})
}
