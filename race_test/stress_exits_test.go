package race_test

import (
	"context"
	"errors"
	"sync"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// exits checks that the waiters of a Map are served, and that none stays in line,
// while other parkers, wakers and contexts misbehave.
func exits(s *round, _ *book) (check func()) {
	u := &unrulies{round: s}
	s.team("exits").start(3, 25,
		operation{"Wait in company", u.waits}, operation{"Take in company", u.takes}, operation{"Future.Wait in company", u.joins},
		operation{"waits until Cancel or Close, in company", u.ends}, operation{"Store before WaitFor looks", u.overtakes},
		operation{"a context's end under a computation", u.underHold}, operation{"a computation's end in company", u.held}, operation{"a bad context", u.badContext},
		operation{"functions that unwind or call back", u.functions})
	return u.check
}

type unrulies struct {
	*round
	lines waitmap.Map[int, int] // of the waits with bad contexts; always empty
}

// got checks the result of a wait that was not canceled.
func (w *worker) got(want, v int, err error) {
	switch {
	case err == nil && v != want, err != nil && v != 0:
		w.t.Errorf("%s gave %d, %v, not %d", *w.doing.Load(), v, err, want)
	case err != nil && !errors.Is(err, misbehave.ErrOwn):
		w.t.Errorf("%s: %v", *w.doing.Load(), err)
	}
}

func all(int) bool { return true }

// callMap calls back from a Wake; no goroutine waits for the keys that it changes.
func callMap(m *waitmap.Map[int, int]) func() {
	return func() {
		m.Load(1)
		m.Waiters(1)
		m.Register(1, nil).Stop()
		m.Store(101, 1)
		m.Compute(101, func(int, bool) (int, waitmap.Op) { return 0, waitmap.DeleteOp })
		m.Cancel(102)
	}
}

// waits checks that a Store serves all waiters that consume nothing.
func (u *unrulies) waits(w *worker) {
	var m waitmap.Map[int, int]
	c := w.company(callMap(&m),
		func(ctx context.Context) { v, err := m.Wait(ctx, 1); w.got(7, v, err) },
		func(ctx context.Context) { v, err := m.WaitNext(ctx, 1); w.got(7, v, err) },
		func(ctx context.Context) { v, err := m.WaitFor(ctx, 1, all); w.got(7, v, err) },
		func(ctx context.Context) { v, err := m.Register(1, nil).Wait(ctx); w.got(7, v, err) },
		func(ctx context.Context) {
			v, err := m.WaitCompute(ctx, 1, func(v int) (int, waitmap.Op) { return v, waitmap.KeepOp })
			w.got(7, v, err)
		})
	c.meet(func() { m.Store(1, 7) })
	noneWait(u.round, &m)
}

// takes stores as many values as there are takers that return, and checks that each
// gets one while other takers unwind.
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
	noneWait(u.round, &m)
}

// joins checks that the waiters of one Future are woken, and its own waker too.
func (u *unrulies) joins(w *worker) {
	var m waitmap.Map[int, int]
	own := misbehave.NewParker()
	own.OnWake = misbehave.Strike(w.r.IntN(3))
	f := m.Register(1, own)
	c := w.company(callMap(&m), func(ctx context.Context) { v, err := f.Wait(ctx); w.got(7, v, err) })
	c.meet(func() { m.Store(1, 7) })
	w.await(func() bool { return own.Wakes.Load() > 0 })
	if n := own.Wakes.Load(); n != 1 {
		w.t.Errorf("a Future's waker was woken %d times", n)
	}
}

// ends checks that Cancel and Close release all waiters of several keys.
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
			if v != 0 || !errors.Is(err, right) && !errors.Is(err, misbehave.ErrOwn) {
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

// overtakes checks that WaitFor returns the last value, which satisfies it, if
// several stores came between its wake and its next look and the value is already
// deleted.
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
	noneWait(u.round, &m)
}

// underHold checks that a wait returns when its context ends, while a computation
// that lasts until then holds the key.
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
			return old, waitmap.KeepOp
		})
	})
	w.await(func() bool { return isClosed(holds) })
	ctx := w.soon()
	keep := func(v int) (int, waitmap.Op) { return v, waitmap.KeepOp }
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
	noneWait(u.round, &m)
}

// held checks that a computation's end wakes those waiting for it. The waits in
// WaitCompute delay each other in turn.
func (u *unrulies) held(w *worker) {
	var m waitmap.Map[int, int]
	m.Store(1, 7)
	holds, over := make(chan struct{}), make(chan struct{})
	w.aside(func() {
		m.Compute(1, func(int, bool) (int, waitmap.Op) {
			close(holds)
			<-over
			return 7, waitmap.StoreOp
		})
	})
	w.await(func() bool { return isClosed(holds) })
	w.company(callMap(&m), func(ctx context.Context) {
		v, err := m.WaitCompute(ctx, 1, func(v int) (int, waitmap.Op) { return v, waitmap.KeepOp })
		w.got(7, v, err)
	}).meet(func() { close(over) })
	v, err := m.Take(w.ctx, 1)
	w.got(7, v, err)
	noneWait(u.round, &m)
}

// badContext checks that a wait under a context of any kind ends with it.
func (u *unrulies) badContext(w *worker) {
	key := w.r.IntN(keys)
	ways := []func(ctx context.Context) (int, error){
		func(ctx context.Context) (int, error) { return u.lines.Wait(ctx, key) },
		func(ctx context.Context) (int, error) { return u.lines.WaitNext(ctx, key) },
		func(ctx context.Context) (int, error) { return u.lines.Take(ctx, key) },
		func(ctx context.Context) (int, error) { return u.lines.WaitFor(ctx, key, all) },
		func(ctx context.Context) (int, error) {
			return u.lines.WaitCompute(ctx, key, func(v int) (int, waitmap.Op) { return v, waitmap.KeepOp })
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

func (u *unrulies) check() { noneWait(u.round, &u.lines) }
