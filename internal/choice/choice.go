// Package choice has the part of await.Select that its cases share. The cases are
// methods of several packages: the waiters of one Select stand in the lines of a map, of
// a lock and of a queue, and one of them gets what it waits for.
//
// The waiters share one word, the claim:
//
//	open --Claim of arm i--> i      by whoever makes case i happen
//	open --Withdraw--------> none   by the Select's own goroutine
//
// Whoever moves the claim out of open has won. A notifier claims a waiter under the
// lock of the line in which it found the waiter, when it has made sure that there is
// something to hand over, and before it hands that over. If the claim fails, another
// case has happened: the notifier passes the waiter over, and what it would have got
// goes to the next in line. So nothing is handed over and then given back, and no
// goroutine needs two locks or two claims at once.
package choice

import (
	"context"
	"sync/atomic"
	"time"
)

// A Waker is wake.Waker, which this package cannot import.
type Waker interface{ Wake() }

// A Case is one thing that a Select can wait for. Only types that embed a Handle have
// its method.
type Case interface{ handle() *Handle }

// Actions is what a Select does with one of its cases, from one goroutine.
type Actions interface {
	// Try makes the case happen if that is possible at once, without a place in
	// line. done reports whether it has; err is what the case ended with. If consume is
	// false, Try does nothing unless the case consumes nothing.
	Try(consume bool) (done bool, err error)

	// Enter gets in line with a as the waker. Under the lock of the line it looks
	// again: if the case is possible at once, it claims a, and if it wins it makes
	// the case happen. Enter reports whether there is a waiter in line that Leave
	// must take out. If Enter panics, there is none.
	Enter(a *Arm) (entered bool)

	// Leave takes the waiter out of line after another case has happened or the
	// Select has withdrawn, and serves those that can be served now. It reports
	// whether no notifier can use the arm or the waiter any more: whether Leave
	// itself has taken the waiter out, under the lock.
	Leave() (unused bool)

	// Result returns the error that the case ended with, after a claim of its arm
	// has won, and assigns what it got to the user's variables. The notifier that won
	// may still hold the lock, and uses the waiter until the arm is Called. So what
	// it hands over in the waiter was written before the claim, and until the arm is
	// Called the waiter is not used again.
	Result() error

	// Undo gives back what the case got, because the code that would use it has
	// panicked or ended its goroutine. It is called instead of Result, at the same
	// time.
	Undo()
}

// A Handle makes the struct that embeds it a Case.
type Handle struct {
	Actions Actions
	User    *Claim // of the Select that is in line for the case, which alone touches it; or nil

	// Commit, if it is not nil, decides elsewhere whether the case happens, as on another
	// machine. The Select calls it when it has chosen the case, after a Try that has
	// reported done, or after Result, without an error. It is in no line then, and its other
	// cases cannot happen any more. Commit may block until ctx ends. It reports false if the
	// case has not happened. Then the Select begins again with all cases, and if ctx has
	// ended that ends it.
	Commit func(ctx context.Context) (done bool, err error)

	// Elapsed is the time since the Select began, when it begins again; otherwise zero.
	Elapsed time.Duration
}

func (h *Handle) handle() *Handle { return h }

// Of returns the handle of a case, or nil if the case is nil.
func Of(c Case) *Handle {
	if c == nil {
		return nil
	}
	return c.handle()
}

// A Claim is the word that the waiters of one Select share.
//
//	value    meaning
//	0        open: no case has happened
//	i+1      case i has happened, or is about to
//	none     the Select has ended without a case
type Claim struct{ word atomic.Uint32 }

const none = ^uint32(0)

// Withdraw ends the Select without a case, and reports whether it won.
func (c *Claim) Withdraw() bool { return c.word.CompareAndSwap(0, none) }

// Open reports whether no case has happened.
func (c *Claim) Open() bool { return c.word.Load() == 0 }

// Chosen returns the case that has happened, or -1.
func (c *Claim) Chosen() int {
	if w := c.word.Load(); w != none {
		return int(w) - 1
	}
	return -1
}

// Reset opens the claim again. No notifier may use an arm of it any more.
func (c *Claim) Reset() { c.word.Store(0) }

// An Arm is the waker of the waiter of one case.
type Arm struct {
	claim  *Claim
	index  uint32
	called atomic.Bool
	waker  Waker
}

// Init makes a the arm of case i.
func (a *Arm) Init(c *Claim, i int, w Waker) {
	a.claim, a.index, a.waker = c, uint32(i), w
	a.called.Store(false)
}

// Claim makes the arm's case the one that happens, and reports whether it won.
func (a *Arm) Claim() bool { return a.claim.word.CompareAndSwap(0, a.index+1) }

// Won reports whether the arm's case is the one that happens.
func (a *Arm) Won() bool { return a.claim.word.Load() == a.index+1 }

// Wake wakes the Select. The winner of Claim calls it once, with no lock held, as its
// last use of the arm and of the waiter.
func (a *Arm) Wake() {
	w := a.waker
	a.called.Store(true)
	w.Wake()
}

// Called reports whether Wake was called.
func (a *Arm) Called() bool { return a.called.Load() }
