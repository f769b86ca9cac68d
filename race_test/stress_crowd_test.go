package race_test

import (
	"context"

	"github.com/vigil-go/vigil/internal/hostile"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
)

// crowds: whatever parkers, wakers and contexts do, who waits for a Notify or a
// Group beside them is woken, no wake is lost, and nobody stays in line. Each
// deed has a Notify or Group of its own.
func crowds(s *storm, _ *book) (check func()) {
	c := &crowd{storm: s}
	c.never.Add(1)
	s.crew("crowd").hire(3, 30,
		deed{"NotifyWaiters in company", c.all}, deed{"NotifyOne in company", c.each}, deed{"Listener.Wait in company", c.listener},
		deed{"Group.Wait in company", c.group}, deed{"wakers in company", c.wakers}, deed{"a bad context", c.badContext})
	return func() {
		if n := c.deaf.Waiters(); n != 0 {
			c.storm.t.Errorf("%d still wait", n)
		}
	}
}

type crowd struct {
	*storm
	deaf  notify.Notify   // is never notified
	never waitgroup.Group // is never zero
}

// ways are the waits for a Notify. A Listener whose Wait did not return is
// stopped, and hands on what it has.
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

// callNotify calls back from a Wake, and changes nothing.
func callNotify(n *notify.Notify) func() {
	return func() {
		n.Waiters()
		n.Listen().Stop()
		n.NotifyN(0)
	}
}

func (c *crowd) all(w *worker) {
	var n notify.Notify
	w.company(callNotify(&n), waysOf(w, &n)...).meet(func() { n.NotifyWaiters() })
	nothingLeft(w, &n)
}

// each: there are as many wakes as waiters who return, and each gets one.
func (c *crowd) each(w *worker) {
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

// listener: one wake is for all who wait for one Listener, and for its waker.
func (c *crowd) listener(w *worker) {
	var n notify.Notify
	own := hostile.NewParker()
	own.OnWake = hostile.Strike(w.r.IntN(3))
	l := n.Register(own)
	w.company(callNotify(&n), func(ctx context.Context) { w.got(0, 0, l.Wait(ctx)) }).meet(n.NotifyOne)
	w.await(func() bool { return own.Wakes.Load() > 0 })
	if n := own.Wakes.Load(); n != 1 {
		w.t.Errorf("a Listener's waker was woken %d times", n)
	}
	nothingLeft(w, &n)
}

func (c *crowd) group(w *worker) {
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

// wakers: each is woken once, whatever the one before it does.
func (c *crowd) wakers(w *worker) {
	var n notify.Notify
	var g waitgroup.Group
	g.Add(1)
	var list []*hostile.Parker
	for range 2 + w.r.IntN(5) {
		p := hostile.NewParker()
		p.OnWake = hostile.Strike(w.r.IntN(3))
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

// badContext: a wait under a context of any kind ends with it.
func (c *crowd) badContext(w *worker) {
	w.badly(
		func(ctx context.Context) error { return c.deaf.Wait(ctx) },
		func(ctx context.Context) error { return c.never.Wait(ctx) },
		func(ctx context.Context) error {
			l := c.deaf.Listen()
			defer l.Stop()
			return l.Wait(ctx)
		})
}
