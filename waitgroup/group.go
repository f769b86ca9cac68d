package waitgroup

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A Group counts what is not done yet, and can be waited for. The zero value is
// ready to use, with a count of zero. It must not be copied after first use.
type Group struct {
	// The state word:
	//
	//	bits   name     meaning
	//	0      waiting  somebody is in line
	//	1..63  count    what is not done
	//
	// Who counts down to zero while waiting is set leaves the word at that:
	// the line is due. Nobody counts up from there before somebody has
	// detached the line and cleared waiting, so that who comes later is not
	// in it. Waiting is set and cleared under mu; counts change without.
	state atomic.Int64

	mu   sync.Mutex // guards what follows
	line waitq.Queue[struct{}]
	idle closer // of Idle: closed at the next zero; nil if nobody asked since the last
}

const (
	waiting = 1
	one     = 2 // in the state word
	due     = waiting
)

type waiter = waitq.Waiter[struct{}]

// Add adds n, which may be negative, to the count. At zero it releases all who
// wait. A count that would become negative panics and stays as it was.
func (g *Group) Add(n int) {
	if n < 0 {
		g.countDown(int64(n))
		return
	}
	for {
		s := g.state.Load()
		switch {
		case s < 0: // somebody else miscounted, and is about to take that back
		case int64(n) > (math.MaxInt64-s)/one:
			panic("waitgroup: count too large")
		case s == due:
			g.release()
		case g.state.CompareAndSwap(s, s+int64(n)*one):
			return
		}
	}
}

// Done takes one off the count.
func (g *Group) Done() { g.countDown(-1) }

// Go counts one more, runs f in a new goroutine, and counts it off when f has
// returned or called runtime.Goexit. f must not panic: the program ends then,
// before anybody is released.
func (g *Group) Go(f func()) {
	g.Add(1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				panic(p) // not Done: whoever waits might end the program first, with success
			}
			g.Done()
		}()
		f()
	}()
}

// Wait waits until the count is zero, or has been since the call. If it is
// zero, Wait returns at once, whatever the state of ctx. The error matches
// ctx.Err() and context.Cause(ctx); a Wait that failed leaves nothing behind.
// A nil context panics.
func (g *Group) Wait(ctx context.Context) error {
	waitq.MustContext(ctx, "waitgroup")
	if g.TryWait() {
		return nil
	}
	p := wake.ParkerFrom(ctx)
	w := &waiter{Waker: p}
	if !g.enter(w) {
		return nil
	}
	for !w.Done() {
		if err := p.Park(ctx); err != nil {
			if g.leave(w) {
				return waitq.ParkError(ctx, err)
			}
			return nil // released; the waker is on its way
		}
	}
	return nil
}

// TryWait reports whether the count is zero.
func (g *Group) TryWait() bool { return g.state.Load() < one }

// Count is the number of what is not done.
func (g *Group) Count() int { return int(max(g.state.Load(), 0) / one) }

// Idle returns a channel that is closed when the count is zero next: already,
// if it is zero now. It is for use in a select statement.
func (g *Group) Idle() <-chan struct{} {
	g.mu.Lock()
	list := g.detachDue()
	c := g.idle
	switch {
	case c != nil:
	case g.announce():
		c = make(closer)
		g.idle = c
		g.line.Push(&waiter{Waker: c})
	default:
		c = closed
	}
	g.mu.Unlock()
	list.Release()
	return c
}

// Register has w woken when the count is zero next: on return already, if it is
// zero now. w may be nil.
func (g *Group) Register(w wake.Waker) wake.Registration {
	r := &registration{g: g}
	r.w.Waker = w
	if !g.enter(&r.w) {
		r.w.Wake()
	}
	return r
}

type registration struct {
	g *Group
	w waiter
}

// Stop leaves the line.
func (r *registration) Stop() bool { return r.g.leave(&r.w) }

// A closer is a channel that is closed by its waker.
type closer chan struct{}

func (c closer) Wake() { close(c) }

var closed = make(closer)

func init() { close(closed) }

// countDown adds n, which is negative, to the count.
func (g *Group) countDown(n int64) {
	n = max(n, math.MinInt64/one) // too much in any case
	s := g.state.Add(n * one)
	if s < 0 {
		g.takeBack(n)
	}
	if s == due {
		g.release()
	}
}

// takeBack undoes a countDown that went too far. Meanwhile a due line did not
// look due.
func (g *Group) takeBack(n int64) {
	if g.state.Add(-n*one) == due {
		g.release()
	}
	panic("waitgroup: negative count")
}

// release lets the line go that is due, unless somebody else did.
func (g *Group) release() {
	g.mu.Lock()
	list := g.detachDue()
	g.mu.Unlock()
	list.Release()
}

// detachDue takes the line if it is due. mu is locked; what it returns is to be
// released after that.
func (g *Group) detachDue() (list waitq.List[struct{}]) {
	if g.state.CompareAndSwap(due, 0) {
		list = g.line.Detach()
		g.idle = nil
	}
	return list
}

// enter gets in line. It reports false if the count is zero.
func (g *Group) enter(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.announce() {
		return false
	}
	g.line.Push(w)
	return true
}

// announce sets waiting. It reports false if the count is zero. mu is locked.
func (g *Group) announce() bool {
	for {
		s := g.state.Load()
		switch {
		case s < one:
			return false
		case s&waiting != 0 || g.state.CompareAndSwap(s, s|waiting):
			return true
		}
	}
}

// leave gets out of line. It reports false if w was released.
func (g *Group) leave(w *waiter) bool {
	g.mu.Lock()
	list := g.detachDue() // w may be in it
	ok := g.line.Remove(w)
	if g.line.Len() == 0 {
		g.unannounce()
	}
	g.mu.Unlock()
	list.Release()
	return ok
}

// unannounce clears waiting, when nobody is in line. mu is locked.
func (g *Group) unannounce() {
	for {
		s := g.state.Load()
		if s&waiting == 0 || g.state.CompareAndSwap(s, s&^waiting) {
			return
		}
	}
}
