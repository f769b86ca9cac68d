package notify

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A Notify wakes waiters, and keeps one wake, its permit, if there are none. The zero
// value is ready to use. A Notify must not be copied after first use.
type Notify struct {
	// The state word:
	//
	//	bit  name     meaning
	//	0    permit   one wake is kept
	//	1    waiting  the line is not empty
	//
	// Both bits together: the permit is reserved for a Select, whose claim decides
	// whether it is taken or kept; the line is empty.
	//
	// Only the holder of mu sets and clears waiting, and only it changes the word
	// while waiting is set. Otherwise the word changes by compare-and-swap, without
	// a lock.
	state atomic.Uint32

	mu      sync.Mutex // guards what follows, and the state of Listeners
	selects uint32     // the waiters of Selects in line
	line    waitq.Queue[notification]
}

const (
	permit uint32 = 1 << iota
	waiting

	reserved = permit | waiting
)

// An end of the line.
type end bool

const (
	oldest end = false
	newest end = true
)

// A notification is what a waiter was picked for. mu guards it.
type notification struct {
	handOn bool // by NotifyOne or NotifyLast: a waiter that leaves hands the wake on

	// A Listener's:
	sent    bool // the wake was sent on its channel
	used    bool // the wake was consumed or handed on
	stopped bool // Stop left the line, or handed the wake on
}

type waiter = waitq.Waiter[notification]

// NotifyOne wakes the waiter that has been in line longest. If the line is empty, it
// keeps a permit for the next Wait; there is at most one permit. If the waiter leaves
// without consuming the wake, the wake goes to the next waiter in line, or is kept as
// the permit.
func (n *Notify) NotifyOne() {
	if n.storePermit() {
		return
	}
	n.mu.Lock()
	w := n.pickLocked(oldest)
	n.mu.Unlock()
	deliver(w)
}

// NotifyLast wakes the newest waiter. If the line is empty, it keeps a permit, as
// [Notify.NotifyOne] does. If the waiter leaves without consuming the wake, the wake
// goes to the waiter that has been in line longest, or is kept as the permit.
func (n *Notify) NotifyLast() {
	if n.storePermit() {
		return
	}
	n.mu.Lock()
	w := n.pickLocked(newest)
	n.mu.Unlock()
	deliver(w)
}

// NotifyN wakes the first k waiters in line, or all if there are fewer, and returns
// their number. It keeps no permit, and if one of these waiters leaves without consuming
// its wake, no other waiter gets that wake. So NotifyN(1) is not [Notify.NotifyOne]: use
// NotifyOne for a wake that some waiter must see. A negative k panics.
func (n *Notify) NotifyN(k int) int {
	if k < 0 {
		panic("notify: NotifyN of a negative number")
	}
	if k == 0 || n.state.Load()&waiting == 0 {
		return 0
	}
	n.mu.Lock()
	if n.selects != 0 {
		return n.notifySharing(k)
	}
	list, woken := n.pickFirst(k)
	n.mu.Unlock()
	list.Release()
	return woken
}

// NotifyWaiters wakes all waiters that are in line, in the order of the line, and
// returns their number. It neither keeps nor takes a permit. As with [Notify.NotifyN],
// no other waiter gets the wake of a waiter that leaves.
func (n *Notify) NotifyWaiters() int {
	if n.state.Load()&waiting == 0 {
		return 0
	}
	n.mu.Lock()
	if n.selects != 0 {
		return n.notifySharing(n.line.Len())
	}
	list, woken := n.pickFirst(n.line.Len())
	n.mu.Unlock()
	list.Release()
	return woken
}

// Wait takes the permit if there is one; otherwise it waits until it is woken. If ctx
// ends first, or was done before the call, Wait consumes nothing and returns an error
// that matches ctx.Err() and context.Cause(ctx). A nil context panics.
//
// If the parker of ctx panics or ends the goroutine after Wait was woken, a wake of
// [Notify.NotifyOne] or [Notify.NotifyLast] goes to the next waiter in line, or is kept
// as the permit. A wake of [Notify.NotifyN] or [Notify.NotifyWaiters] is dropped.
func (n *Notify) Wait(ctx context.Context) error {
	waitq.MustContext(ctx, "notify")
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	if n.TryWait() {
		return nil
	}
	return n.waitSlow(ctx)
}

// TryWait takes the permit and reports whether there was one.
func (n *Notify) TryWait() bool {
	for n.state.Load()&permit != 0 { // spins while the permit is reserved, for two steps
		schedpoint.At(schedpoint.NotifyTries)
		if n.state.CompareAndSwap(permit, 0) {
			return true
		}
	}
	return false
}

// Waiters returns the number of waiters in line.
func (n *Notify) Waiters() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.line.Len()
}

// storePermit stores the permit, and returns true, if the line is empty. It writes the
// word even if the permit is there, so that this call, too, happens before the return
// of the wait that takes it.
func (n *Notify) storePermit() bool {
	for {
		s := n.state.Load()
		if s&waiting != 0 {
			return false
		}
		schedpoint.At(schedpoint.NotifyKeeps)
		if n.state.CompareAndSwap(s, permit) {
			return true
		}
	}
}

// pickLocked takes the waiter at an end of the line out of it and returns it, to be
// woken. It passes over Selects whose other case has happened. If the line is empty, it
// stores the permit. mu is locked.
func (n *Notify) pickLocked(e end) *waiter {
	for n.line.Len() != 0 {
		w := n.line.Front()
		if e == newest {
			w = n.line.Back()
		}
		w.Value.handOn = true
		n.remove(w)
		if n.selects == 0 || n.claim(w) {
			return w
		}
	}
	n.storePermit() // mu keeps others from getting in line
	return nil
}

// deliver wakes a waiter that was picked. It does not use the waiter after it called
// the waker: the waiter may be in a pool then. No lock is held.
func deliver(w *waiter) {
	schedpoint.At(schedpoint.NotifyPicked)
	if w == nil {
		return
	}
	switch waker := w.Waker.(type) { // these two do not look at w.Done
	case *sleeper:
		waker.Wake()
	case *selector:
		waker.Wake()
	default:
		w.Finish() // if there are Selects in line, it is finished already
		w.Wake()
	}
}

// pickFirst takes the first k waiters out of the line, which has none of a Select. mu is
// locked.
func (n *Notify) pickFirst(k int) (list waitq.List[notification], taken int) {
	if k >= n.line.Len() {
		taken = n.line.Len()
		list = n.line.Detach()
		n.clearWaiting()
		return list, taken
	}
	for range k {
		w := n.line.Front()
		n.line.Remove(w)
		list.Add(w)
	}
	return list, k
}

// enter puts w in line and returns true, or takes the permit and returns false. mu
// is locked.
func (n *Notify) enter(w *waiter) bool {
	for !n.state.CompareAndSwap(0, waiting) {
		schedpoint.At(schedpoint.NotifyEnters)
		switch n.state.Load() {
		case permit: // the second look
			if n.state.CompareAndSwap(permit, 0) {
				return false
			}
		case waiting:
			n.line.Push(w)
			return true
		}
	}
	n.line.Push(w)
	return true
}

// leave takes w out of the line. It returns false if w was picked before.
func (n *Notify) leave(w *waiter) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.remove(w)
}

func (n *Notify) remove(w *waiter) bool {
	ok := n.line.Remove(w)
	n.clearWaiting()
	return ok
}

// clearWaiting clears the bit waiting if the line is empty. mu is locked.
func (n *Notify) clearWaiting() {
	if n.line.Len() == 0 {
		n.state.CompareAndSwap(waiting, 0)
	}
}
