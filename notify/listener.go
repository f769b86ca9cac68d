package notify

import (
	"context"
	"errors"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// ErrStopped is returned by [Listener.Wait] after a [Listener.Stop] that left the line,
// or that handed the wake on or dropped it.
var ErrStopped = errors.New("notify: the Listener was stopped")

// A Listener is a place in the line of a [Notify], for one wake. It is ready when it has
// been picked. From then on every Ready returns true and every Wait returns nil, unless a
// Stop hands the wake on or drops it. The channel of C delivers the wake once.
//
// The wake is consumed by the first Wait that returns nil, the first Ready that returns
// true, or a receive from the channel of C. Stop does not hand a consumed wake on, and
// the channel does not deliver it.
//
// A Listener stays in line until it is picked or stopped. Several goroutines may use
// it at the same time.
type Listener struct {
	n *Notify

	// Guarded by n.mu.
	w waiter        // see wakers.go for its Waker
	c chan struct{} // of C: room for the one wake
}

// Listen returns a Listener that is in line. If there is a permit, the Listener takes it
// and is ready.
func (n *Notify) Listen() *Listener { return n.Register(nil) }

// Register is [Notify.Listen] with a Waker, which may be nil. w is called once, when the
// Listener is ready; if the Listener takes the permit, before Register returns. The call
// of w does not consume the wake; [Listener.Ready] does.
func (n *Notify) Register(w wake.Waker) *Listener {
	l := &Listener{n: n}
	l.w.Waker = w
	n.mu.Lock()
	entered := n.enter(&l.w)
	n.mu.Unlock()
	if entered {
		return l
	}
	l.w.Value.handOn = true // no other goroutine has l yet
	returned := false
	defer func() {
		if !returned { // w panicked, so the caller gets no Listener
			l.Stop()
		}
	}()
	deliver(&l.w)
	returned = true
	return l
}

// Wait waits until the Listener is ready, and consumes the wake. If ctx ends first, or
// was done before the call, Wait returns an error that matches ctx.Err() and
// context.Cause(ctx), consumes nothing, and the Listener stays in line. After a Stop
// that left the line, or that handed the wake on or dropped it, the error is
// [ErrStopped]. A nil context panics.
func (l *Listener) Wait(ctx context.Context) error {
	waitq.MustContext(ctx, "notify")
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	return l.waitSlow(ctx)
}

// Ready reports whether the Listener is ready, and if so consumes the wake. It does
// not block.
func (l *Listener) Ready() bool {
	done, err := l.take()
	return done && err == nil
}

// C returns a channel from which the wake can be received once, for use in a select
// statement. All calls return the same channel, and it is never closed.
//
// The first call of C makes the channel. If that call is in a testing/synctest bubble,
// every use of the channel must be in the same bubble: a receive from it, Ready, Wait
// and Stop of this Listener, and the notification that picks it. If that call is outside
// of all bubbles, the channel may be used in one, but a receive from it does not block
// durably there.
func (l *Listener) C() <-chan struct{} {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.c == nil {
		l.c = make(chan struct{}, 1)
		if l.inLine() {
			l.addChannel()
		}
	}
	l.send()
	return l.c
}

// Stop takes the Listener out of the line, and reports whether it prevented the wake.
// If it did not, and the wake was not consumed, the wake is handed on or dropped: a wake
// of [Notify.NotifyOne] or [Notify.NotifyLast], and the permit, go to the waiter that
// has been in line longest, or are kept as the permit; a wake of [Notify.NotifyN] or
// [Notify.NotifyWaiters] is dropped. A waiter in Wait of the Listener then returns
// [ErrStopped].
func (l *Listener) Stop() bool {
	l.n.mu.Lock()
	var w wake.Waker
	var next *waiter
	inTime := l.n.remove(&l.w)
	switch {
	case inTime:
		l.w.Value.stopped = true
		w, l.w.Waker = l.w.Waker, nil
	case l.consume():
		l.w.Value.stopped = true
		if l.w.Value.handOn {
			next = l.n.pickLocked(oldest)
		}
	}
	l.n.mu.Unlock()
	deliver(next)
	releaseWaiters(w)
	return inTime
}

// picked reports whether the Listener was picked, or took the permit.
func (l *Listener) picked() bool { return !l.w.Value.stopped && !l.inLine() }

func (l *Listener) inLine() bool { return l.n.line.Has(&l.w) }

// send sends the wake on c, if there is a channel and a wake that was not consumed.
func (l *Listener) send() {
	if l.c != nil && !l.w.Value.sent && !l.w.Value.used && l.picked() {
		l.w.Value.sent = true
		l.c <- struct{}{}
	}
}

// consume takes the wake of a picked Listener, and reports whether it was
// still there.
func (l *Listener) consume() bool {
	if l.w.Value.used {
		return false
	}
	l.w.Value.used = true
	if !l.w.Value.sent {
		return true
	}
	select {
	case <-l.c:
		return true
	default: // received before
		return false
	}
}

// result consumes the wake of a picked Listener.
func (l *Listener) result() (done bool, err error) {
	switch {
	case l.w.Value.stopped:
		return true, ErrStopped
	case l.picked():
		l.consume()
		return true, nil
	default:
		return false, nil
	}
}

func (l *Listener) take() (done bool, err error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	return l.result()
}
