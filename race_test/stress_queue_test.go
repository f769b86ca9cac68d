package race_test

import (
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// values checks that each value that is put into a Queue is taken once, whatever the kinds
// of waits and whichever of them give up, unwind or are refused. A value that was not put
// counts as canceled.
func values(s *round, b *book) (check func()) {
	const putters, times = 5, 150
	v := &valued{round: s, b: b, left: make([]atomic.Int32, 1+8*putters*times)}
	v.q, v.beside = await.NewQueue[int](1+s.r.IntN(3)), await.NewQueue[int](1+s.r.IntN(2))
	put := s.team("values").start(putters, times,
		operation{"Put", v.put}, operation{"TryPut", v.tryPut}, operation{"OnPut", v.onPut}, operation{"Put, wildly", v.putWildly})
	take := s.team("values").start(5, 150,
		operation{"Take", v.take}, operation{"TryTake", v.tryTake}, operation{"All", v.takeAll}, operation{"OnTake", v.onTake},
		operation{"Take, wildly", v.takeWildly}, operation{"Take, bad context", v.takeBadly})
	s.team("values").start(3, 100, operation{"pass on", v.pass}, operation{"pass back", v.passBack}, operation{"Close", v.closing})
	put.drain(func() { v.got(v.q.TryTake()) }, take)
	take.drain(func() { v.q.TryPut(poison) }, put)
	return v.check
}

// valued has two Queues. Waits next to the workers end, because drain does not see
// them. So do waits for the second Queue alone. A worker waits for the first one, where
// either putters wait, until the takers are done, or takers.
type valued struct {
	*round
	q, beside *await.Queue[int]
	b         *book
	next      atomic.Int64
	left      []atomic.Int32 // how often a value has left the Queues
	unknown   [1 << 12]atomic.Int64
	unknowns  atomic.Int64 // values whose Put has unwound
}

func (v *valued) fresh() int {
	v.b.sent.Add(1)
	return int(v.next.Add(1))
}

// sent counts a value that was not put.
func (v *valued) sent(w *worker, err error) {
	if w.canceled(err) {
		v.b.canceled.Add(1)
	}
}

// got counts a value that was taken.
func (v *valued) got(value int, ok bool) {
	switch {
	case !ok && value != 0:
		v.t.Errorf("values: %d was taken, and not", value)
	case ok && value == 0:
		v.t.Error("values: a zero value was taken that was not put")
	case ok && value != poison:
		v.left[value].Add(1)
		v.b.received.Add(1)
	}
}

func (v *valued) put(w *worker) {
	ctx, done := w.until()
	defer done()
	v.sent(w, v.q.Put(ctx, v.fresh()))
}

func (v *valued) tryPut(*worker) {
	if !v.q.TryPut(v.fresh()) {
		v.b.canceled.Add(1)
	}
}

func (v *valued) onPut(w *worker) {
	ctx, done := w.until()
	defer done()
	_, err := await.Select(ctx, v.q.OnPut(v.fresh()))
	v.sent(w, err)
}

// putWildly unwinds, or its Park fails. If it unwinds, the value may have been put.
func (v *valued) putWildly(w *worker) {
	selects, p, w := w.r.IntN(2) == 0, misbehave.DrawParker(w.r), w.apart()
	ctx := wake.WithParker(w.soon(), p)
	w.aside(func() {
		value, returned := v.fresh(), false
		defer func() {
			if !returned {
				v.unknown[v.unknowns.Add(1)].Store(int64(value))
			}
		}()
		var err error
		if selects {
			_, err = await.Select(ctx, nil, v.q.OnPut(value))
		} else {
			err = v.q.Put(ctx, value)
		}
		returned = true
		if errors.Is(err, misbehave.ErrOwn) {
			err = errEnd
		}
		v.sent(w, err)
	})
}

func (v *valued) take(w *worker) {
	ctx, done := w.until()
	defer done()
	value, err := v.q.Take(ctx)
	v.got(value, !w.canceled(err))
}

func (v *valued) tryTake(*worker) { v.got(v.q.TryTake()) }

func (v *valued) takeAll(w *worker) {
	ctx, done := w.until()
	defer done()
	n := w.r.IntN(4)
	for value, err := range v.q.All(ctx) {
		v.got(value, !w.canceled(err))
		if n--; n < 0 {
			break
		}
	}
}

func (v *valued) onTake(w *worker) {
	ctx, done := w.until()
	defer done()
	value := 0
	_, err := await.Select(ctx, v.q.OnTake(&value), v.beside.OnTake(&value))
	v.got(value, !w.canceled(err))
}

// takeWildly unwinds, or its Park fails. If it was handed a value and unwinds, the value
// goes back.
func (v *valued) takeWildly(w *worker) {
	selects, p, w := w.r.IntN(2) == 0, misbehave.DrawParker(w.r), w.apart()
	ctx := wake.WithParker(w.soon(), p)
	w.aside(func() {
		var value int
		var err error
		if selects {
			_, err = await.Select(ctx, v.beside.OnTake(&value), v.q.OnTake(&value))
		} else {
			value, err = v.q.Take(ctx)
		}
		if errors.Is(err, misbehave.ErrOwn) {
			err = errEnd
		}
		v.got(value, !w.canceled(err))
	})
}

// takeBadly takes under a misbehaving context.
func (v *valued) takeBadly(w *worker) {
	ctx, pauses, w := misbehave.DrawContext(w.r), w.r.IntN(30), w.apart()
	w.aside(func() {
		for range pauses {
			runtime.Gosched()
		}
		ctx.End()
	})
	w.aside(func() {
		value, err := v.q.Take(ctx)
		if v.got(value, err == nil); err != nil {
			w.must(ctx.Check(err))
		}
	})
}

// pass puts into one Queue or takes from the other, by one case after the other.
func (v *valued) pass(w *worker) { v.either(w, v.q, v.beside) }

func (v *valued) passBack(w *worker) { v.either(w, v.beside, v.q) }

func (v *valued) either(w *worker, from, to *await.Queue[int]) {
	taken, value := 0, v.fresh()
	cases := []wake.Case{from.OnTake(&taken), to.OnPut(value)}
	if w.r.IntN(2) == 0 {
		cases[0], cases[1] = cases[1], cases[0]
	}
	for range 3 { // the cases are used again
		chosen, err := await.Select(w.soon(), cases...)
		if put := err == nil && taken == 0; put {
			return
		}
		if !w.canceled(err) {
			v.got(taken, chosen >= 0)
			taken = 0
		}
	}
	v.b.canceled.Add(1)
}

// closing has a Queue of its own, which is closed under its putters and takers.
func (v *valued) closing(w *worker) {
	q := await.NewQueue[int](1 + w.r.IntN(3))
	var put, taken, refused atomic.Int64
	var beside waitgroup.Group
	start := func(f func(w *worker)) {
		beside.Add(1)
		a := w.apart()
		a.ctx = a.soon()
		w.aside(func() {
			defer beside.Done()
			for range 10 {
				f(a)
			}
		})
	}
	for range 3 {
		start(func(w *worker) {
			err := q.Put(w.ctx, 1)
			switch {
			case err == nil:
				put.Add(1)
			case err == await.ErrClosed || w.canceled(err):
				refused.Add(1)
			}
		})
		start(func(w *worker) {
			value := 0
			_, err := await.Select(w.ctx, q.OnTake(&value))
			if err != await.ErrClosed && !w.canceled(err) {
				taken.Add(int64(value))
			}
		})
	}
	for range w.r.IntN(20) {
		w.pause()
	}
	w.must(q.Close())
	w.must(beside.Wait(w.ctx))
	for value, err := range q.All(w.ctx) {
		w.must(err)
		taken.Add(int64(value))
	}
	putters, takers := q.Waiters()
	if put.Load() != taken.Load() || put.Load()+refused.Load() != 30 || putters+takers > 0 {
		w.t.Errorf("Close: %d put, %d taken, %d refused, %d and %d wait", put.Load(), taken.Load(), refused.Load(), putters, takers)
	}
}

func (v *valued) check() {
	for _, q := range []*await.Queue[int]{v.q, v.beside} {
		if putters, takers := q.Waiters(); putters+takers > 0 {
			v.t.Errorf("values: %d putters and %d takers still wait", putters, takers)
		}
		for value, ok := q.TryTake(); ok; value, ok = q.TryTake() {
			v.got(value, true)
		}
	}
	for i := range v.unknowns.Load() {
		if v.left[v.unknown[1+i].Load()].Load() == 0 { // it was not put
			v.b.canceled.Add(1)
		}
	}
	for value := range v.left {
		if n := v.left[value].Load(); n > 1 {
			v.t.Errorf("values: %d was taken %d times", value, n)
		}
	}
}
