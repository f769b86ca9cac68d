package notify

import (
	"context"
	"errors"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// ErrStopped is the error of a [Listener.Wait] after [Listener.Stop].
var ErrStopped = errors.New("notify: the Listener was stopped")

// A Listener is a place in a [Notify]'s line, for one wake. Once it is ready,
// Ready and Wait say so each time, until a Stop hands the wake on; C gives it
// once. The wake is consumed when Wait returned nil, Ready reported true, or C
// was received from; that matters to Stop, and to C, which then stays empty.
//
// A Listener stays in line until it is picked or stopped. Several goroutines
// may use it at the same time.
type Listener struct {
	n *Notify
	w waiter

	// What follows is guarded by n.mu.
	waker   wake.Waker            // the user's; nil once it was called, or will not be
	joined  waitq.Queue[struct{}] // goroutines in Wait
	c       chan struct{}         // of C: room for the one wake
	sent    bool                  // the wake was put into c
	used    bool                  // the wake was consumed, or handed on
	stopped bool                  // and in time, or the wake was handed on
}

// Listen gets in line, or takes the permit; in the second case the Listener is
// ready on return.
func (n *Notify) Listen() *Listener { return n.Register(nil) }

// Register is [Notify.Listen] with a waker, which may be nil. It is woken once,
// when the Listener is picked; on return already if that took the permit. To
// be woken consumes nothing: call Ready.
func (n *Notify) Register(w wake.Waker) *Listener {
	l := &Listener{n: n, waker: w}
	l.w.Waker = (*bell)(l)
	if n.enter(&l.w) {
		return l
	}
	l.w.Value.handOn = true // nobody else knows it yet
	returned := false
	defer func() {
		if !returned { // w panicked: nobody has the Listener
			l.Stop()
		}
	}()
	deliver(&l.w)
	returned = true
	return l
}

// Wait waits until the Listener is ready, and consumes the wake. If ctx ends
// first, the error matches ctx.Err() and context.Cause(ctx), nothing is
// consumed, and the Listener stays in line. A context that was done before the
// call always fails. After a Stop that left the line, or handed the wake on,
// the error is [ErrStopped]. A nil context panics.
func (l *Listener) Wait(ctx context.Context) error {
	waitq.MustContext(ctx, "notify")
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	p := wake.ParkerFrom(ctx)
	j := &waitq.Waiter[struct{}]{Waker: p}
	if done, err := l.join(j); done {
		return err
	}
	defer l.unjoin(j) // if Park ends the goroutine or panics
	for !j.Done() {
		if err := p.Park(ctx); err != nil {
			if done, err := l.part(j); done {
				return err
			}
			return waitq.ParkError(ctx, err)
		}
	}
	_, err := l.take()
	return err
}

// Ready reports whether the Listener was picked, and if so consumes the wake.
// It does not block.
func (l *Listener) Ready() bool {
	done, err := l.take()
	return done && err == nil
}

// C returns a channel, always the same, from which the wake can be received
// once, for use in a select statement. Stop does not close it, and neither does
// anything else.
//
// The first call of C makes the channel. If that is in a testing/synctest
// bubble, all that touches the channel must be in the same bubble: receiving
// from it, Ready, Wait and Stop of this Listener, and the notification that picks
// it. If it is outside, the channel may be used in a bubble, but receiving from
// it does not block durably there.
func (l *Listener) C() <-chan struct{} {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.c == nil {
		l.c = make(chan struct{}, 1)
	}
	l.send()
	return l.c
}

// Stop leaves the line, and reports whether it prevented the wake. If it did
// not, and nobody consumed the wake, what becomes of that depends on where it
// came from. A wake of [Notify.NotifyOne] or [Notify.NotifyLast], and the
// permit, are handed on: to the longest waiter, or back as the permit. A wake of
// [Notify.NotifyN] or [Notify.NotifyWaiters] is gone: no other waiter gets it,
// and no permit is kept.
func (l *Listener) Stop() bool {
	l.n.mu.Lock()
	inTime := l.n.remove(&l.w)
	var next *waiter
	switch {
	case inTime:
		l.stopped, l.waker = true, nil
	case l.consume():
		l.stopped = true
		if l.w.Value.handOn {
			next = l.n.pass(l.n.line.Front)
		}
	}
	joined := l.joined.Detach()
	l.n.mu.Unlock()
	defer deliver(next) // even if a parker panics
	joined.Release()
	return inTime
}

// bell is a Listener as its own waker.
type bell Listener

// Wake tells all who wait for the Listener that it was picked.
func (b *bell) Wake() {
	l := (*Listener)(b)
	l.n.mu.Lock()
	l.send()
	joined := l.joined.Detach()
	w := l.waker
	l.waker = nil
	l.n.mu.Unlock()
	if w != nil {
		defer w.Wake() // last, and even if a parker panics
	}
	joined.Release()
}

// picked reports whether the Listener was picked, or took the permit.
func (l *Listener) picked() bool { return !l.stopped && !l.n.line.Has(&l.w) }

// send puts the wake into c, if it is there and nobody consumed it.
func (l *Listener) send() {
	if l.c != nil && !l.sent && !l.used && l.picked() {
		l.sent = true
		l.c <- struct{}{}
	}
}

// consume takes the wake of a picked Listener, and reports whether it was
// still there.
func (l *Listener) consume() bool {
	if l.used {
		return false
	}
	l.used = true
	if !l.sent {
		return true
	}
	select {
	case <-l.c:
		return true
	default: // somebody received it
		return false
	}
}

// result consumes the wake, if it is there.
func (l *Listener) result() (done bool, err error) {
	switch {
	case l.stopped:
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

// join gets in line for the Listener, unless that is done.
func (l *Listener) join(j *waitq.Waiter[struct{}]) (done bool, err error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if done, err = l.result(); !done {
		l.joined.Push(j)
	}
	return done, err
}

// unjoin takes j out of joined, if it is still there.
func (l *Listener) unjoin(j *waitq.Waiter[struct{}]) {
	if !j.Done() {
		l.n.mu.Lock()
		defer l.n.mu.Unlock()
		l.joined.Remove(j)
	}
}

// part is join's reverse.
func (l *Listener) part(j *waitq.Waiter[struct{}]) (done bool, err error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	l.joined.Remove(j)
	return l.result()
}
