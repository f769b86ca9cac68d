package notify

import (
	"context"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// The Waker of a Listener's waiter is one of the following. While the waiter is in
// line, n.mu guards it:
//
//	nil             no waker
//	*soleWaiter     a goroutine in Listener.Wait
//	*channelWaker   the channel of C
//	*wakers         several of these, with Register's Waker
//	another Waker   Register's
//
// A goroutine that takes the waiter out of line owns the Waker: a notification calls
// it, and Stop wakes only the goroutines in Listener.Wait. So a Listener that is used
// by one goroutine needs neither a second lock nor a queue.

// A soleWaiter is the waiter of the only goroutine in Listener.Wait.
type soleWaiter waiter

func (w *soleWaiter) Wake() { deliver((*waiter)(w)) }

// A channelWaker is a Listener as the waker of its channel.
type channelWaker Listener

// Wake sends on the channel.
func (w *channelWaker) Wake() {
	l := (*Listener)(w)
	l.n.mu.Lock()
	l.send()
	l.n.mu.Unlock()
}

// wakers is several wakers of one Listener.
type wakers struct {
	channel *channelWaker
	user    wake.Waker // Register's, or nil
	joined  waitq.Queue[notification]
}

// Wake calls all of them.
func (ws *wakers) Wake() {
	ws.channel.Wake()
	if ws.user != nil {
		defer ws.user.Wake() // last, even if a parker panics
	}
	joined := ws.joined.Detach()
	joined.Release()
}

// releaseWaiters wakes the goroutines in Wait of a Listener that was stopped, but
// neither its channel nor Register's Waker. No lock is held.
func releaseWaiters(w wake.Waker) {
	switch w := w.(type) {
	case *soleWaiter:
		w.Wake()
	case *wakers:
		joined := w.joined.Detach()
		joined.Release()
	}
}

// wakers returns l's Waker as *wakers, which it makes if l has another one. n.mu is
// locked, and l is in line.
func (l *Listener) wakers() *wakers {
	ws := &wakers{channel: (*channelWaker)(l)}
	switch w := l.w.Waker.(type) {
	case *wakers:
		return w
	case *soleWaiter:
		ws.joined.Push((*waiter)(w))
	case *channelWaker:
	default:
		ws.user = w
	}
	l.w.Waker = ws
	return ws
}

// addChannel adds the channel to l's wakers. n.mu is locked, and l is in line.
func (l *Listener) addChannel() {
	if l.w.Waker == nil {
		l.w.Waker = (*channelWaker)(l)
	} else {
		l.wakers()
	}
}

// join adds j to l's wakers. n.mu is locked, and l is in line.
func (l *Listener) join(j *waiter) {
	if l.w.Waker == nil {
		l.w.Waker = (*soleWaiter)(j)
	} else {
		l.wakers().joined.Push(j)
	}
}

// unjoin undoes join, if l is still in line. n.mu is locked.
func (l *Listener) unjoin(j *waiter) {
	if !l.inLine() {
		return
	}
	switch w := l.w.Waker.(type) {
	case *soleWaiter:
		if w == (*soleWaiter)(j) {
			l.w.Waker = nil
		}
	case *wakers:
		w.joined.Remove(j)
	}
}

// waitSlow waits until l is picked or stopped.
func (l *Listener) waitSlow(ctx context.Context) error {
	if l.w.Done() { // before a channel is needed
		_, err := l.take()
		return err
	}
	if p, ok := wake.FromContext(ctx); ok {
		return l.waitParked(ctx, p)
	}
	if done := ctx.Done(); done != nil {
		return l.waitSelecting(ctx, done)
	}
	return l.waitAsleep()
}

func (l *Listener) waitAsleep() error {
	s := newSleeper()
	l.n.mu.Lock()
	done, err := l.result()
	if !done {
		l.join(&s.w)
		s.Sleep(&l.n.mu)
		l.n.mu.Lock()
		_, err = l.result()
	}
	l.n.mu.Unlock()
	s.free()
	return err
}

func (l *Listener) waitSelecting(ctx context.Context, done <-chan struct{}) error {
	k := newSelector()
	called := k.Channel(done)
	if done, err := l.enter(&k.w); done {
		return err
	}
	select {
	case <-called:
		k.free(done)
		_, err := l.take()
		return err
	case <-done:
		if done, err := l.leave(&k.w); done {
			return err // a notifier has yet to wake k
		}
		return waitq.ContextError(ctx)
	}
}

func (l *Listener) waitParked(ctx context.Context, p wake.Parker) error {
	j := &waiter{Waker: p}
	if done, err := l.enter(j); done {
		return err
	}
	defer l.abandon(j) // if Park ends the goroutine or panics
	for !j.Done() {
		if err := p.Park(ctx); err != nil {
			if done, err := l.leave(j); done {
				return err
			}
			return waitq.ParkError(ctx, err)
		}
	}
	_, err := l.take()
	return err
}

// enter joins j to l, unless l is done.
func (l *Listener) enter(j *waiter) (done bool, err error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if done, err = l.result(); !done {
		l.join(j)
	}
	return done, err
}

// leave undoes enter, unless l is done.
func (l *Listener) leave(j *waiter) (done bool, err error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if done, err = l.result(); !done {
		l.unjoin(j)
	}
	return done, err
}

// abandon takes j out of line, if it is still in it.
func (l *Listener) abandon(j *waiter) {
	if !j.Done() {
		l.n.mu.Lock()
		defer l.n.mu.Unlock()
		l.unjoin(j)
	}
}
