package race_test

import (
	"context"
	"errors"
	"sync"

	"github.com/vigil-go/vigil/internal/hostile"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// unruly: whatever parkers, wakers and contexts do, who waits in a Map beside
// them is served, and nobody stays in line.
func unruly(s *storm, _ *book) (check func()) {
	u := &unrulies{storm: s}
	s.crew("unruly").hire(3, 25,
		deed{"Wait in company", u.waits}, deed{"Take in company", u.takes}, deed{"Future.Wait in company", u.joins},
		deed{"waits until Cancel or Close, in company", u.ends}, deed{"Store before WaitFor looks", u.overtakes},
		deed{"a context's end under a computation", u.underHold}, deed{"a computation's end in company", u.held}, deed{"a bad context", u.badContext},
		deed{"functions that unwind or call back", u.functions})
	return u.check
}

type unrulies struct {
	*storm
	lines waitmap.Map[int, int] // of those with bad contexts; for ever empty
}

// got checks what a wait gave that was not canceled.
func (w *worker) got(want, v int, err error) {
	switch {
	case err == nil && v != want, err != nil && v != 0:
		w.t.Errorf("%s gave %d, %v, not %d", *w.doing.Load(), v, err, want)
	case err != nil && !errors.Is(err, hostile.ErrOwn):
		w.t.Errorf("%s: %v", *w.doing.Load(), err)
	}
}

func all(int) bool { return true }

// callMap calls back from a Wake; nobody waits for the keys that it changes.
func callMap(m *waitmap.Map[int, int]) func() {
	return func() {
		m.Load(1)
		m.Waiters(1)
		m.Register(1, nil).Stop()
		m.Store(101, 1)
		m.Compute(101, func(int, bool) (int, waitmap.Op) { return 0, waitmap.Remove })
		m.Cancel(102)
	}
}

// waits: a Store serves all who wait, in any way that consumes nothing.
func (u *unrulies) waits(w *worker) {
	var m waitmap.Map[int, int]
	c := w.company(callMap(&m),
		func(ctx context.Context) { v, err := m.Wait(ctx, 1); w.got(7, v, err) },
		func(ctx context.Context) { v, err := m.WaitNext(ctx, 1); w.got(7, v, err) },
		func(ctx context.Context) { v, err := m.WaitFor(ctx, 1, all); w.got(7, v, err) },
		func(ctx context.Context) { v, err := m.Register(1, nil).Wait(ctx); w.got(7, v, err) },
		func(ctx context.Context) {
			v, err := m.WaitCompute(ctx, 1, func(v int) (int, waitmap.Op) { return v, waitmap.Keep })
			w.got(7, v, err)
		})
	c.meet(func() { m.Store(1, 7) })
	noneWait(u.storm, &m)
}

// takes: there are as many values as takers who return, and each gets one,
// though others unwind with it.
func (u *unrulies) takes(w *worker) {
	var m waitmap.Map[int, int]
	var got sync.Map
	c := w.company(callMap(&m), func(ctx context.Context) {
		v, err := m.Take(ctx, 1)
		if _, twice := got.LoadOrStore(v, true); err == nil && (v == 0 || twice) {
			w.t.Errorf("Take gave %d, not for the first time: %v", v, twice)
		}
	})
	c.meet(func() { w.rashlyAll(c.keepers(), func(i int) { m.Store(1, 1+i) }) })
	if v, ok := m.Load(1); ok {
		w.t.Errorf("all have taken, and %d is there", v)
	}
	noneWait(u.storm, &m)
}

// joins: who waits for one Future is woken, and its own waker is, too.
func (u *unrulies) joins(w *worker) {
	var m waitmap.Map[int, int]
	own := hostile.NewParker()
	own.OnWake = hostile.Strike(w.r.IntN(3))
	f := m.Register(1, own)
	c := w.company(callMap(&m), func(ctx context.Context) { v, err := f.Wait(ctx); w.got(7, v, err) })
	c.meet(func() { m.Store(1, 7) })
	w.await(func() bool { return own.Wakes.Load() > 0 })
	if n := own.Wakes.Load(); n != 1 {
		w.t.Errorf("a Future's waker was woken %d times", n)
	}
}

// ends: Cancel and Close release all, of several keys.
func (u *unrulies) ends(w *worker) {
	var m waitmap.Map[int, int]
	how := w.r.IntN(4)
	right := waitmap.ErrCanceled
	if how == 3 {
		right = waitmap.ErrClosed
	}
	var ways []wait
	for key := range keys {
		if how < 2 {
			key = 1
		}
		check := func(v int, err error) {
			if v != 0 || !errors.Is(err, right) && !errors.Is(err, hostile.ErrOwn) {
				w.t.Errorf("%s gave %d, %v", *w.doing.Load(), v, err)
			}
		}
		ways = append(ways,
			func(ctx context.Context) { check(m.Wait(ctx, key)) },
			func(ctx context.Context) { check(m.Take(ctx, key)) },
			func(ctx context.Context) { check(m.WaitFor(ctx, key, all)) },
			func(ctx context.Context) { check(m.Register(key, nil).Wait(ctx)) })
	}
	w.company(callMap(&m), ways...).meet([]func(){
		func() { m.Cancel(1) },
		func() { m.CancelCause(1, errEnd) },
		func() { m.CancelAll() },
		func() { w.must(m.Close()) },
	}[how])
}

// overtakes: WaitFor gets the last value, which satisfies it, though several
// stores came between its wake and its next look, and the value is gone by then.
func (u *unrulies) overtakes(w *worker) {
	var m waitmap.Map[int, int]
	var come, took waitgroup.Group
	last := 2 + w.r.IntN(3)
	takers := w.r.IntN(last + 1)
	watchers := 1 + w.r.IntN(3)
	come.Add(watchers)
	for range watchers {
		w.aside(func() {
			defer come.Done()
			v, err := m.WaitFor(context.Background(), 1, func(v int) bool { return v == last })
			w.got(last, v, err)
		})
	}
	took.Add(takers)
	for range takers {
		w.aside(func() {
			defer took.Done()
			if v, err := m.Take(context.Background(), 1); v < 1 || v > last || err != nil {
				w.t.Errorf("Take gave %d, %v", v, err)
			}
		})
	}
	w.await(func() bool { return m.Waiters(1) == watchers+takers })
	for v := 1; v <= last; v++ {
		m.Store(1, v)
	}
	m.Delete(1)
	w.must(took.Wait(w.ctx))
	w.must(come.Wait(w.ctx))
	noneWait(u.storm, &m)
}

// underHold: who waits with a context is back when that ends, though a
// computation holds the key: it goes on until then.
func (u *unrulies) underHold(w *worker) {
	var m waitmap.Map[int, int]
	there := w.r.IntN(2) == 0
	if there {
		m.Store(1, 7)
	}
	holds, over := make(chan struct{}), make(chan struct{})
	var computed waitgroup.Group
	computed.Add(1)
	w.aside(func() {
		defer computed.Done()
		m.Compute(1, func(old int, loaded bool) (int, waitmap.Op) {
			close(holds)
			<-over
			return old, waitmap.Keep
		})
	})
	w.await(func() bool { return isClosed(holds) })
	ctx := w.soon()
	keep := func(v int) (int, waitmap.Op) { return v, waitmap.Keep }
	var v int
	var err error
	switch w.r.IntN(4) {
	case 0, 1:
		v, err = m.Take(ctx, 1)
	case 2:
		v, err = m.WaitCompute(ctx, 1, keep)
	case 3:
		v, err = m.WaitNext(ctx, 1)
	}
	if v != 0 || !errors.Is(err, errEnd) {
		w.t.Errorf("under a computation a wait gave %d, %v", v, err)
	}
	close(over)
	w.must(computed.Wait(w.ctx))
	if v, ok := m.Load(1); ok != there || ok && v != 7 || !ok && v != 0 {
		w.t.Errorf("under a computation a wait has consumed: %d, %v", v, ok)
	}
	noneWait(u.storm, &m)
}

// held: who waits for a computation's end is woken by it. Each of those who
// WaitCompute holds up the others in turn.
func (u *unrulies) held(w *worker) {
	var m waitmap.Map[int, int]
	m.Store(1, 7)
	holds, over := make(chan struct{}), make(chan struct{})
	w.aside(func() {
		m.Compute(1, func(int, bool) (int, waitmap.Op) {
			close(holds)
			<-over
			return 7, waitmap.Set
		})
	})
	w.await(func() bool { return isClosed(holds) })
	w.company(callMap(&m), func(ctx context.Context) {
		v, err := m.WaitCompute(ctx, 1, func(v int) (int, waitmap.Op) { return v, waitmap.Keep })
		w.got(7, v, err)
	}).meet(func() { close(over) })
	v, err := m.Take(w.ctx, 1)
	w.got(7, v, err)
	noneWait(u.storm, &m)
}

// badContext: a wait under a context of any kind ends with it.
func (u *unrulies) badContext(w *worker) {
	key := w.r.IntN(keys)
	ways := []func(ctx context.Context) (int, error){
		func(ctx context.Context) (int, error) { return u.lines.Wait(ctx, key) },
		func(ctx context.Context) (int, error) { return u.lines.WaitNext(ctx, key) },
		func(ctx context.Context) (int, error) { return u.lines.Take(ctx, key) },
		func(ctx context.Context) (int, error) { return u.lines.WaitFor(ctx, key, all) },
		func(ctx context.Context) (int, error) {
			return u.lines.WaitCompute(ctx, key, func(v int) (int, waitmap.Op) { return v, waitmap.Keep })
		},
		func(ctx context.Context) (int, error) {
			f := u.lines.Register(key, nil)
			defer f.Stop()
			return f.Wait(ctx)
		},
	}
	way := ways[w.r.IntN(len(ways))]
	w.badly(func(ctx context.Context) error {
		v, err := way(ctx)
		if v != 0 {
			w.t.Errorf("a wait that failed gave %d", v)
		}
		return err
	})
}

func (u *unrulies) check() { noneWait(u.storm, &u.lines) }
