package await

import (
	"context"

	"github.com/vigil-go/vigil/wake"
)

// A Semaphore holds a number of permits, its limit, of which callers acquire and release
// any number at a time. The zero value has a limit of 0. A Semaphore must not be copied
// after first use.
//
// Waiters are served in the order in which they got in line: a waiter for many permits is
// not overtaken by one for few, except by [Semaphore.TryAcquire], and lets in those
// behind it at once if it gives up.
//
// Sizes are not negative; those above 1<<61-1 count as 1<<61-1.
//
// In the terminology of the Go memory model, the call of Release of a permit happens
// before the return of the call that acquires this permit next.
type Semaphore struct {
	s       sema
	initial int64 // the limit unless SetLimit has changed it; written by NewSemaphore only
}

// NewSemaphore returns a Semaphore with n permits. It panics if n is negative.
func NewSemaphore(n int64) *Semaphore {
	return &Semaphore{initial: size(n)}
}

// Acquire takes n permits. If they are not free, or other waiters are in line, it waits for
// its turn. If n is more than the limit, or becomes so while Acquire waits, it returns
// [ErrLimit]. If ctx ends first, or has ended before the call, Acquire returns an error
// that matches ctx.Err() and context.Cause(ctx), and holds no permit. If the permits were
// handed over when ctx ends, Acquire returns nil. Acquire of 0 permits returns nil at once.
// It panics if n is negative or ctx is nil.
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	n = size(n)
	if n == 0 {
		mustContext(ctx)
		return nil
	}
	return s.s.acquire(ctx, n, s.initial)
}

// TryAcquire takes n permits if they are free, also if waiters are in line, and reports
// whether it did. It does not wait. It panics if n is negative.
func (s *Semaphore) TryAcquire(n int64) bool {
	n = size(n)
	return n == 0 || s.s.try(n, s.initial, true)
}

// Release gives n permits back, and hands them over to the waiters in line. Any goroutine
// or task may call it. If n is negative, or more than are held, it panics and changes
// nothing.
func (s *Semaphore) Release(n int64) {
	n = size(n)
	if !s.s.releaseFast(n, maxSize) && !s.s.release(n, maxSize, s.initial) {
		panic("await: Release of more than is held of a Semaphore")
	}
}

// SetLimit changes the number of permits. If more than n are held, their holders keep
// them, and no others are handed out until enough are released. Waiters in line for more
// than n get [ErrLimit]. From the first call on, every call of the Semaphore takes a lock.
// SetLimit panics if n is negative.
func (s *Semaphore) SetLimit(n int64) { s.s.setLimit(size(n)) }

// OnAcquire returns a case of [Select] that acquires n permits if it is chosen, or ends
// with [ErrLimit]. It panics if n is negative.
func (s *Semaphore) OnAcquire(n int64) wake.Case { return s.s.onAcquire(size(n), s.initial) }

// Limit returns the number of permits, free or held.
func (s *Semaphore) Limit() int64 {
	s.s.lock(s.initial)
	defer s.s.mu.Unlock()
	return s.s.limit
}

// Held returns the number of permits that are held. After SetLimit that may be more than
// Limit.
func (s *Semaphore) Held() int64 { return held(s.s.word.Load()) }

// Waiters returns the number of waiters in line.
func (s *Semaphore) Waiters() int { return s.s.waiters() }

// size checks a number of permits.
func size(n int64) int64 {
	if n < 0 {
		panic("await: a negative number of permits")
	}
	return min(n, maxSize)
}
