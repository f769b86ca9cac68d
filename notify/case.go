package notify

import (
	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// OnNotify returns [Notify.Wait] as a case of await.Select. The case happens when the
// Select takes the permit or is picked; a Select whose other case happens consumes
// nothing. While the Select is in line, it counts as a waiter. A notification that finds
// it there in the instant in which another case has happened passes it over, and wakes
// the next waiter in line.
func (n *Notify) OnNotify() wake.Case {
	c := &onNotify{n: n}
	c.Actions = c
	return c
}

// onNotify is the case. The waiter of a Select is finished under mu, by the notifier that
// takes it out of line: only then is it picked.
type onNotify struct {
	choice.Handle
	n      *Notify
	waiter waitq.CaseWaiter[notification]
	took   bool // Enter took the permit
}

// Try takes the permit.
func (c *onNotify) Try(consume bool) (done bool, err error) {
	return consume && c.n.TryWait(), nil
}

// Enter gets in line, or takes the permit. It reserves the permit until it knows whether
// the Select can still take it.
func (c *onNotify) Enter(a *choice.Arm) (entered bool) {
	n, w := c.n, c.waiter.Begin(a)
	n.mu.Lock()
	defer n.mu.Unlock()
	for !n.state.CompareAndSwap(permit, reserved) { // the second look
		if n.state.Load() == waiting || n.state.CompareAndSwap(0, waiting) {
			n.line.Push(w)
			n.selects++
			return true
		}
	}
	schedpoint.At(schedpoint.NotifyClaims)
	if c.took = a.Claim(); c.took {
		n.state.Store(0)
	} else {
		n.state.Store(permit)
	}
	c.waiter.End(true)
	return false
}

// Leave leaves the line. A waiter that is out of it was passed over under mu, so no
// notifier uses it.
func (c *onNotify) Leave() (unused bool) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.n.remove(c.waiter.Waiter()) {
		c.n.selects--
	}
	c.waiter.End(true)
	return true
}

// Result consumes the wake.
func (c *onNotify) Result() error {
	c.took = false
	c.waiter.EndChosen()
	return nil
}

// Undo hands the wake on, or drops it.
func (c *onNotify) Undo() {
	c.n.mu.Lock()
	var next *waiter
	if c.took || c.waiter.Waiter().Value.handOn {
		next = c.n.pickLocked(oldest)
	}
	c.took = false
	c.waiter.EndChosen()
	c.n.mu.Unlock()
	deliver(next)
}

// claim finishes w, which was taken out of line. It returns false if w is the waiter of a
// Select and another case has happened. mu is locked.
func (n *Notify) claim(w *waiter) bool {
	if w.Shared() {
		n.selects--
		schedpoint.At(schedpoint.NotifyClaims)
	}
	return w.Finish()
}

// notifySharing is [Notify.NotifyN] with the waiters of Selects in line: those that are
// passed over do not count. mu is locked, and unlocked when notifySharing returns.
func (n *Notify) notifySharing(k int) (woken int) {
	var list waitq.List[notification]
	for w := n.line.Front(); w != nil && woken < k; w = n.line.Front() {
		n.line.Remove(w)
		if n.claim(w) {
			list.Add(w)
			woken++
		}
	}
	n.clearWaiting()
	n.mu.Unlock()
	schedpoint.At(schedpoint.NotifyPicked)
	list.Wake()
	return woken
}
