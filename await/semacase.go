package await

import (
	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A semaCase is a case of Select that takes permits.
type semaCase struct {
	choice.Handle
	s        *sema
	n, limit int64
	waiter   waitq.CaseWaiter[request]
	err      error // that Enter ended with
}

func (s *sema) onAcquire(n, limit int64) wake.Case {
	c := &semaCase{s: s, n: n, limit: limit}
	c.Actions = c
	return c
}

// Try takes the permits if they are free and no waiter is in line.
func (c *semaCase) Try(consume bool) (done bool, err error) {
	switch {
	case c.n == 0:
		return true, nil
	case !consume:
		return false, nil
	case c.s.tryFast(c.n, c.limit):
		return true, nil
	}
	c.s.lock(c.limit)
	defer c.s.mu.Unlock()
	if c.n > c.s.limit {
		return true, ErrLimit
	}
	return c.s.tryLocked(c.n, false), nil
}

// Enter gets in line, or claims the arm and takes the permits. It sets waiting before it
// looks, so that what it finds free stays free until it has claimed.
func (c *semaCase) Enter(a *choice.Arm) (entered bool) {
	s, w := c.s, c.waiter.Begin(a)
	w.Value.n, c.err = c.n, nil
	s.lock(c.limit)
	defer s.mu.Unlock()
	s.word.Or(waiting)
	schedpoint.At(schedpoint.LockSelects)
	switch {
	case c.n > s.limit:
		if a.Claim() {
			c.err = ErrLimit
		}
	case s.line.Len() == 0 && held(s.word.Load()) <= s.limit-c.n:
		if a.Claim() {
			schedpoint.At(schedpoint.LockGrants)
			s.word.Add(c.n * one)
			s.taken(s.caller())
		}
	default:
		w.Value.by = s.caller()
		s.line.Push(w)
		return true
	}
	s.clearWaiting()
	c.waiter.End(true)
	return false
}

// Leave leaves the line, and lets in the waiters behind. Arms are claimed with mu locked,
// so no notifier that has lost uses this one any more.
func (c *semaCase) Leave() (unused bool) {
	defer c.waiter.End(true) // also if a waker of the waiters behind panics
	c.s.leave(c.waiter.Waiter())
	return true
}

// Result returns ErrLimit if the case ended with it, in Enter or in line.
func (c *semaCase) Result() (err error) {
	if err = c.err; err == nil {
		err = c.waiter.Waiter().Value.err()
	}
	c.waiter.EndChosen()
	return err
}

// Undo gives the permits back.
func (c *semaCase) Undo() {
	if c.Result() == nil {
		c.s.release(c.n, maxSize, c.limit)
	}
}
