package waitgroup

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A Group counts jobs that are not done, and lets goroutines and tasks wait until there
// are none. The zero value has a count of zero and is ready to use. A Group must not be
// copied after first use.
type Group struct {
	// The state word:
	//
	//	bits    name     meaning
	//	0..29   ticket   the next waiter's number; it wraps
	//	30      waiting  the line is not empty
	//	31..63  count    jobs that are not done
	//
	// The count changes by one addition, without a lock, also while waiters are in
	// line. The result of the addition tells which waiters to release at zero: those
	// whose tickets are older than the word's. Ticket and waiting change under mu only.
	state atomic.Int64

	mu      sync.Mutex // guards what follows
	line    waitq.Queue[ticket]
	tickets ticket // the next waiter's; the word has its lowest bits
	idle    closer // of Idle, in line; nil if Idle was not called since the last zero
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

// Add adds n, which may be negative, to the count. If the count becomes zero, Add
// releases all waiters. If the count would become negative, or larger than 2^31-1, Add
// panics and leaves the count as it was; other goroutines may see the wrong count for
// an instant.
func (g *Group) Add(n int) {
	if n < -most || n > most {
		panic(miscount(n))
	}
	if s := g.state.Add(int64(n) * one); s < 0 || s&waiting != 0 || s > most*one {
		g.addSlow(n, s)
	}
}

// Done subtracts one from the count.
func (g *Group) Done() {
	if s := g.state.Add(-one); s < 0 || s&waiting != 0 {
		g.addSlow(-1, s)
	}
}

// addSlow completes an Add of n whose result is s, if the line is not empty or the
// count is out of range.
func (g *Group) addSlow(n int, s int64) {
	schedpoint.At(schedpoint.GroupCounted)
	wrong := s < 0 || s/one > most
	if wrong {
		s = g.state.Add(-int64(n) * one) // and that may be the zero
	}
	// An Add that counts up from zero releases, too: when it returns, no waiter that
	// was in line at the zero is still there.
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

// Go adds one to the count, runs f in a new goroutine, and subtracts one when f has
// returned or called runtime.Goexit. f must not panic: a panic ends the program, and no
// waiter is released before that.
func (g *Group) Go(f func()) {
	s := g.state.Add(one)
	if s < 0 || s > most*one {
		g.addSlow(1, s) // panics
	}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				panic(p) // not Done: a released waiter might end the program first, with success
			}
			g.Done()
		}()
		f()
	}()
	if s&waiting != 0 {
		g.addSlow(1, s) // now: a waker that panics must not keep f from running
	}
}

// Wait waits until the count is zero, or has been zero since the call. If it is zero
// at the call, Wait returns nil at once, even if ctx is done. If ctx ends first, Wait
// returns an error that matches ctx.Err() and context.Cause(ctx). Wait may also return
// this error if ctx ends while an Add in another goroutine counts up from zero. A nil
// context panics.
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
			schedpoint.At(schedpoint.GroupFailed)
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

// Count returns the count.
func (g *Group) Count() int { return int(min(max(g.state.Load()/one, 0), most)) }

// Idle returns a channel, for use in a select statement, that is closed the next time
// the count is zero; if it is zero now, the channel is closed already. If an Add in
// another goroutine counts up from zero during the call, the channel may be closed
// already, too.
//
// All calls until the next zero return the same channel. If the first of them is in a
// testing/synctest bubble, every use of the channel must be in the same bubble: a
// receive from it, and the Done or Add that reaches zero. If it is outside of all
// bubbles, the channel may be received from in one, but that does not block durably
// there. The channel that Idle returns at zero may be used anywhere.
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

// Register has w called the next time the count is zero. If the count is zero now, w is
// called before Register returns. A nil w is not called.
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

// Stop leaves the line, and reports whether it prevented the wake.
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

// release wakes all waiters whose tickets are older than the one in s.
func (g *Group) release(s int64) {
	g.mu.Lock()
	list := g.detachOlder(s)
	g.mu.Unlock()
	schedpoint.At(schedpoint.GroupReleased)
	list.Release()
}

// detachOlder takes all waiters whose tickets are older than the one in s out of the
// line. If the word's tickets have gone round once since s, the waiters of that round
// are released too: early, but none is left behind. mu is locked.
func (g *Group) detachOlder(s int64) (list waitq.List[ticket]) {
	t := g.tickets - (g.tickets-ticket(s))&ticketMask
	if w := g.line.Back(); w == nil || w.Value < t {
		list = g.line.Detach()
		g.idle = nil
	} else {
		for w := g.line.Front(); w.Value < t; w = g.line.Front() {
			g.line.Remove(w)
			list.Add(w)
			g.forgetIdle(w)
		}
	}
	g.clearWaiting()
	return list
}

// forgetIdle forgets Idle's channel if w was its waiter.
func (g *Group) forgetIdle(w *waiter) {
	if c, ok := w.Waker.(closer); ok && c == g.idle {
		g.idle = nil
	}
}

// enter puts w in line. It returns false if the count is zero.
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
		schedpoint.At(schedpoint.GroupTickets)
		if g.state.CompareAndSwap(s, s&^ticketMask|waiting|next) {
			w.Value = g.tickets
			g.tickets++
			g.line.Push(w)
			return true
		}
	}
}

// leave takes w out of the line. It returns false if w was released, or must be since
// the count is zero.
func (g *Group) leave(w *waiter) bool {
	g.mu.Lock()
	var due waitq.List[ticket]
	if s := g.state.Load(); s < one {
		due = g.detachOlder(s)
	}
	ok := g.line.Remove(w)
	g.clearWaiting()
	g.mu.Unlock()
	due.Release()
	return ok
}

// clearWaiting clears the bit waiting if the line is empty. mu is locked.
func (g *Group) clearWaiting() {
	if g.line.Len() == 0 {
		g.state.And(^int64(waiting))
	}
}
