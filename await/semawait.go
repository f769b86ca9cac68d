package await

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// There are three ways to sleep, as in package notify: with the context's parker, as a
// sleeper if the context cannot end, and otherwise as a selector. Only the first may
// return for no reason, panic, or end the goroutine.

// acquire takes n permits, and waits for them if they are not free. The limit is lock's.
func (s *sema) acquire(ctx context.Context, n, limit int64) error {
	mustContext(ctx)
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	if s.tryFast(n, limit) {
		return nil
	}
	return s.acquireSlow(ctx, n, limit)
}

func (s *sema) acquireSlow(ctx context.Context, n, limit int64) error {
	if p, ok := wake.FromContext(ctx); ok {
		return s.acquireParked(ctx, p, n, limit)
	}
	if s.spin(n, limit) {
		return nil
	}
	if done := ctx.Done(); done != nil {
		return s.acquireSelecting(ctx, done, n, limit)
	}
	return s.acquireAsleep(n, limit)
}

// spins is how often a goroutine looks at the word again before it yields, and yields how
// often it yields at most before it gets in line. A lock that is held for a few
// instructions is free by then, and sleeping costs a hundred times more.
const (
	spins  = 30
	yields = 20
)

// spin tries to take the permits without sleeping, as long as no waiter is in line. It
// yields so that the holder may run, and again if waiters in line were served meanwhile:
// a line that is not left to drain makes every Lock sleep. A request for more than the
// limit does not wait for anything.
func (s *sema) spin(n, limit int64) bool {
	if n > limit {
		return false
	}
	for range spins {
		if s.word.Load()&flags != 0 {
			break
		}
		if s.tryFast(n, limit) {
			return true
		}
	}
	for range yields {
		served := s.served.Load()
		if s.word.Load()&slow != 0 {
			return false
		}
		runtime.Gosched()
		if s.tryFast(n, limit) {
			return true
		}
		if s.served.Load() == served {
			return false
		}
	}
	return false
}

// A sleeper is a goroutine in line that leaves it only when it is woken.
type sleeper struct {
	w waiter
	waitq.Sleeper
}

// A selector is a goroutine in line that selects.
type selector struct {
	w waiter
	waitq.Selector
}

// A parked is a task or goroutine in line that sleeps in a Park of its context's parker.
type parked struct {
	w     waiter
	p     wake.Parker
	woken atomic.Bool
}

// Wake wakes the parker. It is the last use of k by another goroutine.
func (k *parked) Wake() {
	p := k.p
	k.woken.Store(true)
	p.Wake()
}

// The pools hold only waiters that no other goroutine uses any more: they were never in
// line, left it, or were woken, which is the last use of them.
var (
	sleepers  = sync.Pool{New: func() any { return new(sleeper) }}
	selectors = sync.Pool{New: func() any { return new(selector) }}
	parkeds   = sync.Pool{New: func() any { return new(parked) }}
)

func (s *sema) acquireAsleep(n, limit int64) error {
	k := sleepers.Get().(*sleeper)
	k.w.Waker, k.w.Value.n = k, n
	s.lock(limit)
	entered, err := s.enter(&k.w)
	if entered {
		k.Sleep(&s.mu)
		err = k.w.Value.err()
	} else {
		s.mu.Unlock()
	}
	k.w.Renew()
	sleepers.Put(k)
	return err
}

func (s *sema) acquireSelecting(ctx context.Context, done <-chan struct{}, n, limit int64) error {
	k := selectors.Get().(*selector)
	k.w.Waker, k.w.Value.n = k, n
	woken := k.Channel(done)
	s.lock(limit)
	entered, err := s.enter(&k.w)
	s.mu.Unlock()
	left := false
	if entered {
		select {
		case <-woken:
			err = k.w.Value.err()
		case <-done:
			if left = s.leave(&k.w); !left {
				return k.w.Value.err() // it is yet to be woken, so k is not used again
			}
		}
	}
	k.w.Renew()
	k.Reuse(done)
	selectors.Put(k)
	if left {
		return waitq.ContextError(ctx)
	}
	return err
}

func (s *sema) acquireParked(ctx context.Context, p wake.Parker, n, limit int64) error {
	k := parkeds.Get().(*parked)
	k.w.Waker, k.w.Value.n, k.p = k, n, p
	s.lock(limit)
	entered, err := s.enter(&k.w)
	s.mu.Unlock()
	if entered {
		err = s.parkInLine(ctx, k, limit)
	} else {
		k.free()
	}
	return err
}

// parkInLine parks until k is done. Whatever Park and the methods of ctx do, it leaves
// nothing in line and no permits without a holder.
func (s *sema) parkInLine(ctx context.Context, k *parked, limit int64) (err error) {
	returned := false
	defer func() {
		if !returned {
			s.abandon(&k.w, limit)
		}
	}()
	for !k.w.Done() {
		if err := k.p.Park(ctx); err != nil && s.leave(&k.w) {
			err = waitq.ParkError(ctx, err)
			returned = true
			k.free()
			return err
		}
	}
	returned = true
	err = k.w.Value.err()
	if k.woken.Load() { // otherwise it is yet to be woken, so k is not used again
		k.free()
	}
	return err
}

// free puts k into the pool.
func (k *parked) free() {
	k.w.Renew()
	k.p = nil
	k.woken.Store(false)
	parkeds.Put(k)
}

// abandon takes w out of line after code of the user has panicked or ended the goroutine.
// That may have been after w was served, and then abandon gives its permits back, or after
// w had left.
func (s *sema) abandon(w *waiter, limit int64) {
	if !s.leave(w) && w.Done() && w.Value.err() == nil {
		s.release(w.Value.n, maxSize, limit)
	}
}

func (r *request) err() error {
	if r.refused {
		return ErrLimit
	}
	return nil
}
