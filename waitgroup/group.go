package waitgroup

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/wake"
)

// A Group counts what is not done yet, and can be waited for. The zero value is
// ready to use, with a count of zero. It must not be copied after first use.
type Group struct {
	// The state word:
	//
	//	bits    name     meaning
	//	0..29   ticket   the next waiter's number; it wraps
	//	30      waiting  somebody is in line
	//	31..63  count    what is not done
	//
	// A count changes by one addition, with no lock, whoever waits. What the
	// addition returns tells whom to release: at zero, all whose tickets are
	// older than the word's. Ticket and waiting change under mu only.
	state atomic.Int64

	mu      sync.Mutex // guards what follows
	line    waitq.Queue[ticket]
	tickets ticket // the next waiter's; the word has its lowest bits
	idle    closer // of Idle, in line; nil if nobody asked since the last zero
}

const (
	ticketMask = 1<<30 - 1
	waiting    = 1 << 30
	one        = 1 << 31

	most = math.MaxInt32 // the largest count, and the most to add
)

// A ticket tells when a waiter got in line.
type ticket uint64

type waiter = waitq.Waiter[ticket]

// Add adds n, which may be negative, to the count. At zero it releases all who
// wait. A count that would become negative, or larger than 2^31-1, panics and
// is put back: others may see it for an instant.
func (g *Group) Add(n int) {
	if n < -most || n > most {
		panic(miscount(n))
	}
	if s := g.state.Add(int64(n) * one); s < 0 || s&waiting != 0 || s > most*one {
		g.addSlow(n, s)
	}
}

// Done takes one off the count.
func (g *Group) Done() {
	if s := g.state.Add(-one); s < 0 || s&waiting != 0 {
		g.addSlow(-1, s)
	}
}

// addSlow goes on after n was added and gave s, when somebody is in line or n
// was too much.
func (g *Group) addSlow(n int, s int64) {
	yield.At(yield.GroupCounted)
	wrong := s < 0 || s/one > most
	if wrong {
		s = g.state.Add(-int64(n) * one) // and that may be the zero
	}
	// Who counts up from zero releases, too: on return nobody is in line who
	// was when the count was zero.
	if count := s / one; count == 0 || count == int64(n) && !wrong {
		g.release(s)
	}
	if wrong {
		panic(miscount(n))
	}
}

func miscount(n int) string {
	if n < 0 {
		return "waitgroup: negative count"
	}
	return "waitgroup: count too large"
}

// Go counts one more, runs f in a new goroutine, and counts it off when f has
// returned or called runtime.Goexit. f must not panic: the program ends then,
// before anybody is released.
func (g *Group) Go(f func()) {
	s := g.state.Add(one)
	if s < 0 || s > most*one {
		g.addSlow(1, s) // panics
	}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				panic(p) // not Done: whoever waits might end the program first, with success
			}
			g.Done()
		}()
		f()
	}()
	if s&waiting != 0 {
		g.addSlow(1, s) // now: a waker that panics must not keep f from running
	}
}

// Wait waits until the count is zero, or has been since the call. If it is
// zero, Wait returns at once, whatever the state of ctx. The error matches
// ctx.Err() and context.Cause(ctx); a Wait that failed leaves nothing behind. A
// zero that an Add in another goroutine is just about to leave may lose against
// the end of ctx. A nil context panics.
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
	defer g.abandon(w)
	for !w.Done() {
		if err := p.Park(ctx); err != nil {
			yield.At(yield.GroupFailed)
			if g.leave(w) {
				return waitq.ParkError(ctx, err)
			}
			return nil // released; the waker is on its way
		}
	}
	return nil
}

// abandon takes w out of line if Park ended its goroutine or panicked.
func (g *Group) abandon(w *waiter) {
	if !w.Done() {
		g.leave(w)
	}
}

// TryWait reports whether the count is zero.
func (g *Group) TryWait() bool { return g.state.Load() < one }

// Count is the number of what is not done.
func (g *Group) Count() int { return int(min(max(g.state.Load()/one, 0), most)) }

// Idle returns a channel that is closed when the count is zero next: already,
// if it is zero now. It is for use in a select statement. A zero that an Add
// in another goroutine is just about to leave may count.
//
// All calls until the next zero return the same channel. If the first of them is
// in a testing/synctest bubble, all that touches the channel must be in the same
// bubble: receiving from it, and the Done or Add that reaches zero. If it is
// outside, the channel may be received from in a bubble, but that does not block
// durably there. The channel that Idle returns at zero may be used anywhere.
func (g *Group) Idle() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.TryWait() {
		return closed
	}
	if g.idle != nil {
		return g.idle
	}
	c := make(closer)
	if !g.push(&waiter{Waker: c}) {
		return closed
	}
	g.idle = c
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
func (r *registration) Stop() bool {
	if !r.g.leave(&r.w) {
		return false
	}
	r.w.Waker = nil // r may be kept for long
	return true
}

// A closer is a channel that is closed by its waker.
type closer chan struct{}

func (c closer) Wake() { close(c) }

var closed = make(closer)

func init() { close(closed) }

// release wakes all whose tickets are older than that of s.
func (g *Group) release(s int64) {
	g.mu.Lock()
	list := g.older(s)
	g.mu.Unlock()
	yield.At(yield.GroupReleased)
	list.Release()
}

// older takes all whose tickets are older than that of s out of line. Should s
// be a lap of the word's tickets old, those of that lap go too: early, but
// nobody stays. mu is locked.
func (g *Group) older(s int64) (list waitq.List[ticket]) {
	t := g.tickets - (g.tickets-ticket(s))&ticketMask
	if w := g.line.Back(); w == nil || w.Value < t {
		list = g.line.Detach()
		g.idle = nil
	} else {
		for w := g.line.Front(); w.Value < t; w = g.line.Front() {
			g.line.Remove(w)
			list.Add(w)
			g.forget(w)
		}
	}
	g.tidy()
	return list
}

// forget lets go of Idle's channel when its waiter left the line.
func (g *Group) forget(w *waiter) {
	if c, ok := w.Waker.(closer); ok && c == g.idle {
		g.idle = nil
	}
}

// enter gets in line. It reports false if the count is zero.
func (g *Group) enter(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.push(w)
}

// push is enter with mu locked.
func (g *Group) push(w *waiter) bool {
	for {
		s := g.state.Load()
		if s < one {
			return false
		}
		next := int64(g.tickets+1) & ticketMask
		yield.At(yield.GroupTickets)
		if g.state.CompareAndSwap(s, s&^ticketMask|waiting|next) {
			w.Value = g.tickets
			g.tickets++
			g.line.Push(w)
			return true
		}
	}
}

// leave gets out of line. It reports false if w was released, or is to be: at
// zero.
func (g *Group) leave(w *waiter) bool {
	g.mu.Lock()
	var due waitq.List[ticket]
	if s := g.state.Load(); s < one {
		due = g.older(s)
	}
	ok := g.line.Remove(w)
	g.tidy()
	g.mu.Unlock()
	due.Release()
	return ok
}

// tidy clears waiting if nobody is in line. mu is locked.
func (g *Group) tidy() {
	if g.line.Len() == 0 {
		g.state.And(^int64(waiting))
	}
}
