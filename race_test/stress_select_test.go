package race_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// selects has Selects over the cases of all packages at once. Each worker uses its cases
// again at once. It checks that the case that is chosen has happened and no other one has:
// values that were stored or put are taken once, locks are held by one, and in the end
// no waiter is in line.
func selects(s *round, b *book) (check func()) {
	c := &choosing{round: s, b: b, sem: await.NewSemaphore(choicePermits), queue: await.NewQueue[int64](2)}
	serve := s.team("selects").start(5, 150,
		operation{"LoadOrStore", c.store}, operation{"Compute", c.compute}, operation{"Store to any", c.overwrite},
		operation{"Cancel", c.cancel}, operation{"Notify", c.notify}, operation{"Add and Done", c.count},
		operation{"Put", c.put}, operation{"Take", c.take}, operation{"Value.Update", c.change},
		operation{"Lock", c.lock}, operation{"Acquire", c.acquire})
	s.team("selects").start(8, 100,
		operation{"Select", c.choose}, operation{"Select of many", c.chooseMany}, operation{"Select, wildly", c.chooseWildly},
		operation{"Select while Close", c.close}, operation{"WaitAny", c.waitAny}, operation{"WaitAll", c.waitAll}, operation{"Watch", c.watch}).
		drain(c.release, serve)
	return c.check
}

// The keys of the map. No value of the first two is lost; the others have those that are
// overwritten or deleted.
const (
	keptKeys = 2
	allKeys  = 4

	choicePermits = 3
)

type choosing struct {
	*round
	b     *book
	m     waitmap.Map[int, int64]
	n     notify.Notify
	group waitgroup.Group
	mutex await.Mutex
	sem   *await.Semaphore
	queue *await.Queue[int64]
	value await.Value[uint64]

	last     atomic.Int64 // number of the last value
	seen     sync.Map     // the values that were taken
	notified atomic.Int64 // wakes that were sent
	woken    atomic.Int64 // and consumed
	alone    atomic.Int32 // those that hold the mutex
	permits  atomic.Int64
	plain    int      // guarded by mutex; the race detector looks here
	choosers sync.Map // *worker to *chooser
}

// A unit is what a worker sends. Whether a loose one arrives is not known.
func (c *choosing) unit(loose bool) int64 {
	v := c.last.Add(1)
	if loose {
		return -v
	}
	return v
}

// got records a value that was taken.
func (c *choosing) got(v int64) {
	if v == 0 {
		c.t.Error("selects: took nothing")
	} else if _, twice := c.seen.LoadOrStore(v, true); twice {
		c.t.Errorf("selects: %d was taken twice", v)
	}
	if v > 0 {
		c.b.received.Add(1)
	}
}

func (c *choosing) store(w *worker) {
	if _, loaded := c.m.LoadOrStore(w.r.IntN(keptKeys), c.unit(false)); !loaded {
		c.b.sent.Add(1)
	}
}

// compute holds a key, and leaves a value to the takers that have come meanwhile.
func (c *choosing) compute(w *worker) {
	pauses := w.r.IntN(3)
	c.m.Compute(w.r.IntN(keptKeys), func(old int64, loaded bool) (int64, waitmap.Op) {
		yields(pauses)
		if loaded {
			return old, waitmap.KeepOp
		}
		c.b.sent.Add(1)
		return c.unit(false), waitmap.StoreOp
	})
}

func (c *choosing) overwrite(w *worker) {
	key := keptKeys + w.r.IntN(allKeys-keptKeys)
	switch w.r.IntN(4) {
	case 0:
		c.m.Delete(key)
	case 1:
		c.m.Swap(key, c.unit(true))
	default:
		c.m.Store(key, c.unit(true))
	}
}

func (c *choosing) cancel(w *worker) {
	if w.r.IntN(8) == 0 {
		c.m.CancelAll()
	} else {
		c.m.Cancel(w.r.IntN(allKeys))
	}
}

func (c *choosing) notify(w *worker) {
	switch w.r.IntN(4) {
	case 0:
		c.notified.Add(int64(c.n.NotifyWaiters()))
	case 1:
		c.notified.Add(1)
		c.n.NotifyLast()
	default:
		c.notified.Add(1)
		c.n.NotifyOne()
	}
}

func (c *choosing) count(w *worker) {
	c.group.Add(1)
	yields(w.r.IntN(50))
	c.group.Done()
}

// yields lets others run. A task's Yield would let others of its loop run, which may wait
// for what it holds.
func yields(n int) {
	for range n {
		runtime.Gosched()
	}
}

func (c *choosing) lock(w *worker) {
	ctx, done := w.until()
	defer done()
	if !w.canceled(c.mutex.Lock(ctx)) {
		c.locked(w)
	}
}

func (c *choosing) acquire(w *worker) {
	ctx, done := w.until()
	defer done()
	if !w.canceled(c.sem.Acquire(ctx, 2)) {
		c.acquired(w)
	}
}

func (c *choosing) locked(w *worker) {
	if n := c.alone.Add(1); n != 1 {
		c.t.Errorf("selects: %d hold a Mutex", n)
	}
	c.plain++
	yields(w.r.IntN(100))
	c.alone.Add(-1)
	c.mutex.Unlock()
}

func (c *choosing) acquired(w *worker) {
	if n := c.permits.Add(2); n > choicePermits {
		c.t.Errorf("selects: %d permits are held", n)
	}
	yields(w.r.IntN(100))
	c.permits.Add(-2)
	c.sem.Release(2)
}

func (c *choosing) put(w *worker) {
	ctx, done := w.until()
	defer done()
	if v := c.unit(false); w.r.IntN(2) == 0 {
		if c.queue.TryPut(v) {
			c.b.sent.Add(1)
		}
	} else if timed, stop := context.WithTimeoutCause(ctx, time.Millisecond, errEnd); !w.canceled(c.queue.Put(timed, v)) {
		stop()
		c.b.sent.Add(1)
	} else {
		stop()
	}
}

func (c *choosing) take(*worker) {
	if v, ok := c.queue.TryTake(); ok {
		c.got(v)
	}
}

func (c *choosing) change(*worker) {
	c.value.Update(func(old uint64) uint64 { return old + 1 })
}

// release releases all waiters but those of the locks and of the Group, which are free
// soon.
func (c *choosing) release() {
	for key := range allKeys {
		if v, ok := c.m.LoadAndDelete(key); ok { // a Watch waits for another
			c.got(v)
		}
		if v := c.unit(key >= keptKeys); key >= keptKeys {
			c.m.Store(key, v)
		} else if _, loaded := c.m.LoadOrStore(key, v); !loaded {
			c.b.sent.Add(1)
		}
	}
	c.notified.Add(1)
	c.n.NotifyOne()
	c.take(nil)
	c.take(nil)
	c.take(nil)
	if v := c.unit(false); c.queue.TryPut(v) {
		c.b.sent.Add(1)
	}
	c.change(nil)
}

// A chooser has the cases of a worker, and what they assign.
type chooser struct {
	*choosing
	cases   []choice
	put     int64 // the value of the last OnPut
	version uint64
}

// A choice is a case, and what to do when it was chosen.
type choice struct {
	wake.Case
	v      *int64 // what it assigns; nil: nothing
	takes  bool   // *v was taken
	mapped bool   // a case of the map, which may be canceled
	done   func(w *worker)
}

func (c *choosing) chooser(w *worker) *chooser {
	if h, ok := c.choosers.Load(w); ok {
		return h.(*chooser)
	}
	h := &chooser{choosing: c}
	for key := range allKeys {
		taken, stored := new(int64), new(int64)
		h.cases = append(h.cases,
			choice{Case: c.m.OnTake(key, taken), v: taken, takes: true, mapped: true},
			choice{Case: c.m.OnStore(key, stored), v: stored, mapped: true})
	}
	taken := new(int64)
	h.cases = append(h.cases,
		choice{Case: c.queue.OnTake(taken), v: taken, takes: true},
		choice{Case: c.n.OnNotify(), done: func(*worker) { c.woken.Add(1) }},
		choice{Case: c.group.OnZero()},
		choice{Case: c.mutex.OnLock(), done: h.locked},
		choice{Case: c.sem.OnAcquire(2), done: h.acquired},
		choice{Case: await.After(time.Duration(1+w.r.IntN(50)) * time.Microsecond)})
	c.choosers.Store(w, h)
	return h
}

// draw returns up to n of the cases, and puts a value of the given kind.
func (h *chooser) draw(w *worker, n int, loose bool) (drawn []choice) {
	h.put = h.unit(loose)
	_, known := h.value.Load()
	x := new(uint64)
	all := append(h.cases[:len(h.cases):len(h.cases)],
		choice{Case: h.queue.OnPut(h.put), done: func(*worker) {
			if h.put > 0 {
				h.b.sent.Add(1)
			}
		}},
		choice{Case: h.value.OnNewer(known, x, &h.version), done: func(*worker) {
			if *x != h.version || *x <= known {
				h.t.Errorf("selects: %d of version %d, when %d was known", *x, h.version, known)
			}
		}})
	for range n {
		drawn = append(drawn, all[w.r.IntN(len(all))]) // some are given twice
	}
	for _, c := range drawn {
		if c.v != nil {
			*c.v = 0
		}
	}
	return drawn
}

// wait waits for one of the cases and checks what it got.
func (h *chooser) wait(w *worker, ctx context.Context, cases []choice) {
	list := make([]wake.Case, len(cases))
	for i, c := range cases {
		list[i] = c.Case
	}
	i, err := await.Select(ctx, list...)
	for _, c := range cases {
		if c.v != nil && *c.v != 0 && (err != nil || c.v != cases[i].v) {
			h.t.Errorf("selects: case %d was chosen (%v), and yet another one has got %d", i, err, *c.v)
		}
	}
	switch {
	case i < 0 && errors.Is(err, misbehave.ErrOwn):
	case i < 0:
		w.canceled(err)
	case err != nil:
		if !cases[i].mapped || !errors.Is(err, waitmap.ErrCanceled) {
			h.t.Errorf("selects: %v", err)
		}
	case cases[i].done != nil:
		cases[i].done(w)
	case cases[i].takes:
		h.got(*cases[i].v)
	case cases[i].v != nil && *cases[i].v == 0:
		h.t.Error("selects: saw nothing")
	}
}

func (c *choosing) choose(w *worker) {
	h := c.chooser(w)
	for range 1 + w.r.IntN(3) { // the same cases, some of them, at once
		ctx, done := w.until()
		h.wait(w, ctx, h.draw(w, 1+w.r.IntN(4), false))
		done()
	}
}

func (c *choosing) chooseMany(w *worker) {
	ctx, done := w.until()
	defer done()
	h := c.chooser(w)
	h.wait(w, ctx, h.draw(w, 5+w.r.IntN(12), false))
}

// chooseWildly does not take values that a store may overwrite when they are given back.
func (c *choosing) chooseWildly(w *worker) {
	h := c.chooser(w)
	var cases []choice
	for _, d := range h.draw(w, 1+w.r.IntN(8), true) {
		if !d.takes || !d.mapped {
			cases = append(cases, d)
		}
	}
	key := keptKeys + w.r.IntN(allKeys-keptKeys)
	cases = append(cases, h.cases[2*key])
	*h.cases[2*key].v = 0
	ctx, done := w.until()
	ctx = wake.WithParker(ctx, misbehave.DrawParker(w.r))
	w.rashly(func() {
		defer done()
		h.wait(w, ctx, cases)
	})
}

// close closes a map while a Select is over two of its keys and the value of one is under
// way: it is taken or still there.
func (c *choosing) close(w *worker) {
	var m waitmap.Map[int, int64]
	var there, taken int64
	v, pauses := c.unit(true), w.r.IntN(20)
	var g waitgroup.Group
	g.Add(2)
	w.aside(func() {
		defer g.Done()
		yields(pauses)
		m.Store(1, v)
	})
	w.aside(func() {
		defer g.Done()
		yields(19 - pauses)
		w.must(m.Close())
	})
	i, err := await.Select(w.ctx, m.OnStore(0, &there), m.OnTake(1, &taken))
	if err := g.Wait(w.ctx); err != nil {
		c.t.Error(err)
	}
	left, ok := m.Load(1)
	switch {
	case err == nil && (i != 1 || taken != v || ok):
		c.t.Errorf("selects: case %d has got %d, and %d (%v) is left", i, taken, left, ok)
	case err != nil && (!errors.Is(err, waitmap.ErrClosed) || taken != 0 || left != v):
		c.t.Errorf("selects: %v, has got %d, and %d is left", err, taken, left)
	}
	if m.Waiters(0)+m.Waiters(1) != 0 {
		c.t.Error("selects: there are waiters in a closed map")
	}
}

// ended reports whether a wait of the map has failed.
func (c *choosing) ended(w *worker, err error) bool {
	return errors.Is(err, waitmap.ErrCanceled) || w.canceled(err)
}

func (c *choosing) waitAny(w *worker) {
	ctx, done := w.until()
	defer done()
	keys := make([]int, 100)
	for i := range keys {
		keys[i] = 1000 + i // empty
	}
	for range 3 {
		keys[w.r.IntN(len(keys))] = w.r.IntN(allKeys)
	}
	if k, v, err := c.m.WaitAny(ctx, keys...); !c.ended(w, err) && (k >= allKeys || v == 0) {
		c.t.Errorf("selects: WaitAny has got %d for %d", v, k)
	}
}

func (c *choosing) waitAll(w *worker) {
	ctx, done := w.until()
	defer done()
	values, err := c.m.WaitAll(ctx, 0, 3, 0, 2, 3)
	if !c.ended(w, err) && (len(values) != 3 || values[0] == 0 || values[2] == 0 || values[3] == 0) {
		c.t.Errorf("selects: WaitAll has got %v", values)
	}
}

// watch leaves the loop by a break, a panic or at the end of the context.
func (c *choosing) watch(w *worker) {
	ctx, done := w.until()
	most, how, key := w.r.IntN(4), misbehave.Strike(w.r.IntN(3)), w.r.IntN(allKeys)
	w.rashly(func() {
		defer done()
		for v, err := range c.m.Watch(wake.WithParker(ctx, nil), key) {
			if c.ended(w, err) {
				return
			}
			if v == 0 {
				c.t.Error("selects: Watch has shown nothing")
			}
			if most--; most < 0 {
				_ = how.Do()
				break
			}
		}
	})
}

func (c *choosing) check() {
	for key := range allKeys {
		if v, ok := c.m.LoadAndDelete(key); ok {
			c.got(v)
		}
	}
	for v, ok := c.queue.TryTake(); ok; v, ok = c.queue.TryTake() {
		c.got(v)
	}
	if c.woken.Load() > c.notified.Load() {
		c.t.Errorf("selects: %d were woken by %d wakes", c.woken.Load(), c.notified.Load())
	}
	if !c.mutex.TryLock() || !c.sem.TryAcquire(choicePermits) {
		c.t.Error("selects: in the end the locks are held")
	}
	for key, info := range c.m.Waiting() {
		c.t.Errorf("selects: %d still wait for key %d", info.Waiters, key)
	}
	putters, takers := c.queue.Waiters()
	if n := putters + takers + c.n.Waiters() + c.mutex.Waiters() + c.sem.Waiters() + c.value.Waiters(); n != 0 {
		c.t.Errorf("selects: %d still wait", n)
	}
}
