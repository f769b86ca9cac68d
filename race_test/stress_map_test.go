package race_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

const keys = 4

// poison is stored to release the waiters when no more values are sent.
const poison = -1

// queue checks that each value that is put into the map leaves it once, by Take or
// by a change that returns the old value, or is in the map at the end.
func queue(s *round, b *book) (check func()) {
	const senders, times = 4, 150
	q := &queueing{round: s, m: new(waitmap.Map[int, int]), b: b, left: make([]atomic.Int32, 1+senders*times)}
	send := s.team("queue").start(senders, times,
		operation{"Swap", q.swap}, operation{"LoadOrStore", q.loadOrStore}, operation{"Compute", q.compute},
		operation{"CompareAndSwap", q.compareAndSwap}, operation{"Compute, wildly", q.computeWildly}, operation{"grow", q.grow})
	take := s.team("queue").start(4, 150,
		operation{"Take", q.take}, operation{"LoadAndDelete", q.loadAndDelete}, operation{"CompareAndDelete", q.compareAndDelete},
		operation{"WaitCompute", q.waitCompute}, operation{"Wait", q.witness}, operation{"Load", q.load})
	take.drain(func() {
		for key := range keys {
			q.m.LoadOrStore(key, poison)
		}
	}, send)
	return q.check
}

type queueing struct {
	*round
	m     *waitmap.Map[int, int]
	b     *book
	next  atomic.Int64
	left  []atomic.Int32 // how often a value has left the map
	grown atomic.Int64
}

// gone records that a value has left the map.
func (q *queueing) gone(v int) {
	if v != poison {
		q.left[v].Add(1)
		q.b.received.Add(1)
	}
}

// fresh returns a value that no other worker sends. It is not zero.
func (q *queueing) fresh() int { return int(q.next.Add(1)) }

// absent checks that the result for an absent key is zero.
func (q *queueing) absent(w *worker, v int, there bool) {
	if !there && v != 0 {
		q.t.Errorf("%s gave %d, and it is not there", *w.doing.Load(), v)
	}
}

func (q *queueing) swap(w *worker) {
	q.b.sent.Add(1)
	old, loaded := q.m.Swap(w.r.IntN(keys), q.fresh())
	q.absent(w, old, loaded)
	if loaded {
		q.gone(old)
	}
}

func (q *queueing) loadOrStore(w *worker) {
	v := q.fresh()
	q.b.sent.Add(1)
	if _, loaded := q.m.LoadOrStore(w.r.IntN(keys), v); loaded {
		q.gone(v) // it was never in the map
	}
}

func (q *queueing) compute(w *worker) {
	v := q.fresh()
	q.b.sent.Add(1)
	q.m.Compute(w.r.IntN(keys), func(old int, loaded bool) (int, waitmap.Op) {
		runtime.Gosched()
		q.absent(w, old, loaded)
		if loaded {
			q.gone(old)
		}
		return v, waitmap.StoreOp
	})
}

func (q *queueing) compareAndSwap(w *worker) {
	key, v := w.r.IntN(keys), q.fresh()
	q.b.sent.Add(1)
	old, loaded := q.m.Load(key)
	q.absent(w, old, loaded)
	if loaded && old != poison && waitmap.CompareAndSwap(q.m, key, old, v) {
		q.gone(old)
	} else {
		q.gone(v)
	}
}

// computeWildly changes nothing, because its function does not return.
func (q *queueing) computeWildly(w *worker) {
	key, exit := w.r.IntN(keys), w.r.IntN(2) == 0
	w.rashly(func() {
		q.m.Compute(key, func(int, bool) (int, waitmap.Op) {
			wild(exit)
			return poison, waitmap.StoreOp
		})
	})
}

// grow makes the table of the key's shard grow and shrink.
func (q *queueing) grow(*worker) {
	first := 1000 * int(1+q.grown.Add(1))
	for key := first; key < first+100; key++ {
		q.m.Store(key, poison)
	}
	for key := first; key < first+100; key++ {
		q.m.Delete(key)
	}
}

func (q *queueing) take(w *worker) {
	ctx, done := w.until()
	defer done()
	v, err := q.m.Take(ctx, w.r.IntN(keys))
	q.absent(w, v, err == nil)
	if !w.canceled(err) {
		q.gone(v)
	}
}

func (q *queueing) load(w *worker) {
	v, ok := q.m.Load(w.r.IntN(keys))
	q.absent(w, v, ok)
}

func (q *queueing) loadAndDelete(w *worker) {
	v, loaded := q.m.LoadAndDelete(w.r.IntN(keys))
	q.absent(w, v, loaded)
	if loaded {
		q.gone(v)
	}
}

func (q *queueing) compareAndDelete(w *worker) {
	key := w.r.IntN(keys)
	if v, ok := q.m.Load(key); ok && waitmap.CompareAndDelete(q.m, key, v) {
		q.gone(v)
	}
}

func (q *queueing) waitCompute(w *worker) {
	ctx, done := w.until()
	defer done()
	v, err := q.m.WaitCompute(ctx, w.r.IntN(keys), func(old int) (int, waitmap.Op) {
		runtime.Gosched()
		return old, waitmap.DeleteOp
	})
	q.absent(w, v, err == nil)
	if !w.canceled(err) {
		q.gone(v)
	}
}

func (q *queueing) witness(w *worker) {
	ctx, done := w.until()
	defer done()
	v, err := q.m.Wait(ctx, w.r.IntN(keys))
	q.absent(w, v, err == nil)
	if !w.canceled(err) && int64(v) > q.next.Load() {
		q.t.Errorf("Wait gave %d, which was never stored", v)
	}
}

func (q *queueing) check() {
	for _, v := range q.m.All() {
		q.gone(v)
	}
	for v := int64(1); v <= q.next.Load(); v++ {
		if n := q.left[v].Load(); n != 1 {
			q.t.Errorf("value %d has left the map %d times", v, n)
		}
	}
	noneWait(q.round, q.m)
}

func noneWait[V any](s *round, m *waitmap.Map[int, V]) {
	for key, info := range m.Waiting() {
		s.t.Errorf("%d still wait for key %d", info.Waiters, key)
	}
}

// rendezvous checks that each waiter gets a value, was canceled by its context, or
// was counted by a Cancel, and that a waker is called once or was stopped.
func rendezvous(s *round, b *book) (check func()) {
	m := &meeting{round: s, m: new(waitmap.Map[int, int]), b: b}
	store := s.team("rendezvous").start(3, 150,
		operation{"Store", m.store}, operation{"Delete", m.delete}, operation{"Cancel", m.cancel},
		operation{"Clear", m.clear}, operation{"grow", m.grow})
	wait := s.team("rendezvous").start(6, 120,
		operation{"Wait", m.wait}, operation{"WaitNext", m.waitNext}, operation{"Register, Wait", m.future},
		operation{"Register a waker", m.register}, operation{"Close", m.close}, operation{"WaitNext, of its own", m.ownNext}, operation{"WaitFor, wildly", m.waitForWildly})
	wait.drain(func() {
		for key := range keys {
			m.m.LoadOrStore(key, key) // a waiter would sleep on if the key were present
			m.next.Store(key, key)
			m.wild.Store(key, key)
		}
	}, store)
	return m.check
}

type meeting struct {
	*round
	m        *waitmap.Map[int, int]
	next     waitmap.Map[int, int] // for WaitNext, which waits even if the key is present
	wild     waitmap.Map[int, int] // separate: Cancel may count a WaitFor that already has its value
	b        *book
	released atomic.Int64 // the sum of the results of Cancel and CancelAll
	noticed  atomic.Int64 // waits that returned as released by these
	grown    atomic.Int64
	wakers   wakers
}

func (m *meeting) store(w *worker) {
	key := w.r.IntN(keys)
	m.m.Store(key, key)
	m.next.Store(key, key)
	m.wild.Store(w.r.IntN(keys), w.r.IntN(2*keys)) // rarely the value that is waited for
}

func (m *meeting) delete(w *worker) { m.m.Delete(w.r.IntN(keys)) }
func (m *meeting) clear(*worker)    { m.m.Clear() }

func (m *meeting) cancel(w *worker) {
	if w.r.IntN(4) == 0 {
		m.released.Add(int64(m.m.CancelAll()))
	} else {
		m.released.Add(int64(m.m.Cancel(w.r.IntN(keys)) + m.next.Cancel(w.r.IntN(keys))))
	}
}

func (m *meeting) grow(w *worker) {
	first := 1000 * int(1+m.grown.Add(1))
	for key := first; key < first+100; key++ {
		m.m.Store(key, key)
	}
}

// account checks and counts how a wait for key has ended.
func (m *meeting) account(w *worker, key, v int, err error) {
	m.b.sent.Add(1)
	if err != nil && v != 0 {
		m.t.Errorf("%s failed and gave %d", *w.doing.Load(), v)
	}
	switch {
	case errors.Is(err, waitmap.ErrCanceled):
		m.noticed.Add(1)
		m.b.canceled.Add(1)
	case w.canceled(err):
		m.b.canceled.Add(1)
	case v != key:
		m.t.Errorf("%s of key %d gave %d", *w.doing.Load(), key, v)
	default:
		m.b.received.Add(1)
	}
}

func (m *meeting) wait(w *worker) {
	ctx, done := w.until()
	defer done()
	key := w.r.IntN(keys)
	v, err := m.m.Wait(ctx, key)
	m.account(w, key, v, err)
}

func (m *meeting) waitNext(w *worker) {
	ctx, done := w.until()
	defer done()
	key := w.r.IntN(keys)
	v, err := m.next.WaitNext(ctx, key)
	m.account(w, key, v, err)
}

// future waits for a Future together with other waiters, and stops it if its own
// context has ended.
func (m *meeting) future(w *worker) {
	ctx, done := w.until()
	defer done()
	key := w.r.IntN(keys)
	f := m.m.Register(key, nil)
	if w.r.IntN(2) == 0 {
		ctx := wake.WithParker(ctx, nil)
		m.aside(func() {
			if _, err := f.Wait(ctx); err != nil && !errors.Is(err, errEnd) && !errors.Is(err, waitmap.ErrCanceled) {
				m.t.Error(err)
			}
		})
	}
	v, err := f.Wait(ctx)
	if errors.Is(err, errEnd) && !f.Stop() {
		v, _, err = f.Result()
	}
	m.account(w, key, v, err)
}

func (m *meeting) register(w *worker) {
	r := new(countingWaker)
	f := m.m.Register(w.r.IntN(keys), r)
	for range w.r.IntN(4) {
		w.pause()
	}
	if w.r.IntN(2) == 0 {
		r.stopped = f.Stop()
	}
	m.wakers.add(r, func() {
		if _, _, err := f.Result(); !r.stopped && errors.Is(err, waitmap.ErrCanceled) {
			m.noticed.Add(1)
		}
	})
}

// waitForWildly leaves the line by a panic or the end of its goroutine. It is in
// line even while it looks at a present value.
func (m *meeting) waitForWildly(w *worker) {
	ctx, done := w.until()
	defer done()
	key, exit := w.r.IntN(keys), w.r.IntN(2) == 0
	w.rashly(func() {
		_, _ = m.wild.WaitFor(wake.WithParker(ctx, nil), key, func(v int) bool {
			if v == key {
				wild(exit)
			}
			return false
		})
	})
}

// ownNext checks that WaitNext returns a value that is stored after the call, not
// the present one.
func (m *meeting) ownNext(w *worker) {
	var own waitmap.Map[int, int]
	var come waitgroup.Group
	own.Store(1, 1)
	come.Add(1)
	m.aside(func() {
		defer come.Done()
		if v, err := own.WaitNext(context.Background(), 1); v != 2 || err != nil {
			m.t.Errorf("WaitNext gave %d, %v: that was there before", v, err)
		}
	})
	for come.Count() > 0 && own.Waiters(1) == 0 {
		w.pause()
	}
	own.Store(1, 2)
	if err := come.Wait(w.ctx); err != nil {
		m.t.Error(err)
	}
}

// close closes a map of its own while other goroutines call it.
func (m *meeting) close(w *worker) {
	var own waitmap.Map[int, int]
	var come waitgroup.Group
	for key := range keys {
		come.Add(1)
		m.aside(func() {
			defer come.Done()
			if _, err := own.Wait(context.Background(), key); !errors.Is(err, waitmap.ErrClosed) {
				m.t.Errorf("Wait on a closed map: %v", err)
			}
		})
	}
	if err := errors.Join(own.Close(), come.Wait(w.ctx)); err != nil {
		m.t.Error(err)
	}
}

func (m *meeting) check() {
	for key := range keys {
		m.m.LoadOrStore(key, key) // for the waiters that registered last
	}
	m.wakers.check(m.round, m.b)
	if released, noticed := m.released.Load(), m.noticed.Load(); released != noticed {
		m.t.Errorf("Cancel has released %d, of which %d know", released, noticed)
	}
	noneWait(m.round, m.m)
	noneWait(m.round, &m.next)
	noneWait(m.round, &m.wild)
}
