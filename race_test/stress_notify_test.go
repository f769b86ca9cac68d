package race_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// handing passes one permit, the token, between workers. It checks that one worker
// at most has it, and that it is never lost, whatever the kind of wait and
// whichever waits give up.
func handing(s *round, b *book) (check func()) {
	p := &passing{round: s, b: b}
	p.pass(nil)
	s.team("token").start(8, 150,
		operation{"Wait", p.wait}, operation{"TryWait", p.tryWait}, operation{"Listener.Wait", p.listen},
		operation{"Ready", p.ready}, operation{"C", p.channel}, operation{"Register", p.register}, operation{"Wait, wildly", p.waitWildly},
		operation{"Wait, bad context", p.waitBadly},
		operation{"Select", p.choose})
	return p.check
}

type passing struct {
	*round
	n    notify.Notify
	b    *book
	have atomic.Int32
}

// pass releases the token.
func (p *passing) pass(w *worker) {
	p.b.sent.Add(1)
	if w != nil && w.r.IntN(4) == 0 {
		p.n.NotifyLast()
	} else {
		p.n.NotifyOne()
	}
}

// got is called by the worker that has the token.
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

// choose selects over the token and something else that may happen first.
func (p *passing) choose(w *worker) {
	ctx, done := w.until()
	defer done()
	if i, err := w.choose(ctx, p.n.OnNotify()); !w.canceled(err) && i == 0 {
		p.got(w)
	}
}

// choose selects over c, whose index is 0, and another case that may happen at any time.
func (w *worker) choose(ctx context.Context, c wake.Case) (chosen int, err error) {
	var other notify.Notify
	if w.r.IntN(2) == 0 {
		pauses := w.r.IntN(30)
		w.aside(func() {
			for range pauses {
				runtime.Gosched()
			}
			other.NotifyOne()
		})
	}
	if w.r.IntN(2) == 0 {
		return await.Select(ctx, c, other.OnNotify())
	}
	chosen, err = await.Select(ctx, other.OnNotify(), c)
	if err == nil {
		chosen = 1 - chosen
	}
	return chosen, err
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

// register stops the Listener in place of its waker.
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

// waitWildly unwinds, or its Park fails. If it had the token and unwinds, the token
// goes to the next waiter.
func (p *passing) waitWildly(w *worker) {
	ctx, done := w.until()
	ctx = wake.WithParker(ctx, misbehave.DrawParker(w.r))
	kind, w := w.r.IntN(3), w.apart()
	p.aside(func() {
		defer done()
		wait := p.n.Wait
		switch kind {
		case 0:
			l := p.n.Listen()
			defer l.Stop()
			wait = l.Wait
		case 1:
			wait = func(ctx context.Context) error {
				_, err := await.Select(ctx, p.n.OnNotify())
				return err
			}
		}
		if err := wait(ctx); !errors.Is(err, misbehave.ErrOwn) && !w.canceled(err) {
			p.got(w)
		}
	})
}

// waitBadly waits under a misbehaving context.
func (p *passing) waitBadly(w *worker) {
	ctx, pauses, w := misbehave.DrawContext(w.r), w.r.IntN(30), w.apart()
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

// broadcast checks that as many waiters are woken as NotifyN and NotifyWaiters
// return.
func broadcast(s *round, b *book) (check func()) {
	c := &calling{round: s, b: b}
	call := s.team("broadcast").start(2, 150, operation{"NotifyWaiters", c.callAll}, operation{"NotifyN", c.callSome})
	s.team("broadcast").start(6, 100, operation{"Wait", c.wait}, operation{"Listener", c.listen}, operation{"Register", c.register}, operation{"Select", c.choose}).
		drain(func() { c.callAll(nil) }, call)
	return c.check
}

type calling struct {
	*round
	n      notify.Notify
	b      *book
	wakers wakers
	hung   atomic.Int64 // wakers that were called
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

func (c *calling) choose(w *worker) {
	ctx, done := w.until()
	defer done()
	if i, err := w.choose(ctx, c.n.OnNotify()); !w.canceled(err) && i == 0 {
		c.b.received.Add(1)
	}
}

// listen counts a Listener as woken if it was stopped too late.
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
	r := new(countingWaker)
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
	c.wakers.add(r, func() {})
}

func (c *calling) check() {
	c.callAll(nil) // for the waiters that registered last
	c.b.received.Add(c.hung.Load())
	c.wakers.check(c.round, c.b)
	if n := c.n.Waiters(); n != 0 || c.n.TryWait() {
		c.t.Errorf("%d still wait, or there is a permit", n)
	}
}

// counting checks that a zero releases every waiter.
func counting(s *round, b *book) (check func()) {
	c := &counted{round: s, b: b}
	s.team("count").start(3, 300, operation{"Add, Done", c.addDone}, operation{"Add of several", c.several}, operation{"Go", c.run})
	s.team("count").start(5, 200, operation{"Wait", c.wait}, operation{"Idle", c.idle}, operation{"Register", c.register})
	s.team("count").start(3, 50, operation{"a zero of its own", c.own})
	return c.check
}

// own has a Group of its own with one zero: no waiter may be released before it,
// and no later zero wakes a waiter that it missed.
func (c *counted) own(w *worker) {
	const n = 3
	var g, come waitgroup.Group
	var left atomic.Int32
	left.Store(n)
	g.Add(n)
	for range 3 {
		selects := w.r.IntN(2) == 0
		come.Add(1)
		c.aside(func() {
			defer come.Done()
			wait := g.Wait
			if selects {
				wait = func(ctx context.Context) error {
					_, err := await.Select(ctx, new(notify.Notify).OnNotify(), g.OnZero())
					return err
				}
			}
			if err := wait(context.Background()); err != nil || left.Load() != 0 {
				c.t.Errorf("count: Wait returned with %d to go, %v", left.Load(), err)
			}
		})
	}
	for range n {
		g.Add(1) // perhaps with a waiter in line
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
	*round
	g      waitgroup.Group
	b      *book
	wakers wakers
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

// idle waits for the channel on a goroutine, because a task would block its loop.
func (c *counted) idle(*worker) {
	c.b.sent.Add(1)
	c.aside(func() {
		<-c.g.Idle()
		c.b.received.Add(1)
	})
}

func (c *counted) register(w *worker) {
	r := new(countingWaker)
	l := c.g.Register(r)
	for range w.r.IntN(4) {
		w.pause()
	}
	if w.r.IntN(2) == 0 {
		r.stopped = l.Stop()
	}
	c.wakers.add(r, func() {})
}

func (c *counted) check() {
	// Go calls Done after its function has reported its end.
	if err := c.g.Wait(context.Background()); err != nil {
		c.t.Error(err)
	}
	c.wakers.check(c.round, c.b)
	if n := c.g.Count(); n != 0 {
		c.t.Errorf("%d are not done", n)
	}
}
