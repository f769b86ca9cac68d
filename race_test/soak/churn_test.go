package soak_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// A worker does rounds, one after another, while other workers do rounds with the
// same maps and other subjects.
type worker struct {
	*rand.Rand
	number int
	bodies sync.WaitGroup // the goroutines of a round
}

// A round makes some calls, waits for what it started, and returns the number of
// calls. It leaves nothing behind except entries of maps and caches.
type round func(w *worker) (ops int)

// alongside runs f in a goroutine that ends with the round.
func (w *worker) alongside(f func()) { w.bodies.Go(f) }

// during runs f with a context that ends afterwards, and then waits for the
// goroutines of the round. So no goroutine sleeps on if it missed a wake.
func (w *worker) during(f func(ctx context.Context)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	f(ctx)
	runtime.Gosched()
	cancel(errRoundOver)
	w.bodies.Wait()
}

var (
	errRoundOver = errors.New("the round is over")
	dead         = func() context.Context {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	}()
	// lasting is a context that could end but does not. It shows whether anything
	// stays registered with it.
	lasting, _ = context.WithCancel(context.Background())
)

// everything returns all rounds, and registers the cleanup of their subjects.
func everything(t testing.TB) []round {
	rounds := mapRounds(waitmap.New[int, int](nil), func(i int) int { return i }, func(i int) int { return i })
	rounds = append(rounds, mapRounds(new(waitmap.Map[string, []byte]), strconv.Itoa, func(i int) []byte { return make([]byte, i%100) })...)
	rounds = append(rounds, notifyRounds(new(notify.Notify))...)
	rounds = append(rounds, groupRounds(new(waitgroup.Group))...)
	rounds = append(rounds, flightRounds(new(dedup.Group[int, int]))...)
	rounds = append(rounds, cacheRounds(t)...)
	return append(rounds, ringRounds(t)...)
}

func mapRounds[K comparable, V any](m *waitmap.Map[K, V], key func(int) K, value func(int) V) []round {
	u := mapUse[K, V]{m: m, key: key, value: value}
	for i := range workers * growth {
		u.own = append(u.own, key(keys+i))
	}
	return []round{u.write, u.write, u.compute, u.grow, u.register, u.wait, u.wait, u.failed, u.clear}
}

type mapUse[K comparable, V any] struct {
	m     *waitmap.Map[K, V]
	key   func(int) K
	value func(int) V
	own   []K // each worker's keys, for grow: a table keeps deleted keys until it is replaced
}

const keys = 64 // few, so that workers meet

func (u mapUse[K, V]) draw(w *worker) K { return u.key(w.IntN(keys)) }

func (u mapUse[K, V]) write(w *worker) int {
	const n = 20
	for i := range n {
		k := u.draw(w)
		u.m.Store(k, u.value(i))
		u.m.Load(k)
		u.m.LoadOrStore(k, u.value(i))
		u.m.Swap(u.draw(w), u.value(i))
		u.m.Delete(k)
		u.m.LoadAndDelete(u.draw(w))
	}
	return 6 * n
}

func (u mapUse[K, V]) compute(w *worker) int {
	const n = 20
	for i := range n {
		op := []waitmap.Op{waitmap.KeepOp, waitmap.StoreOp, waitmap.DeleteOp}[w.IntN(3)]
		u.m.Compute(u.draw(w), func(V, bool) (V, waitmap.Op) { return u.value(i), op })
		u.m.LoadOrCompute(u.draw(w), func() (V, error) { return u.value(i), nil })
		u.m.LoadOrCompute(u.draw(w), func() (v V, err error) { return v, errRoundOver })
	}
	return 3 * n
}

// grow adds many keys of the worker and deletes them, in one of 20 rounds.
func (u mapUse[K, V]) grow(w *worker) int {
	if w.IntN(20) > 0 {
		return 0
	}
	own := u.own[w.number*growth:][:growth]
	for i, k := range own {
		u.m.Store(k, u.value(i))
	}
	for _, k := range own {
		u.m.Delete(k)
	}
	return 2 * growth
}

const growth = 2000

// register ends each Future in another way.
func (u mapUse[K, V]) register(w *worker) int {
	k, own := u.draw(w), u.key(-1-w.number)
	stopped := u.m.Register(k, wake.Func(func() {}))
	served := u.m.Register(own, nil)
	w.alongside(func() { served.Wait(lasting) })
	u.m.Store(own, u.value(1))
	served.Result()
	u.m.Delete(own)
	u.m.Register(own, nil)
	u.m.Cancel(own)
	u.m.Register(own, nil)
	u.m.CancelCause(own, errRoundOver)
	w.during(func(ctx context.Context) {
		f := u.m.Register(own, nil)
		w.alongside(func() { f.Wait(ctx) })
		if w.IntN(2) == 0 {
			f.Stop()
		} else {
			defer f.Stop()
		}
	})
	stopped.Stop()
	return 15
}

// wait has waiters that are served, canceled, or released by their contexts.
func (u mapUse[K, V]) wait(w *worker) int {
	k := u.draw(w)
	w.during(func(ctx context.Context) {
		w.alongside(func() { u.m.Wait(ctx, k) })
		w.alongside(func() { u.m.WaitNext(ctx, k) })
		w.alongside(func() { u.m.Take(ctx, k) })
		w.alongside(func() { u.m.WaitFor(ctx, k, func(V) bool { return false }) })
		w.alongside(func() {
			u.m.WaitCompute(ctx, k, func(old V) (V, waitmap.Op) { return old, waitmap.DeleteOp })
		})
		switch runtime.Gosched(); w.IntN(4) {
		case 0:
			u.m.Cancel(k)
		case 1, 2:
			u.m.Store(k, u.value(1))
		}
	})
	u.m.Delete(k)
	return 7
}

func (u mapUse[K, V]) failed(w *worker) int {
	const n = 10
	for range n {
		u.m.WaitFor(dead, u.draw(w), func(V) bool { return false })
		u.m.Take(dead, u.draw(w))
		u.m.WaitNext(dead, u.draw(w))
	}
	return 3 * n
}

func (u mapUse[K, V]) clear(w *worker) int {
	if w.IntN(10) == 0 {
		u.m.CancelAll()
		u.m.Clear()
	}
	n := 0
	for range u.m.All() {
		if n++; n == 10 {
			break
		}
	}
	for range u.m.Waiting() {
		break
	}
	return 3
}

func notifyRounds(n *notify.Notify) []round {
	return []round{
		func(w *worker) int {
			a, b, c := n.Listen(), n.Register(wake.Func(func() {})), n.Listen()
			n.NotifyOne()
			n.NotifyN(1)
			a.Ready()
			c.C()
			n.NotifyLast()
			n.NotifyWaiters()
			a.Stop()
			b.Stop()
			c.Stop()
			n.TryWait()
			return 12
		},
		func(w *worker) int {
			w.during(func(ctx context.Context) {
				w.alongside(func() { n.Wait(ctx) })
				w.alongside(func() { l := n.Listen(); l.Wait(ctx); l.Stop() })
				n.Wait(dead)
				if runtime.Gosched(); w.IntN(2) == 0 {
					n.NotifyOne()
				}
			})
			n.TryWait()
			return 7
		},
	}
}

func groupRounds(g *waitgroup.Group) []round {
	return []round{
		func(w *worker) int {
			g.Add(2)
			stopped, left := g.Register(wake.Func(func() {})), g.Register(wake.Func(func() {}))
			g.Idle()
			g.Wait(dead)
			stopped.Stop()
			g.Done()
			g.Done()
			left.Stop()
			return 9
		},
		func(w *worker) int {
			g.Add(1)
			w.during(func(ctx context.Context) {
				w.alongside(func() { g.Wait(ctx) })
				w.alongside(func() { g.Wait(context.WithoutCancel(ctx)) })
				g.Go(runtime.Gosched)
				runtime.Gosched()
				g.Done()
			})
			return 6
		},
	}
}

func flightRounds(g *dedup.Group[int, int]) []round {
	load := func(ctx context.Context) (int, error) { runtime.Gosched(); return 1, ctx.Err() }
	return []round{
		func(w *worker) int {
			k := w.IntN(4)
			w.during(func(ctx context.Context) {
				w.alongside(func() { g.Do(ctx, k, load) })
				w.alongside(func() { g.Do(ctx, k, load) })
				w.alongside(func() { g.Do(ctx, k, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }) })
				runtime.Gosched()
				g.Forget(k)
			})
			return 4
		},
		func(w *worker) int {
			k := -1 - w.IntN(4) // a negative key: loads of the others wait for the end of all callers
			g.Do(context.Background(), k, func(context.Context) (int, error) { panic("a load's") })
			w.during(func(ctx context.Context) { // the context can end, so the goroutine that exits is the load's
				g.Do(ctx, k, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
			})
			return 2
		},
	}
}

// cacheRounds are rounds of a cache that evicts and of one whose values expire.
func cacheRounds(t testing.TB) []round {
	small := newCache(t, &dedup.CacheOptions[int, int]{MaxEntries: 100, MaxLoads: 2})
	short := newCache(t, &dedup.CacheOptions[int, int]{
		MaxEntries: 1000, TTL: time.Millisecond, ErrorTTL: time.Millisecond, Jitter: 0.5,
		StaleWhileRevalidate: time.Millisecond, StaleIfError: time.Millisecond,
	})
	var rounds []round
	for _, c := range []*dedup.Cache[int, int]{small, short} {
		rounds = append(rounds, func(w *worker) int {
			ctx := context.Background()
			for range 10 {
				c.Get(ctx, w.IntN(500))
				c.Peek(w.IntN(500))
				c.Put(w.IntN(500), 1)
				c.Invalidate(w.IntN(500))
			}
			c.Refresh(ctx, w.IntN(500))
			c.GetMany(ctx, []int{w.IntN(500), w.IntN(500), w.IntN(500)})
			w.during(func(ctx context.Context) {
				w.alongside(func() { c.Get(ctx, -1) })
				w.alongside(func() { c.Get(ctx, -1) })
			})
			if w.IntN(50) == 0 {
				c.InvalidateAll()
			}
			return 46
		})
	}
	return rounds
}

func newCache(t testing.TB, o *dedup.CacheOptions[int, int]) *dedup.Cache[int, int] {
	c, err := dedup.NewCache(func(_ context.Context, k int) (int, error) {
		runtime.Gosched()
		if k%7 == 0 {
			return 0, errRoundOver
		}
		return k, nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
