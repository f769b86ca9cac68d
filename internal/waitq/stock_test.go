package waitq_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A stock has units to take, first come, first served. It is the simplest thing that a
// Select can wait for.
type stock struct {
	mu     sync.Mutex
	n      int
	line   waitq.Queue[units]
	undone int    // units that Undo gave back
	enters func() // called once by the next Enter, before it locks
}

// units are what a waiter asks for and what it gets.
type units struct {
	ask, got int
	err      error
}

// put adds units and serves the line.
func (s *stock) put(n int) { wakeAll(s.serve(n)) }

// serve adds units and hands them over to the waiters, which it returns: they must be
// woken.
func (s *stock) serve(n int) (won waitq.List[units]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n += n
	for w := s.line.Front(); w != nil && w.Value.ask <= s.n; {
		next := w.Next()
		s.line.Remove(w)
		w.Value.got = w.Value.ask
		if w.Finish() {
			s.n -= w.Value.ask
			won.Add(w)
		}
		w = next
	}
	return won
}

func wakeAll(won waitq.List[units]) {
	for w := won.Pop(); w != nil; w = won.Pop() {
		w.Wake()
	}
}

// detach takes the line, whose waiters end with err when the list is released.
func (s *stock) detach(err error) waitq.List[units] {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := s.line.Front(); w != nil; w = w.Next() {
		w.Value.err = err
	}
	return s.line.Detach()
}

// push puts a waiter of its own in line.
func (s *stock) push(ask int, w wake.Waker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.Push(&waitq.Waiter[units]{Waker: w, Value: units{ask: ask}})
}

func (s *stock) waiters() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.line.Len()
}

// take takes units if they are there.
func (s *stock) take(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n < n {
		return false
	}
	s.n -= n
	return true
}

// on returns a case that takes units. It adds them to *got, if that is not nil.
func (s *stock) on(ask int, got *int) *taking {
	c := &taking{s: s, ask: ask, got: got, w: new(waitq.Waiter[units])}
	c.Actions = c
	return c
}

// A taking is a case. It may be used again after its Select has returned.
type taking struct {
	choice.Handle
	s   *stock
	ask int
	got *int
	w   *waitq.Waiter[units]
	arm *choice.Arm // nil: not in line
}

func (c *taking) Try(consume bool) (bool, error) {
	if !consume && c.ask > 0 || !c.s.take(c.ask) {
		return false, nil
	}
	c.receive(c.ask)
	return true, nil
}

func (c *taking) Enter(a *choice.Arm) bool {
	if f := c.s.enters; f != nil {
		c.s.enters = nil
		f()
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.arm = nil
	if c.s.n >= c.ask && c.s.line.Len() == 0 {
		if a.Claim() {
			c.s.n -= c.ask
			c.w.Value.got = c.ask
		}
		return false
	}
	c.arm = a
	c.w.SetArm(a)
	c.w.Value.ask = c.ask
	c.s.line.Push(c.w)
	return true
}

func (c *taking) Leave() (unused bool) {
	c.s.mu.Lock()
	unused = c.s.line.Remove(c.w)
	c.s.mu.Unlock()
	c.renew(unused)
	c.s.put(0) // serves the waiters behind
	return unused
}

// renew makes a waiter ready for the next use: this one, or another one if a notifier
// may still use this one.
func (c *taking) renew(unused bool) {
	if unused {
		c.w.Renew()
	} else {
		c.w = new(waitq.Waiter[units])
	}
}

// end returns what the case got.
func (c *taking) end() units {
	u := c.w.Value
	c.renew(c.arm == nil || c.arm.Called())
	return u
}

func (c *taking) Result() error {
	u := c.end()
	c.receive(u.got)
	return u.err
}

func (c *taking) receive(n int) {
	if c.got != nil {
		*c.got += n
	}
}

func (c *taking) Undo() {
	u := c.end()
	c.s.mu.Lock()
	c.s.undone += u.got
	c.s.mu.Unlock()
	c.s.put(u.got)
}

// requireStock checks how many units are there, and that the line is empty.
func requireStock(t testing.TB, n int, s *stock) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(t, n, s.n)
	require.Zero(t, s.line.Len())
}
