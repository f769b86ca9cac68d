package race_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// loads checks that the callers of a load get its result, that no key is blocked,
// and that no entry is returned that was invalidated or came after Close, while
// parkers, wakers, contexts and a Cache's functions misbehave. Each operation has a
// Cache or Group of its own.
func loads(s *round, _ *book) (check func()) {
	l := &loading{round: s}
	s.team("loads").start(3, 30,
		operation{"Do in company", l.do}, operation{"Get in company", l.get}, operation{"Close in company", l.close},
		operation{"a bad context", l.badContext},
		operation{"InvalidateAll beside loads that fail", l.sweep}, operation{"Close beside everything", l.closeBesideAll},
		operation{"a load of its own Cache", l.nested}, operation{"a circle of loads", l.circle},
		operation{"each value leaves once", l.removed}, operation{"a batch with a bad function", l.batch}, operation{"OnLoad outlasts its batch", l.slowOnLoad})
	return func() {}
}

type loading struct{ *round }

// A gated load lasts until the gate is open or its context ends.
type gated struct {
	gate        chan struct{}
	begun, over atomic.Int32
	told        atomic.Int32 // calls of OnLoad
}

func newGated() *gated { return &gated{gate: make(chan struct{})} }

func (g *gated) load(ctx context.Context) (int, error) {
	g.begun.Add(1)
	context.AfterFunc(ctx, func() { g.over.Add(1) })
	select {
	case <-g.gate:
		return 7, nil
	case <-ctx.Done():
		return 0, errEnd
	}
}

func (g *gated) open() { close(g.gate) }

// end waits until all loads' contexts have ended.
func (g *gated) end(w *worker) { w.await(func() bool { return g.over.Load() == g.begun.Load() }) }

func newCache[V any](w *worker, load dedup.Loader[int, V], o *dedup.CacheOptions[int, V]) *dedup.Cache[int, V] {
	c, err := dedup.NewCache(load, o)
	w.must(err)
	return c
}

// callCache calls back from a Wake; no caller gets the keys that it changes.
func callCache(c *dedup.Cache[int, int]) func() {
	return func() {
		c.Stats()
		c.Peek(1)
		c.Put(101, 1)
		c.Invalidate(101)
		for range c.InFlight() {
		}
	}
}

// do runs a load that wakes all callers and ends its context.
func (l *loading) do(w *worker) {
	var g dedup.Group[int, int]
	load := newGated()
	back := func() {
		for range g.InFlight() {
		}
		g.Forget(2)
	}
	w.company(back, func(ctx context.Context) {
		v, _, err := g.Do(ctx, 1, load.load)
		w.got(7, v, err)
	}).meet(load.open)
	load.end(w)
	for key := range g.InFlight() {
		w.t.Errorf("key %d is in flight when all loads are over", key)
	}
}

func (l *loading) get(w *worker) {
	load := newGated()
	o := &dedup.CacheOptions[int, int]{MaxLoads: w.r.IntN(2), OnLoad: func(dedup.LoadInfo[int]) { load.told.Add(1) }}
	if w.r.IntN(2) == 0 {
		o.LoadMany = func(ctx context.Context, _ []int) (map[int]int, error) {
			v, err := load.load(ctx)
			return map[int]int{1: v}, err
		}
	}
	c := newCache(w, func(ctx context.Context, _ int) (int, error) { return load.load(ctx) }, o)
	w.company(callCache(c),
		func(ctx context.Context) { v, err := c.Get(ctx, 1); w.got(7, v, err) },
		func(ctx context.Context) { w.got(0, 0, c.Refresh(ctx, 1)) },
		func(ctx context.Context) { vs, err := c.GetMany(ctx, []int{1}); w.got(7, vs[1], err) },
	).meet(load.open)
	load.end(w)
	w.await(func() bool { return load.told.Load() >= load.begun.Load() })
	v, err := c.Get(w.ctx, 1)
	w.got(7, v, err)
	w.must(c.Close())
}

// close checks that Close releases all callers of all keys.
func (l *loading) close(w *worker) {
	load := newGated()
	c := newCache(w, func(ctx context.Context, _ int) (int, error) { return load.load(ctx) }, nil)
	check := func(v int, err error) {
		if v != 0 || !errors.Is(err, dedup.ErrClosed) && !errors.Is(err, misbehave.ErrOwn) {
			w.t.Errorf("Close: a caller got %d, %v", v, err)
		}
	}
	var ways []wait
	for key := range keys {
		ways = append(ways,
			func(ctx context.Context) { check(c.Get(ctx, key)) },
			func(ctx context.Context) { check(0, c.Refresh(ctx, key)) },
			func(ctx context.Context) { vs, err := c.GetMany(ctx, []int{key, keys}); check(len(vs), err) })
	}
	astray := w.r.IntN(2) == 0
	w.company(callCache(c), ways...).meet(func() {
		if astray { // their callers must be released too
			c.InvalidateAll()
		}
		w.must(c.Close())
	})
	w.must(c.Close())
	load.end(w)
}

// badContext checks that a call ends with its context and that the key can be got
// afterwards.
func (l *loading) badContext(w *worker) {
	var g dedup.Group[int, int]
	load := newGated()
	c := newCache(w, func(ctx context.Context, _ int) (int, error) { return load.load(ctx) }, nil)
	w.badly(
		func(ctx context.Context) error { _, _, err := g.Do(ctx, 1, load.load); return err },
		func(ctx context.Context) error { _, err := c.Get(ctx, 1); return err },
		func(ctx context.Context) error { return c.Refresh(ctx, 1) },
		func(ctx context.Context) error { _, err := c.GetMany(ctx, []int{1}); return err })
	load.end(w)
	load.open()
	v, err := c.Get(w.ctx, 1)
	w.got(7, v, err)
	v, _, err = g.Do(w.ctx, 1, load.load)
	w.got(7, v, err)
	w.must(c.Close())
}

// sweep checks that an entry stored before InvalidateAll is not returned after it,
// while loads complete that store an error together with the old value.
func (l *loading) sweep(w *worker) {
	const n = 16
	c := newCache(w, func(context.Context, int) (int, error) { return 0, errLoad },
		&dedup.CacheOptions[int, int]{ErrorTTL: time.Hour, StaleIfError: time.Hour})
	for v := 1; v < 10; v++ {
		for key := range n {
			c.Put(key, v)
		}
		var beside waitgroup.Group
		for range 2 {
			beside.Add(1)
			w.aside(func() {
				defer beside.Done()
				for key := range n {
					if err := c.Refresh(context.Background(), key); !errors.Is(err, errLoad) {
						w.t.Errorf("Refresh: %v", err)
					}
				}
			})
		}
		for range w.r.IntN(20) {
			w.pause()
		}
		c.InvalidateAll()
		l.unseen(w, c, n, v)
		w.must(beside.Wait(w.ctx))
		l.unseen(w, c, n, v)
	}
	w.must(c.Close())
}

func (l *loading) unseen(w *worker, c *dedup.Cache[int, int], n, invalid int) {
	for key := range n {
		if v, ok := c.Peek(key); ok || v != 0 {
			w.t.Errorf("key %d has value %d, and %d is invalid", key, v, invalid)
		}
		if v, err := c.Get(w.ctx, key); v != 0 || !errors.Is(err, errLoad) {
			w.t.Errorf("Get gave %d, %v, and %d is invalid", v, err, invalid)
		}
	}
}

// closeBesideAll checks that a closed Cache has no entries and no waiting callers.
func (l *loading) closeBesideAll(w *worker) {
	var c *dedup.Cache[int, int]
	c = newCache(w, func(_ context.Context, key int) (int, error) { runtime.Gosched(); return 7, nil }, &dedup.CacheOptions[int, int]{
		MaxLoads: w.r.IntN(3), MaxEntries: 8 * w.r.IntN(2),
		OnLoad: func(i dedup.LoadInfo[int]) { c.Put(i.Key+1, 7) },
	})
	var beside waitgroup.Group
	for range 4 {
		beside.Add(1)
		a := w.apart()
		w.aside(func() {
			defer beside.Done()
			for range 50 {
				l.callAny(a, c, a.r.IntN(20))
			}
		})
	}
	for range w.r.IntN(50) {
		w.pause()
	}
	w.must(c.Close())
	w.must(beside.Wait(w.ctx))
	w.await(func() bool { return c.Stats().InFlight == 0 })
	if n := c.Stats().Entries; n != 0 {
		w.t.Errorf("%d entries are in a Cache that is closed", n)
	}
}

// callAny makes one call: in half of the cases a Put, otherwise another one. Some
// Gets misbehave.
func (l *loading) callAny(w *worker, c *dedup.Cache[int, int], key int) {
	var v int
	var err error
	switch w.r.IntN(12) {
	default:
		c.Put(key, 7)
		return
	case 0, 1:
		v, err = c.Get(w.ctx, key)
	case 2:
		var vs map[int]int
		if vs, err = c.GetMany(w.ctx, []int{key}); err == nil {
			v = vs[key]
		}
	case 3:
		if err = c.Refresh(w.ctx, key); err == nil {
			v = 7
		}
	case 4:
		if c.InvalidateAll(); w.r.IntN(2) == 0 {
			c.Invalidate(key)
		}
		return
	case 5:
		ctx := wake.WithParker(w.ctx, misbehave.DrawParker(w.r))
		w.rashly(func() { _, _ = c.Get(ctx, key) })
		return
	}
	if !errors.Is(err, dedup.ErrClosed) {
		w.got(7, v, err)
	}
}

// nested checks that a load can get another key of its Cache although the limit of
// loads is reached.
func (l *loading) nested(w *worker) {
	const floors, wide = 4, 3 // keys are floor*wide + i; the keys of one floor need those of the floor below
	var c *dedup.Cache[int, int]
	load := func(ctx context.Context, key int) (int, error) {
		runtime.Gosched()
		if key < wide {
			return key, nil
		}
		v, err := c.Get(ctx, key-wide)
		return v + wide, err
	}
	o := &dedup.CacheOptions[int, int]{MaxLoads: 1 + w.r.IntN(2)}
	if w.r.IntN(2) == 0 {
		o.LoadMany = func(ctx context.Context, want []int) (map[int]int, error) {
			vs := make(map[int]int)
			var errs []error
			for _, key := range want {
				v, err := load(ctx, key)
				vs[key], errs = v, append(errs, err)
			}
			return vs, errors.Join(errs...)
		}
	}
	c = newCache(w, load, o)
	var beside waitgroup.Group
	for range 3 {
		beside.Add(1)
		floor, i, many := wide*w.r.IntN(floors), w.r.IntN(wide), w.r.IntN(2) == 0
		w.aside(func() {
			defer beside.Done()
			if !many {
				v, err := c.Get(context.Background(), floor+i)
				w.got(floor+i, v, err)
				return
			}
			vs, err := c.GetMany(context.Background(), []int{floor, floor + 1, floor + 2})
			for key := floor; key < floor+wide; key++ {
				w.got(key, vs[key], err)
			}
		})
	}
	w.must(beside.Wait(w.ctx))
	w.must(c.Close())
}

// circle checks that one of several loads that wait for each other fails, and that
// all end.
func (l *loading) circle(w *worker) {
	n := 1 + w.r.IntN(3)
	var c *dedup.Cache[int, int]
	var g dedup.Group[int, int]
	c = newCache(w, func(ctx context.Context, key int) (int, error) { return c.Get(ctx, (key+1)%n) },
		&dedup.CacheOptions[int, int]{MaxLoads: w.r.IntN(3)})
	var do func(ctx context.Context, key int) (int, error)
	do = func(ctx context.Context, key int) (int, error) {
		v, _, err := g.Do(ctx, key, func(ctx context.Context) (int, error) { return do(ctx, (key+1)%n) })
		return v, err
	}
	get := c.Get
	if w.r.IntN(2) == 0 {
		get = do
	}
	var beside waitgroup.Group
	for range 3 {
		beside.Add(1)
		first := w.r.IntN(n)
		w.aside(func() {
			defer beside.Done()
			if v, err := get(context.Background(), first); v != 0 || !errors.Is(err, dedup.ErrCycle) {
				w.t.Errorf("a circle of loads gave %d, %v", v, err)
			}
		})
	}
	w.must(beside.Wait(w.ctx))
	w.must(c.Close())
}
