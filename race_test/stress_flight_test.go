package race_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

var (
	errLoad = errors.New("the load's error")
	errGone = fmt.Errorf("%w, %w", errLoad, dedup.ErrGone)
)

// flying checks that every caller gets the result of a load that no caller had
// before it came, or leaves, and that a load without callers is canceled.
func flying(s *round, b *book) (check func()) {
	f := &flown{round: s, b: b}
	s.team("flights").start(8, 100, operation{"Do", f.do}, operation{"Do", f.do}, operation{"Do, wildly", f.doWildly}, operation{"DoChan", f.doChan},
		operation{"Forget", f.forget}, operation{"ForgetUnshared", func(w *worker) { f.g.ForgetUnshared(w.r.IntN(keys)) }}, operation{"InFlight", f.inFlight})
	f.alone(s)
	return f.check
}

// alone checks that a caller joins a load that is under way and not forgotten, that
// it does not join a forgotten one, and that a load is canceled when all callers
// have left.
func (f *flown) alone(s *round) {
	s.team("flights").start(2, 20, operation{"Do, all at once", func(w *worker) {
		var g dedup.Group[int, int]
		var come waitgroup.Group
		var loads atomic.Int32
		gate, told := make(chan struct{}), make(chan struct{})
		load := func(context.Context) (int, error) { loads.Add(1); <-gate; return 1, nil }
		const callers = 4
		call := func(load func(context.Context) (int, error), ctx context.Context) {
			come.Add(1)
			w.aside(func() { defer come.Done(); _, _, _ = g.Do(ctx, 1, load) })
		}
		in := func(n int) bool {
			for _, info := range g.InFlight() {
				return info.Waiters == n
			}
			return n == 0
		}
		wait := func(what string, ok func() bool) {
			for start := time.Now(); !ok() && !w.t.Failed(); w.pause() {
				if time.Since(start) > *patience {
					w.t.Errorf("flights: not %s, %d loads", what, loads.Load())
					return
				}
			}
		}
		for range callers {
			call(load, context.Background())
		}
		wait("all in one flight", func() bool { return in(callers) || loads.Load() > 1 })
		if loads.Load() > 1 {
			w.t.Errorf("flights: %d loads of one key at once", loads.Load())
		}
		g.Forget(1)
		ctx, leave := context.WithCancel(context.Background())
		call(func(ctx context.Context) (int, error) { loads.Add(1); <-ctx.Done(); close(told); return 1, nil }, ctx)
		wait("a new load after Forget", func() bool { return loads.Load() == 2 })
		leave()
		wait("told", func() bool { return isClosed(told) })
		close(gate)
		if err := come.Wait(w.ctx); err != nil {
			w.t.Error(err)
		}
	}})
}

type flown struct {
	*round
	g            dedup.Group[int, int64]
	b            *book
	clock        atomic.Int64
	known        sync.Map // when a caller first had a result
	begun, ended atomic.Int64
	betrayed     atomic.Bool // a load's context has ended without a reason
}

func (f *flown) do(w *worker) {
	ctx, done := w.until()
	defer done()
	came, how, pauses := f.clock.Add(1), w.r.IntN(8), w.r.IntN(20)
	f.b.sent.Add(1)
	var v int64
	var err error
	key := w.r.IntN(keys)
	if w.exits(ctx, func() {
		v, _, err = f.g.Do(ctx, key, func(ctx context.Context) (int64, error) { return f.load(ctx, how, pauses) })
	}) {
		f.b.received.Add(1)
		return
	}
	_, panicked := errors.AsType[*dedup.PanicError](err)
	switch {
	case errors.Is(err, errEnd):
		f.b.canceled.Add(1)
		return
	case err == nil:
		if first, ok := f.known.LoadOrStore(v, f.clock.Add(1)); ok && first.(int64) < came {
			f.t.Errorf("a caller that came at %d got the result that another had at %d", came, first)
		}
	case !panicked && !errors.Is(err, errLoad) || v != 0:
		f.t.Errorf("Do: %d, %v", v, err)
	}
	f.b.received.Add(1)
}

// doChan receives the result, or leaves it where it is.
func (f *flown) doChan(w *worker) {
	ctx, done := w.until()
	defer done()
	how, pauses := w.r.IntN(8), w.r.IntN(20)
	c := f.g.DoChan(ctx, w.r.IntN(keys), func(ctx context.Context) (int64, error) { return f.load(ctx, how, pauses) })
	if w.r.IntN(8) == 0 {
		return
	}
	r := <-c
	if _, panicked := errors.AsType[*dedup.PanicError](r.Err); r.Err != nil && (r.Value != 0 || !panicked && !errors.Is(r.Err, errEnd) && !errors.Is(r.Err, errLoad)) {
		f.t.Errorf("DoChan: %+v", r)
	}
}

// doWildly unwinds, or its Park fails.
func (f *flown) doWildly(w *worker) {
	ctx, done := w.until()
	ctx = wake.WithParker(ctx, misbehave.DrawParker(w.r))
	key, how, pauses, w := w.r.IntN(keys), w.r.IntN(8), w.r.IntN(20), w.apart()
	f.aside(func() {
		defer done()
		if v, _, err := f.g.Do(ctx, key, func(ctx context.Context) (int64, error) { return f.load(ctx, how, pauses) }); err != nil && v != 0 {
			f.t.Errorf("%s gave %d, %v", *w.doing.Load(), v, err)
		}
	})
}

// load ends in one of all ways.
func (f *flown) load(ctx context.Context, how, pauses int) (int64, error) {
	f.begun.Add(1)
	defer f.ended.Add(1)
	for range pauses {
		runtime.Gosched()
	}
	switch how {
	case 0:
		wild(true)
	case 1:
		wild(false)
	case 2:
		return 0, errLoad
	case 3: // until there are no callers, or long enough
		for range 100 {
			if ctx.Err() != nil && !errors.Is(context.Cause(ctx), dedup.ErrAbandoned) {
				f.betrayed.Store(true)
			}
			runtime.Gosched()
		}
	}
	return f.clock.Add(1), nil
}

func (f *flown) forget(w *worker) { f.g.Forget(w.r.IntN(keys)) }

func (f *flown) inFlight(*worker) {
	for key, info := range f.g.InFlight() {
		if key < 0 || key >= keys || info.Started.IsZero() {
			f.t.Errorf("in flight: %d, %v", key, info)
		}
	}
}

// check waits for the loads that have no callers.
func (f *flown) check() {
	for start := time.Now(); f.begun.Load() != f.ended.Load() && time.Since(start) < *patience; {
		runtime.Gosched()
	}
	if f.betrayed.Load() {
		f.t.Error("the context of a load has ended, but not because all had left")
	}
	if begun, ended := f.begun.Load(), f.ended.Load(); begun != ended {
		f.t.Errorf("%d loads have begun, %d ended", begun, ended)
	}
}

// caching checks that a Get never returns a version that was invalidated before the
// call, and that nothing is in flight after Close.
func caching(s *round, b *book) (check func()) {
	c := &cached{round: s, b: b}
	o := &dedup.CacheOptions[int, int64]{MaxLoads: s.r.IntN(3), MaxEntries: 2 * s.r.IntN(2), OnLoad: c.onLoad}
	if s.r.IntN(2) == 0 {
		o.TTL, o.ErrorTTL = 100*time.Microsecond, 100*time.Microsecond
	}
	if s.r.IntN(2) == 0 {
		o.OnRemove = c.onRemove
	}
	if s.r.IntN(2) == 0 {
		o.IdleTTL, o.MaxBackoff = 50*time.Microsecond, time.Millisecond
		o.ReloadWith = func(ctx context.Context, key int, _ int64) (int64, error) { return c.load(ctx, key) }
	}
	c.waits = 3 * s.r.IntN(2)
	o.MaxWaiters = c.waits
	if s.r.IntN(2) == 0 {
		o.LoadMany = c.loadMany
		o.MaxBatch = s.r.IntN(keys)
	}
	if o.MaxBatch > 0 {
		o.BatchDelay = time.Duration(s.r.IntN(2)) * 50 * time.Microsecond
	}
	var err error
	if c.c, err = dedup.NewCache(c.load, o); err != nil {
		s.t.Fatal(err)
	}
	s.team("cache").start(8, 100, operation{"Get", c.get}, operation{"GetEntry", c.getEntry}, operation{"Get, wildly", c.getWildly}, operation{"GetMany", c.getMany},
		operation{"Refresh", c.refresh}, operation{"Invalidate", c.invalidate}, operation{"Invalidate all", c.invalidateAll}, operation{"Invalidate some", c.invalidateSome},
		operation{"All", c.all}, operation{"Put", c.put})
	return c.check
}

type cached struct {
	*round
	c      *dedup.Cache[int, int64]
	b      *book
	waits  int                // callers per key; zero means no limit
	truth  [keys]atomic.Int64 // the newest version, which a load returns
	spoilt [keys]atomic.Int64 // versions below this were invalidated
	calls  atomic.Int64       // of OnLoad
}

// onRemove returns, panics or calls back.
func (c *cached) onRemove(key int, v int64, cause dedup.RemoveCause) {
	if cause < dedup.RemoveExpired || cause > dedup.RemoveReplaced {
		c.t.Errorf("version %d of key %d was removed for the reason %d", v, key, cause)
	}
	switch v % 8 {
	case 1:
		wild(false)
	case 3:
		c.c.Peek(key)
	}
}

func (c *cached) load(_ context.Context, key int) (int64, error) {
	v := c.truth[key].Load()
	runtime.Gosched()
	switch v % 16 {
	case 3:
		return 0, errLoad
	case 5:
		return 0, errGone
	case 7:
		wild(v%32 == 7)
	}
	return v, nil
}

func (c *cached) loadMany(_ context.Context, want []int) (map[int]int64, error) {
	found := make(map[int]int64)
	failed := make(dedup.KeyErrors[int])
	for _, key := range want {
		if v := c.truth[key].Load(); v%16 == 5 {
			failed[key] = errGone
		} else {
			found[key] = v
		}
		runtime.Gosched()
	}
	return found, failed
}

// onLoad returns, panics, exits or calls back.
func (c *cached) onLoad(i dedup.LoadInfo[int]) {
	switch n := c.calls.Add(1); n % 8 {
	case 1, 2:
		wild(n%8 == 1)
	case 3:
		_, _ = c.c.Get(context.Background(), (i.Key+1)%keys)
	case 4:
		c.c.Invalidate(i.Key)
	}
}

// account checks the result of a call that began when versions below floor were
// invalidated.
func (c *cached) account(key int, floor, v int64, err error) {
	c.b.sent.Add(1)
	_, panicked := errors.AsType[*dedup.PanicError](err)
	if err != nil && v != 0 {
		c.t.Errorf("key %d: version %d, %v", key, v, err)
	}
	switch {
	case errors.Is(err, misbehave.ErrOwn), errors.Is(err, errEnd), errors.Is(err, dedup.ErrTooManyWaiters) && c.waits > 0:
		c.b.canceled.Add(1)
		return
	case err == nil && v < floor:
		c.t.Errorf("key %d: version %d, after %d was invalidated", key, v, floor)
	case err != nil && !panicked && !errors.Is(err, errLoad):
		c.t.Errorf("cache: %v", err)
	}
	c.b.received.Add(1)
}

func (c *cached) get(w *worker) {
	ctx, done := w.until()
	defer done()
	key := w.r.IntN(keys)
	floor := c.spoilt[key].Load()
	var v int64
	var err error
	if w.exits(ctx, func() { v, err = c.c.Get(ctx, key) }) {
		v, err = 0, errLoad
	}
	c.account(key, floor, v, err)
}

func (c *cached) getEntry(w *worker) {
	ctx, done := w.until()
	defer done()
	key := w.r.IntN(keys)
	floor := c.spoilt[key].Load()
	var e dedup.Entry[int64]
	var err error
	if w.exits(ctx, func() { e, err = c.c.GetEntry(ctx, key) }) {
		e, err = dedup.Entry[int64]{}, errLoad
	}
	if e.HasValue != (err == nil) || err == nil && (e.Stored.IsZero() || e.Stale) {
		c.t.Errorf("key %d: %+v, %v", key, e, err)
	}
	c.account(key, floor, e.Value, err)
}

// getWildly unwinds, or its Park fails.
func (c *cached) getWildly(w *worker) {
	ctx, done := w.until()
	ctx = wake.WithParker(ctx, misbehave.DrawParker(w.r))
	key := w.r.IntN(keys)
	floor := c.spoilt[key].Load()
	c.aside(func() {
		defer done()
		v, err := c.c.Get(ctx, key)
		c.account(key, floor, v, err)
	})
}

func (c *cached) getMany(w *worker) {
	ctx, done := w.until()
	defer done()
	var floor [keys]int64
	want := make([]int, keys)
	for key := range keys {
		floor[key], want[key] = c.spoilt[key].Load(), key
	}
	found, err := c.c.GetMany(ctx, want)
	for key, v := range found {
		c.account(key, floor[key], v, nil)
	}
	if err != nil {
		c.b.sent.Add(1)
		c.b.canceled.Add(1)
	}
}

func (c *cached) refresh(w *worker) {
	ctx, done := w.until()
	defer done()
	key := w.r.IntN(keys)
	var err error
	if w.exits(ctx, func() {
		if w.r.IntN(2) == 0 {
			err = c.c.Refresh(ctx, key)
		} else {
			err = c.c.RefreshMany(ctx, []int{key})
		}
	}) {
		err = errLoad
	}
	c.account(key, 0, 0, err)
}

// invalidate makes a new version. Older ones must not be returned afterwards.
func (c *cached) invalidate(w *worker) {
	key := w.r.IntN(keys)
	v := c.truth[key].Add(1)
	c.c.Invalidate(key)
	raise(&c.spoilt[key], v)
}

func (c *cached) invalidateAll(*worker) {
	var v [keys]int64
	for key := range keys {
		v[key] = c.truth[key].Add(1)
	}
	c.c.InvalidateAll()
	for key := range keys {
		raise(&c.spoilt[key], v[key])
	}
}

// invalidateSome does so for the values of one key, also for those of loads in flight.
func (c *cached) invalidateSome(w *worker) {
	key := w.r.IntN(keys)
	v := c.truth[key].Add(1)
	c.c.InvalidateFunc(func(k int, have int64) bool { return k == key && have < v })
	raise(&c.spoilt[key], v)
}

// all checks that no version is there that was invalidated before.
func (c *cached) all(*worker) {
	var floor [keys]int64
	for key := range keys {
		floor[key] = c.spoilt[key].Load()
	}
	for key, v := range c.c.All() {
		if v < floor[key] {
			c.t.Errorf("key %d has version %d, after %d was invalidated", key, v, floor[key])
		}
		if e, ok := c.c.Entry(key); ok && e.HasValue && e.Value < floor[key] {
			c.t.Errorf("key %d has an entry of version %d, after %d was invalidated", key, e.Value, floor[key])
		}
	}
}

// put stores a version that stays valid for long, and then makes it the newest.
func (c *cached) put(w *worker) {
	key := w.r.IntN(keys)
	c.c.Put(key, c.truth[key].Load()+1000)
	c.c.Invalidate(key)
}

// raise sets it to v if it is smaller.
func raise(n *atomic.Int64, v int64) {
	for old := n.Load(); old < v && !n.CompareAndSwap(old, v); old = n.Load() {
	}
}

func (c *cached) check() {
	if err := c.c.Close(); err != nil {
		c.t.Error(err)
	}
	if _, err := c.c.Get(context.Background(), 0); !errors.Is(err, dedup.ErrClosed) {
		c.t.Errorf("after Close: %v", err)
	}
	if n := c.c.Stats().InFlight; n != 0 {
		c.t.Errorf("after Close %d are in flight", n)
	}
}
