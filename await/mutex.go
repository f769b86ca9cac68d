package await

import (
	"context"

	"github.com/vigil-go/vigil/wake"
)

// A Mutex is a mutual exclusion lock that a goroutine waits for under a context, and a
// task without blocking its loop. The zero value is an unlocked Mutex. A Mutex must not
// be copied after first use.
//
// Waiters in line get the lock in the order in which they got in line. A goroutine that
// finds the lock held may look again a few times before it gets in line; it does not
// overtake waiters that are in line.
//
// In the terminology of the Go memory model, the n'th call of Unlock happens before the
// m'th call of Lock or TryLock that got the lock returns, for any n < m, and so for a
// Select that chose OnLock.
type Mutex struct{ s sema }

// Lock locks m. If m is locked, Lock waits until it is its turn. If ctx ends first, or
// has ended before the call, Lock returns an error that matches ctx.Err() and
// context.Cause(ctx), and does not have the lock. If the lock was handed over when ctx
// ends, Lock returns nil. A nil context panics.
func (m *Mutex) Lock(ctx context.Context) error {
	if ctx != nil && ctx.Err() == nil && m.s.word.CompareAndSwap(0, one) {
		return nil
	}
	return m.s.acquire(ctx, 1, 1)
}

// TryLock locks m and reports whether it did. It does not wait.
func (m *Mutex) TryLock() bool {
	return m.s.word.CompareAndSwap(0, one) || m.s.try(1, 1, false)
}

// Unlock unlocks m, or hands it over to the waiter that has been in line longest. Any
// goroutine or task may call it. If m is not locked, Unlock panics and changes nothing.
func (m *Mutex) Unlock() {
	if !m.s.word.CompareAndSwap(one, 0) {
		m.unlockSlow()
	}
}

func (m *Mutex) unlockSlow() {
	if !m.s.release(1, 1, 1) {
		panic("await: unlock of unlocked Mutex")
	}
}

// OnLock returns a case of [Select] that locks m if it is chosen.
func (m *Mutex) OnLock() wake.Case { return m.s.onAcquire(1, 1) }

// Locked reports whether m is locked.
func (m *Mutex) Locked() bool { return held(m.s.word.Load()) > 0 }

// Waiters returns the number of waiters in line.
func (m *Mutex) Waiters() int { return m.s.waiters() }
