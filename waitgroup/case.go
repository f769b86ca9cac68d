package waitgroup

import (
	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// OnZero returns [Group.Wait] as a case of await.Select. The case consumes nothing: at
// a count of zero it happens even if the context of the Select has ended.
func (g *Group) OnZero() wake.Case {
	c := &onZero{g: g}
	c.Actions = c
	return c
}

// onZero is the case. The waiter of a Select is claimed when it is released, which is
// after it left the line, with no lock held.
type onZero struct {
	choice.Handle
	g      *Group
	waiter waitq.CaseWaiter[ticket]
}

// Try looks at the count.
func (c *onZero) Try(bool) (done bool, err error) { return c.g.TryWait(), nil }

// Enter gets in line, or claims a because the count is zero.
func (c *onZero) Enter(a *choice.Arm) (entered bool) {
	if c.g.enter(c.waiter.Begin(a)) {
		return true
	}
	c.waiter.End(true)
	a.Claim()
	return false
}

// Leave leaves the line. A notifier that took the waiter out of line before may not have
// seen yet that it cannot claim it.
func (c *onZero) Leave() (unused bool) {
	w := c.waiter.Waiter()
	defer func() { c.waiter.End(unused) }() // also if a waker panics
	return c.g.leave(w)
}

// Result ends the wait.
func (c *onZero) Result() error {
	c.waiter.EndChosen()
	return nil
}

// Undo has nothing to give back.
func (c *onZero) Undo() { c.waiter.EndChosen() }
