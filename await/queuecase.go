package await

import (
	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A queueCase is a case of Select that puts or takes. The waiter has what the case got,
// also if it was never in line.
type queueCase[T any] struct {
	choice.Handle
	q      *Queue[T]
	side   side
	v      T  // to put
	to     *T // what is taken; nil drops it
	waiter waitq.CaseWaiter[item[T]]
}

// OnPut returns a case of [Select] that puts v if it is chosen, or ends with [ErrClosed].
func (q *Queue[T]) OnPut(v T) wake.Case { return (&queueCase[T]{q: q, side: putting, v: v}).init() }

// OnTake returns a case of [Select] that takes a value if it is chosen, and assigns it to
// *v, or ends with [ErrClosed], and then *v keeps its value. If v is nil, the value that is
// taken is dropped.
func (q *Queue[T]) OnTake(v *T) wake.Case { return (&queueCase[T]{q: q, side: taking, to: v}).init() }

func (c *queueCase[T]) init() wake.Case {
	c.q.mustBeMade()
	c.Actions = c
	return c
}

// Try puts or takes if that is possible at once.
func (c *queueCase[T]) Try(consume bool) (done bool, err error) {
	if !consume {
		return false, nil
	}
	if c.side == putting {
		return c.q.tryPut(c.v)
	}
	v, done, err := c.q.tryTake()
	if done {
		c.assign(v, err)
	}
	return done, err
}

// Enter gets in line, or claims the arm and then puts or takes.
func (c *queueCase[T]) Enter(a *choice.Arm) (entered bool) {
	q, w := c.q, c.waiter.Begin(a)
	schedpoint.At(schedpoint.QueueEnters)
	q.lock()
	if !q.possible(c.side) {
		w.Value.v = c.v
		q.line(c.side).Push(w)
		q.mu.Unlock()
		return true
	}
	c.waiter.End(true)
	var other *waitq.Waiter[item[T]]
	var err error
	switch {
	case !a.Claim(): // another case has happened
	case c.side == putting:
		_, other, err = q.putLocked(c.v)
	default:
		w.Value.v, _, other, err = q.takeLocked()
	}
	w.Value.closed = err != nil
	q.mu.Unlock()
	wakeServed(other)
	return false
}

// possible reports whether a waiter need not get in line. mu is locked.
func (q *Queue[T]) possible(s side) bool {
	if s == putting {
		return q.closed || q.n < q.capacity
	}
	return q.closed || q.n > 0
}

// Leave leaves the line. Arms are claimed with mu locked, so no notifier that has lost
// uses this one any more.
func (c *queueCase[T]) Leave() (unused bool) {
	c.q.leave(c.waiter.Waiter(), c.side)
	c.waiter.End(true)
	return true
}

// Result assigns the value that was taken.
func (c *queueCase[T]) Result() error {
	v, err := c.take()
	if c.side == taking {
		c.assign(v, err)
	}
	return err
}

// Undo puts a value that was taken back.
func (c *queueCase[T]) Undo() {
	if v, err := c.take(); err == nil && c.side == taking {
		c.q.putBack(v)
	}
}

// take returns what the case got, and keeps nothing of it: a notifier writes it before it
// claims the arm.
func (c *queueCase[T]) take() (v T, err error) {
	w := c.waiter.Waiter()
	v, err = w.Value.result(c.side)
	w.Value = item[T]{}
	c.waiter.EndChosen()
	return v, err
}

func (c *queueCase[T]) assign(v T, err error) {
	if c.to != nil && err == nil {
		*c.to = v
	}
}
