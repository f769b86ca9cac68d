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

// poison is stored to let those go who wait when nothing is sent any more.
const poison = -1

// queue: each value that is put into the map leaves it once: by Take, by a
// change that says what was there, or it lies there in the end.
func queue(s *storm, b *book) (check func()) {
	const senders, times = 4, 150
	q := &queueing{storm: s, m: new(waitmap.Map[int, int]), b: b, left: make([]atomic.Int32, 1+senders*times)}
	send := s.crew("queue").hire(senders, times,
		deed{"Swap", q.swap}, deed{"LoadOrStore", q.loadOrStore}, deed{"Compute", q.compute},
		deed{"CompareAndSwap", q.compareAndSwap}, deed{"Compute, wildly", q.computeWildly}, deed{"grow", q.grow})
	take := s.crew("queue").hire(4, 150,
		deed{"Take", q.take}, deed{"LoadAndDelete", q.loadAndDelete}, deed{"CompareAndDelete", q.compareAndDelete},
		deed{"WaitCompute", q.waitCompute}, deed{"Wait", q.witness}, deed{"Load", q.load})
	take.drain(func() {
		for key := range keys {
			q.m.LoadOrStore(key, poison)
		}
	}, send)
	return q.check
}

type queueing struct {
	*storm
	m     *waitmap.Map[int, int]
	b     *book
	next  atomic.Int64
	left  []atomic.Int32 // how often a value has left the map
	grown atomic.Int64
}

// gone notes that a value has left the map.
func (q *queueing) gone(v int) {
	if v != poison {
		q.left[v].Add(1)
		q.b.received.Add(1)
	}
}

// fresh is a value that nobody else sends. It is not zero.
func (q *queueing) fresh() int { return int(q.next.Add(1)) }

// absent: what is not there has no value.
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
		q.gone(v) // it never was there
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
		return v, waitmap.Set
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

// computeWildly changes nothing: its function does not return.
func (q *queueing) computeWildly(w *worker) {
	key, exit := w.r.IntN(keys), w.r.IntN(2) == 0
	w.rashly(func() {
		q.m.Compute(key, func(int, bool) (int, waitmap.Op) {
			wild(exit)
			return poison, waitmap.Set
		})
	})
}

// grow has the table of the key's shard replaced, both ways.
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
		return old, waitmap.Remove
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
	noneWait(q.storm, q.m)
}

func noneWait[V any](s *storm, m *waitmap.Map[int, V]) {
	for key, info := range m.Waiting() {
		s.t.Errorf("%d still wait for key %d", info.Waiters, key)
	}
}

// rendezvous: of those who wait each gets a value, has canceled, or was counted
// by somebody's Cancel; and a waker is woken once, or stopped.
func rendezvous(s *storm, b *book) (check func()) {
	m := &meeting{storm: s, m: new(waitmap.Map[int, int]), b: b}
	store := s.crew("rendezvous").hire(3, 150,
		deed{"Store", m.store}, deed{"Delete", m.delete}, deed{"Cancel", m.cancel},
		deed{"Clear", m.clear}, deed{"grow", m.grow})
	wait := s.crew("rendezvous").hire(6, 120,
		deed{"Wait", m.wait}, deed{"WaitNext", m.waitNext}, deed{"Register, Wait", m.future},
		deed{"Register a waker", m.register}, deed{"Close", m.close}, deed{"WaitNext, of its own", m.ownNext}, deed{"WaitFor, wildly", m.waitForWildly})
	wait.drain(func() {
		for key := range keys {
			m.m.LoadOrStore(key, key) // who waits for what is there sleeps on
			m.next.Store(key, key)
			m.wild.Store(key, key)
		}
	}, store)
	return m.check
}

type meeting struct {
	*storm
	m        *waitmap.Map[int, int]
	next     waitmap.Map[int, int] // for WaitNext, which waits though the key is there
	wild     waitmap.Map[int, int] // apart: Cancel may count a WaitFor that has its value
	b        *book
	released atomic.Int64 // as Cancel and CancelAll say
	noticed  atomic.Int64 // as those say who waited
	grown    atomic.Int64
	bells    bells
}

func (m *meeting) store(w *worker) {
	key := w.r.IntN(keys)
	m.m.Store(key, key)
	m.next.Store(key, key)
	m.wild.Store(w.r.IntN(keys), w.r.IntN(2*keys)) // seldom what is waited for
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

// account enters how a wait for key has ended.
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

// future waits for a Future that others wait for too, and stops it if its own
// context ended.
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
	r := new(bell)
	f := m.m.Register(w.r.IntN(keys), r)
	for range w.r.IntN(4) {
		w.pause()
	}
	if w.r.IntN(2) == 0 {
		r.stopped = f.Stop()
	}
	m.bells.add(r, func() {
		if _, _, err := f.Result(); !r.stopped && errors.Is(err, waitmap.ErrCanceled) {
			m.noticed.Add(1)
		}
	})
}

// waitForWildly leaves the line by a panic or the end of its goroutine; it is
// in line even while it looks at a value that is there.
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

// ownNext: WaitNext gives what is stored after it came, not what is there.
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

// close closes a map of its own under those who come.
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
		m.m.LoadOrStore(key, key) // for those who registered last
	}
	m.bells.check(m.storm, m.b)
	if released, noticed := m.released.Load(), m.noticed.Load(); released != noticed {
		m.t.Errorf("Cancel has released %d, of which %d know", released, noticed)
	}
	noneWait(m.storm, m.m)
	noneWait(m.storm, &m.next)
	noneWait(m.storm, &m.wild)
}
