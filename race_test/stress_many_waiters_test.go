package race_test

import (
	"context"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
)

// manyWaiters checks that the waiters of a Notify or a Group are woken, that no
// wake is lost and that no waiter stays in line, while other parkers, wakers and
// contexts misbehave. Each operation has a Notify or Group of its own.
func manyWaiters(s *round, _ *book) (check func()) {
	c := &many{round: s}
	c.never.Add(1)
	s.team("many").start(3, 30,
		operation{"NotifyWaiters in company", c.all}, operation{"NotifyOne in company", c.each}, operation{"Listener.Wait in company", c.listener},
		operation{"Group.Wait in company", c.group}, operation{"wakers in company", c.wakers}, operation{"a bad context", c.badContext})
	return func() {
		if n := c.deaf.Waiters(); n != 0 {
			c.round.t.Errorf("%d still wait", n)
		}
	}
}

type many struct {
	*round
	deaf  notify.Notify   // never notified
	never waitgroup.Group // never zero
}

// ways are the waits for a Notify. A Listener whose Wait did not return is stopped,
// which hands its wake on.
func waysOf(w *worker, n *notify.Notify) []wait {
	return []wait{
		func(ctx context.Context) { w.got(0, 0, n.Wait(ctx)) },
		func(ctx context.Context) {
			l := n.Listen()
			defer l.Stop()
			w.got(0, 0, l.Wait(ctx))
		},
	}
}

func nothingLeft(w *worker, n *notify.Notify) {
	if k := n.Waiters(); k != 0 || n.TryWait() {
		w.t.Errorf("%s: %d still wait, or there is a permit", *w.doing.Load(), k)
	}
}

// callNotify calls back from a Wake without changing anything.
func callNotify(n *notify.Notify) func() {
	return func() {
		n.Waiters()
		n.Listen().Stop()
		n.NotifyN(0)
	}
}

func (c *many) all(w *worker) {
	var n notify.Notify
	w.company(callNotify(&n), waysOf(w, &n)...).meet(func() { n.NotifyWaiters() })
	nothingLeft(w, &n)
}

// each makes as many wakes as there are waiters that return, and checks that each
// gets one.
func (c *many) each(w *worker) {
	var n notify.Notify
	m := w.company(callNotify(&n), waysOf(w, &n)...)
	last := w.r.IntN(2) == 0
	m.meet(func() {
		w.rashlyAll(m.keepers(), func(int) {
			if last {
				n.NotifyLast()
			} else {
				n.NotifyOne()
			}
		})
	})
	nothingLeft(w, &n)
}

// listener checks that one wake wakes all waiters of one Listener and its waker.
func (c *many) listener(w *worker) {
	var n notify.Notify
	own := misbehave.NewParker()
	own.OnWake = misbehave.Strike(w.r.IntN(3))
	l := n.Register(own)
	w.company(callNotify(&n), func(ctx context.Context) { w.got(0, 0, l.Wait(ctx)) }).meet(n.NotifyOne)
	w.await(func() bool { return own.Wakes.Load() > 0 })
	if n := own.Wakes.Load(); n != 1 {
		w.t.Errorf("a Listener's waker was woken %d times", n)
	}
	nothingLeft(w, &n)
}

func (c *many) group(w *worker) {
	var g waitgroup.Group
	g.Add(1)
	back := func() {
		g.Register(nil).Stop()
		g.Add(1)
		g.Done()
		g.Idle()
	}
	w.company(back, func(ctx context.Context) { w.got(0, 0, g.Wait(ctx)) }).meet(g.Done)
}

// wakers checks that each waker is called once, even if the one before it
// misbehaves.
func (c *many) wakers(w *worker) {
	var n notify.Notify
	var g waitgroup.Group
	g.Add(1)
	var list []*misbehave.Parker
	for range 2 + w.r.IntN(5) {
		p := misbehave.NewParker()
		p.OnWake = misbehave.Strike(w.r.IntN(3))
		list = append(list, p)
		if n.Register(p); w.r.IntN(2) == 0 {
			g.Register(p)
		} else {
			g.Register(p)
			g.Register(p).Stop()
		}
	}
	w.rashly(func() { n.NotifyWaiters() })
	w.rashly(g.Done)
	for _, p := range list {
		w.await(func() bool { return p.Wakes.Load() >= 2 })
		if k := p.Wakes.Load(); k != 2 {
			w.t.Errorf("a waker was woken %d times", k)
		}
	}
	nothingLeft(w, &n)
}

// badContext checks that a wait under a context of any kind ends with it.
func (c *many) badContext(w *worker) {
	w.badly(
		func(ctx context.Context) error { return c.deaf.Wait(ctx) },
		func(ctx context.Context) error { return c.never.Wait(ctx) },
		func(ctx context.Context) error {
			l := c.deaf.Listen()
			defer l.Stop()
			return l.Wait(ctx)
		})
}
