package race_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/hostile"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// handing: one permit, the token, goes round. Who has it is alone; it is never lost, however
// it was waited for, and whoever gave up.
func handing(s *storm, b *book) (check func()) {
	p := &passing{storm: s, b: b}
	p.pass(nil)
	s.crew("token").hire(8, 150,
		deed{"Wait", p.wait}, deed{"TryWait", p.tryWait}, deed{"Listener.Wait", p.listen},
		deed{"Ready", p.ready}, deed{"C", p.channel}, deed{"Register", p.register}, deed{"Wait, wildly", p.waitWildly},
		deed{"Wait, bad context", p.waitBadly})
	return p.check
}

type passing struct {
	*storm
	n    notify.Notify
	b    *book
	have atomic.Int32
}

// pass lets the token go.
func (p *passing) pass(w *worker) {
	p.b.sent.Add(1)
	if w != nil && w.r.IntN(4) == 0 {
		p.n.NotifyLast()
	} else {
		p.n.NotifyOne()
	}
}

// got is called by who has the token.
func (p *passing) got(w *worker) {
	p.b.received.Add(1)
	if n := p.have.Add(1); n != 1 {
		p.t.Errorf("%d have the one token", n)
	}
	if w.r.IntN(2) == 0 {
		w.pause()
	}
	p.have.Add(-1)
	p.pass(w)
}

func (p *passing) wait(w *worker) {
	ctx, done := w.until()
	defer done()
	if !w.canceled(p.n.Wait(ctx)) {
		p.got(w)
	}
}

func (p *passing) tryWait(w *worker) {
	if p.n.TryWait() {
		p.got(w)
	}
}

func (p *passing) listen(w *worker) {
	ctx, done := w.until()
	defer done()
	l := p.n.Listen()
	defer l.Stop()
	if !w.canceled(l.Wait(ctx)) {
		p.got(w)
	}
}

func (p *passing) ready(w *worker) {
	l := p.n.Listen()
	defer l.Stop()
	for range w.r.IntN(4) {
		if l.Ready() {
			p.got(w)
			return
		}
		w.pause()
	}
}

func (p *passing) channel(w *worker) {
	l := p.n.Listen()
	defer l.Stop()
	for range w.r.IntN(4) {
		select {
		case <-l.C():
			p.got(w)
			return
		default:
			w.pause()
		}
	}
}

// register stops the Listener in the waker's place.
func (p *passing) register(w *worker) {
	var rung atomic.Bool
	l := p.n.Register(wake.Func(func() { rung.Store(true) }))
	for range w.r.IntN(4) {
		w.pause()
	}
	if rung.Load() && l.Ready() {
		p.got(w)
	}
	l.Stop()
}

// waitWildly unwinds, or its Park fails. If it had the token and does not come
// back, that is the next one's.
func (p *passing) waitWildly(w *worker) {
	ctx, done := w.until()
	ctx = wake.WithParker(ctx, hostile.DrawParker(w.r))
	listens, w := w.r.IntN(2) == 0, w.apart()
	p.aside(func() {
		defer done()
		wait := p.n.Wait
		if listens {
			l := p.n.Listen()
			defer l.Stop()
			wait = l.Wait
		}
		if err := wait(ctx); !errors.Is(err, hostile.ErrOwn) && !w.canceled(err) {
			p.got(w)
		}
	})
}

// waitBadly has a context that is not as it should be.
func (p *passing) waitBadly(w *worker) {
	ctx, pauses, w := hostile.DrawContext(w.r), w.r.IntN(30), w.apart()
	p.aside(func() {
		for range pauses {
			runtime.Gosched()
		}
		ctx.End()
	})
	p.aside(func() {
		if err := p.n.Wait(ctx); err == nil {
			p.got(w)
		} else {
			w.must(ctx.Check(err))
		}
	})
}

func (p *passing) check() {
	if !p.n.TryWait() || p.n.TryWait() {
		p.t.Error("in the end there must be one token")
	}
	p.b.received.Add(1)
	if n := p.n.Waiters(); n != 0 {
		p.t.Errorf("%d still wait", n)
	}
}

// broadcast: as many are woken as NotifyN and NotifyWaiters say.
func broadcast(s *storm, b *book) (check func()) {
	c := &calling{storm: s, b: b}
	call := s.crew("broadcast").hire(2, 150, deed{"NotifyWaiters", c.callAll}, deed{"NotifyN", c.callSome})
	s.crew("broadcast").hire(6, 100, deed{"Wait", c.wait}, deed{"Listener", c.listen}, deed{"Register", c.register}).
		drain(func() { c.callAll(nil) }, call)
	return c.check
}

type calling struct {
	*storm
	n     notify.Notify
	b     *book
	bells bells
	hung  atomic.Int64 // bells that were woken
}

func (c *calling) callAll(*worker) { c.b.sent.Add(int64(c.n.NotifyWaiters())) }

func (c *calling) callSome(w *worker) { c.b.sent.Add(int64(c.n.NotifyN(w.r.IntN(4)))) }

func (c *calling) wait(w *worker) {
	ctx, done := w.until()
	defer done()
	if !w.canceled(c.n.Wait(ctx)) {
		c.b.received.Add(1)
	}
}

// listen counts a Listener that was stopped too late: it was woken.
func (c *calling) listen(w *worker) {
	ctx, done := w.until()
	defer done()
	l := c.n.Listen()
	w.canceled(l.Wait(ctx))
	if !l.Stop() {
		c.b.received.Add(1)
	}
}

func (c *calling) register(w *worker) {
	r := new(bell)
	l := c.n.Register(r)
	for range w.r.IntN(4) {
		w.pause()
	}
	if w.r.IntN(2) == 0 {
		r.stopped = l.Stop()
	}
	if !r.stopped {
		c.hung.Add(1)
	}
	c.bells.add(r, func() {})
}

func (c *calling) check() {
	c.callAll(nil) // for those who registered last
	c.b.received.Add(c.hung.Load())
	c.bells.check(c.storm, c.b)
	if n := c.n.Waiters(); n != 0 || c.n.TryWait() {
		c.t.Errorf("%d still wait, or there is a permit", n)
	}
}

// counting: whoever waits for zero is released by it.
func counting(s *storm, b *book) (check func()) {
	c := &counted{storm: s, b: b}
	s.crew("count").hire(3, 300, deed{"Add, Done", c.addDone}, deed{"Add of several", c.several}, deed{"Go", c.run})
	s.crew("count").hire(5, 200, deed{"Wait", c.wait}, deed{"Idle", c.idle}, deed{"Register", c.register})
	s.crew("count").hire(3, 50, deed{"a zero of its own", c.own})
	return c.check
}

// own has a Group of its own, with one zero: nobody who waits is released
// before it, and no other zero rescues whom it leaves.
func (c *counted) own(w *worker) {
	const n = 3
	var g, come waitgroup.Group
	var left atomic.Int32
	left.Store(n)
	g.Add(n)
	for range 3 {
		come.Add(1)
		c.aside(func() {
			defer come.Done()
			if err := g.Wait(context.Background()); err != nil || left.Load() != 0 {
				c.t.Errorf("count: Wait returned with %d to go, %v", left.Load(), err)
			}
		})
	}
	for range n {
		g.Add(1) // with somebody in line, perhaps
		w.pause()
		g.Done()
		left.Add(-1)
		g.Done()
	}
	if err := come.Wait(w.ctx); err != nil {
		c.t.Error(err)
	}
}

type counted struct {
	*storm
	g     waitgroup.Group
	b     *book
	bells bells
}

func (c *counted) addDone(w *worker) {
	c.g.Add(1)
	if w.r.IntN(2) == 0 {
		w.pause()
	}
	c.g.Done()
}

func (c *counted) several(w *worker) {
	n := 1 + w.r.IntN(5)
	c.g.Add(n)
	w.pause()
	c.g.Add(-n)
}

func (c *counted) run(w *worker) {
	exit := w.r.IntN(2) == 0
	c.all.Add(1)
	c.g.Go(func() {
		defer c.all.Done()
		if exit {
			runtime.Goexit()
		}
	})
}

func (c *counted) wait(w *worker) {
	ctx, done := w.until()
	defer done()
	c.b.sent.Add(1)
	if w.canceled(c.g.Wait(ctx)) {
		c.b.canceled.Add(1)
	} else {
		c.b.received.Add(1)
	}
}

// idle waits for the channel on a goroutine: a task would hold its loop.
func (c *counted) idle(*worker) {
	c.b.sent.Add(1)
	c.aside(func() {
		<-c.g.Idle()
		c.b.received.Add(1)
	})
}

func (c *counted) register(w *worker) {
	r := new(bell)
	l := c.g.Register(r)
	for range w.r.IntN(4) {
		w.pause()
	}
	if w.r.IntN(2) == 0 {
		r.stopped = l.Stop()
	}
	c.bells.add(r, func() {})
}

func (c *counted) check() {
	// Go counts off after its function has told that it is over.
	if err := c.g.Wait(context.Background()); err != nil {
		c.t.Error(err)
	}
	c.bells.check(c.storm, c.b)
	if n := c.g.Count(); n != 0 {
		c.t.Errorf("%d are not done", n)
	}
}
