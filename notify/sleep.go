package notify

import (
	"context"
	"runtime"
	"sync"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// There are three ways to sleep. If the context carries a parker, the wait parks with
// it; such a parker may return for no reason, panic, or end the goroutine. Without
// one, only the runtime's code runs while the goroutine is in line. It is a sleeper,
// which allocates nothing, if the context cannot end, and otherwise a selector.

// waitSlow gets in line and sleeps. A goroutine that would not be the first in line
// yields the processor before it gets in. Where many goroutines notify and then wait
// in turn, the runnable ones then notify first; otherwise the line would never be
// empty, and every NotifyOne would have to wake a sleeping goroutine.
func (n *Notify) waitSlow(ctx context.Context) error {
	if p, ok := wake.FromContext(ctx); ok {
		return n.waitParked(ctx, p)
	}
	if n.state.Load() == waiting {
		runtime.Gosched()
	}
	if done := ctx.Done(); done != nil {
		return n.waitSelecting(ctx, done)
	}
	n.waitAsleep()
	return nil
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

// The pools hold only waiters that no notifier uses any more: they were never in
// line, or were woken, which is a notifier's last use of them.
var (
	sleepers  = sync.Pool{New: func() any { return new(sleeper) }}
	selectors = sync.Pool{New: func() any { return new(selector) }}
)

func newSleeper() *sleeper {
	s := sleepers.Get().(*sleeper)
	s.w.Waker = s
	return s
}

func (s *sleeper) free() {
	s.w.Renew()
	sleepers.Put(s)
}

func newSelector() *selector {
	k := selectors.Get().(*selector)
	k.w.Waker = k
	return k
}

// free puts k into the pool. It was woken, or was never in line.
func (k *selector) free(done <-chan struct{}) {
	k.w.Renew()
	k.Reuse(done)
	selectors.Put(k)
}

func (n *Notify) waitAsleep() {
	s := newSleeper()
	n.mu.Lock()
	if n.enter(&s.w) {
		s.Sleep(&n.mu)
	} else {
		n.mu.Unlock()
	}
	s.free()
}

func (n *Notify) waitSelecting(ctx context.Context, done <-chan struct{}) error {
	k := newSelector()
	called := k.Channel(done)
	n.mu.Lock()
	entered := n.enter(&k.w)
	n.mu.Unlock()
	if entered {
		select {
		case <-called:
		case <-done:
			schedpoint.At(schedpoint.NotifyFailed)
			if n.leave(&k.w) {
				return waitq.ContextError(ctx)
			}
			return nil // picked: a notifier has yet to wake k, so k is not used again
		}
	}
	k.free(done)
	return nil
}

func (n *Notify) waitParked(ctx context.Context, p wake.Parker) error {
	w := &waiter{Waker: p}
	n.mu.Lock()
	entered := n.enter(w)
	n.mu.Unlock()
	if !entered {
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
			schedpoint.At(schedpoint.NotifyFailed)
			if n.leave(w) {
				return waitq.ParkError(ctx, err)
			}
			return nil // picked; the waker is on its way
		}
	}
	return nil
}

// abandon takes w out of the line after a Park that panicked or ended the goroutine.
// If w was picked, abandon hands the wake on.
func (n *Notify) abandon(w *waiter) {
	n.mu.Lock()
	var next *waiter
	if !n.remove(w) && w.Value.handOn {
		next = n.pickLocked(oldest)
	}
	n.mu.Unlock()
	deliver(next)
}
