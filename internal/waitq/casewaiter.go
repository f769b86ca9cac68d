package waitq

import "github.com/vigil-go/vigil/internal/choice"

// A CaseWaiter is the waiter of one case of a Select. The case uses it for one Select
// after the other, and has the lock of its line, or none, when it calls the methods.
type CaseWaiter[T any] struct {
	own   Waiter[T]
	other *Waiter[T]  // in place of own, which a notifier may still use; or nil
	arm   *choice.Arm // of the Select; nil before Begin and after End
}

// Waiter returns the waiter.
func (c *CaseWaiter[T]) Waiter() *Waiter[T] {
	if c.other != nil {
		return c.other
	}
	return &c.own
}

// Begin returns the waiter, ready to get in line for a.
func (c *CaseWaiter[T]) Begin(a *choice.Arm) *Waiter[T] {
	w := c.Waiter()
	w.SetArm(a)
	c.arm = a
	return w
}

// End makes the waiter ready for the next Begin. unused reports whether no notifier can
// use it any more; otherwise the next Begin has another one.
func (c *CaseWaiter[T]) End(unused bool) {
	c.arm = nil
	if unused {
		c.Waiter().Renew()
	} else {
		c.other = new(Waiter[T])
	}
}

// EndChosen is End for the case that has happened: the notifier's last use of the
// waiter is the call of its waker. Without a Begin before, or after End, it does nothing.
func (c *CaseWaiter[T]) EndChosen() {
	if c.arm != nil {
		c.End(c.arm.Called())
	}
}
