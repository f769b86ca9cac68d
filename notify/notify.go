package notify

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/wake"
)

// A Notify wakes who waits, and remembers one wake if nobody does. The zero
// value is ready to use. It must not be copied after first use.
type Notify struct {
	// The state word:
	//
	//	bit  name     meaning
	//	0    permit   one wake is kept
	//	1    waiting  somebody is in line; never beside permit
	//
	// While waiting is set, only the holder of mu changes the word; he sets
	// and clears it. Else it changes by compare-and-swap, with no lock.
	state atomic.Uint32

	mu   sync.Mutex // guards the line, and what Listeners say
	line waitq.Queue[choice]
}

const (
	permit uint32 = 1 << iota
	waiting
)

// choice is what a waiter in line carries.
type choice struct {
	handOn bool // it was picked alone: if it gives up, the wake is another's
}

type waiter = waitq.Waiter[choice]

// NotifyOne wakes the longest waiter. If there is none, it keeps a permit for
// the next one; there is at most one. The wake is not lost if that waiter leaves
// without consuming it: it is handed on to the longest waiter, or back as the
// permit.
func (n *Notify) NotifyOne() {
	if !n.keep() {
		n.pick(n.line.Front)
	}
}

// NotifyLast wakes the newest waiter. If there is none, it keeps a permit, as
// [Notify.NotifyOne] does. A wake whose waiter leaves is handed on as that of
// NotifyOne is, so to the longest waiter.
func (n *Notify) NotifyLast() {
	if !n.keep() {
		n.pick(n.line.Back)
	}
}

// NotifyN wakes up to k of the waiters that are in line, the longest first, and
// returns how many. It keeps no permit, neither now nor later: if one of these
// waiters leaves without consuming its wake, that wake is gone, and no other
// waiter gets it. So NotifyN(1) is not [Notify.NotifyOne]: use NotifyOne for
// what must be seen by somebody. A negative k panics.
func (n *Notify) NotifyN(k int) int {
	if k < 0 {
		panic("notify: NotifyN of a negative number")
	}
	if k == 0 || n.state.Load()&waiting == 0 {
		return 0
	}
	n.mu.Lock()
	list, woken := n.leading(k)
	n.mu.Unlock()
	list.Release()
	return woken
}

// NotifyWaiters wakes all waiters that are in line, the longest first, and
// returns how many. It keeps no permit, and leaves one that is there alone. As
// with [Notify.NotifyN], the wake of a waiter that leaves is gone.
func (n *Notify) NotifyWaiters() int {
	if n.state.Load()&waiting == 0 {
		return 0
	}
	n.mu.Lock()
	list, woken := n.leading(n.line.Len())
	n.mu.Unlock()
	list.Release()
	return woken
}

// Wait takes the permit if there is one, else it waits until it is woken. The
// error matches ctx.Err() and context.Cause(ctx); then nothing was consumed,
// and a context that was done before the call always fails. A nil context
// panics.
//
// If the parker of ctx panics or ends the goroutine when Wait was already woken,
// the wake is handed on if it came from [Notify.NotifyOne] or
// [Notify.NotifyLast], and gone if it came from [Notify.NotifyN] or
// [Notify.NotifyWaiters].
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
	if n.state.Load()&permit == 0 {
		return false
	}
	yield.At(yield.NotifyTries)
	return n.state.CompareAndSwap(permit, 0)
}

// Waiters is the number of those in line.
func (n *Notify) Waiters() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.line.Len()
}

func (n *Notify) waitSlow(ctx context.Context) error {
	p := wake.ParkerFrom(ctx)
	w := &waiter{Waker: p}
	if !n.enter(w) {
		return nil
	}
	returned := false
	defer func() {
		if !returned {
			n.abandon(w)
		}
	}()
	err := n.await(ctx, w, p)
	returned = true
	return err
}

func (n *Notify) await(ctx context.Context, w *waiter, p wake.Parker) error {
	for !w.Done() {
		if err := p.Park(ctx); err != nil {
			yield.At(yield.NotifyFailed)
			if n.leave(w) {
				return waitq.ParkError(ctx, err)
			}
			return nil // picked; the waker is on its way
		}
	}
	return nil
}

// abandon is for a Park that ended its goroutine or panicked: w leaves the
// line or, if it was picked, hands the wake on.
func (n *Notify) abandon(w *waiter) {
	n.mu.Lock()
	var next *waiter
	if !n.remove(w) && w.Value.handOn {
		next = n.pass(n.line.Front)
	}
	n.mu.Unlock()
	deliver(next)
}

// keep leaves a permit if nobody is in line. It writes the word even if the
// permit is there: who takes it sees what was before this call, too.
func (n *Notify) keep() bool {
	for {
		s := n.state.Load()
		if s&waiting != 0 {
			return false
		}
		yield.At(yield.NotifyKeeps)
		if n.state.CompareAndSwap(s, permit) {
			return true
		}
	}
}

// pick wakes one end of the line.
func (n *Notify) pick(end func() *waiter) {
	n.mu.Lock()
	w := n.pass(end)
	n.mu.Unlock()
	deliver(w)
}

// pass takes the end of the line out of it, or keeps a permit and returns nil.
// mu is locked.
func (n *Notify) pass(end func() *waiter) *waiter {
	w := end()
	if w == nil {
		n.keep() // nobody can get in line now
		return nil
	}
	w.Value.handOn = true
	n.remove(w)
	return w
}

// deliver wakes a waiter that was picked. No lock is held.
func deliver(w *waiter) {
	yield.At(yield.NotifyPicked)
	if w != nil {
		w.Finish()
		w.Wake()
	}
}

// leading takes the first k out of line. mu is locked.
func (n *Notify) leading(k int) (list waitq.List[choice], taken int) {
	if k >= n.line.Len() {
		taken = n.line.Len()
		list = n.line.Detach()
		n.tidy()
		return list, taken
	}
	for range k {
		w := n.line.Front()
		n.line.Remove(w)
		list.Add(w)
	}
	return list, k
}

// enter gets in line, or takes the permit and reports false.
func (n *Notify) enter(w *waiter) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for !n.state.CompareAndSwap(0, waiting) {
		yield.At(yield.NotifyEnters)
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

// leave gets out of line. It reports false if w was picked.
func (n *Notify) leave(w *waiter) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.remove(w)
}

func (n *Notify) remove(w *waiter) bool {
	ok := n.line.Remove(w)
	n.tidy()
	return ok
}

// tidy clears waiting if nobody is in line. mu is locked.
func (n *Notify) tidy() {
	if n.line.Len() == 0 {
		n.state.CompareAndSwap(waiting, 0)
	}
}
