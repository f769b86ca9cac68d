package waitmap

import (
	"context"
	"runtime"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A Future is a wait that is already in line. [Map.Register] returns one. Its methods may
// be called from several goroutines at the same time.
//
// The store that completes a Future happens before any of its methods returns the value.
type Future[V any] struct {
	w waitq.Waiter[outcome[V]]
}

// Result returns the value or the error of the Future, and true, if it is done. Otherwise
// it returns zero values and false. It does not block.
func (f *Future[V]) Result() (v V, done bool, err error) {
	switch {
	case f.w.Done():
		v, err = f.w.Value.result()
		return v, true, err
	case f.w.Gone():
		return v, true, ErrCanceled
	default:
		return v, false, nil
	}
}

// Wait waits until the Future is done, and returns its value or its error, which matches
// [ErrCanceled] or [ErrClosed]. If ctx ends first, Wait returns an error that matches
// ctx.Err() and context.Cause(ctx), and the Future stays in line until it is done or
// stopped.
//
// If the Future is done, Wait returns at once, even if ctx has ended. Wait panics if ctx
// is nil.
func (f *Future[V]) Wait(ctx context.Context) (V, error) {
	mustContext(ctx)
	if v, done, err := f.Result(); done {
		return v, err
	}
	p, ok := wake.FromContext(ctx)
	if !ok {
		runtime.Gosched() // as sleeper.yield does
		if v, done, err := f.Result(); done {
			return v, err
		}
		p = wake.NewParker()
	}
	j, in := f.join(p)
	var parkErr error
	if in {
		parkErr = f.park(ctx, p, j)
	}
	if v, done, err := f.Result(); done {
		return v, err
	}
	var zero V
	return zero, waitq.ParkError(ctx, parkErr)
}

// park sleeps until the Future is done, or returns Park's error. It leaves nothing
// behind, even if Park panics or ends the goroutine.
func (f *Future[V]) park(ctx context.Context, p wake.Parker, j *joiner) error {
	defer f.leave(p, j)
	for {
		if _, done, _ := f.Result(); done {
			return nil
		}
		if err := p.Park(ctx); err != nil {
			return err
		}
	}
}

// A joiner is a waiter in Future.Wait that is not the first one.
type joiner = waitq.Waiter[struct{}]

// join arranges for p to be woken when the Future is done: as the Future's Waker if it
// has none, or else as one of joined. It returns false if the Future is done.
func (f *Future[V]) join(p wake.Parker) (j *joiner, ok bool) {
	o := f.w.Value.owner.Load()
	if o == nil {
		return nil, false
	}
	mu := (*o).mutex()
	schedpoint.At(schedpoint.FutureJoins)
	mu.Lock()
	defer mu.Unlock()
	if _, done, _ := f.Result(); done { // the second look: a store from now on finds p
		return nil, false
	}
	if f.w.Waker == nil {
		f.w.Waker = p
		f.w.Lend(true)
		return nil, true
	}
	if f.w.Value.joined == nil {
		f.w.Value.joined = new(waitq.Queue[struct{}])
	}
	j = &joiner{Waker: p}
	f.w.Value.joined.Push(j)
	return j, true
}

// leave undoes join, unless the Future is done. Then its waker owns what join changed.
func (f *Future[V]) leave(p wake.Parker, j *joiner) {
	o := f.w.Value.owner.Load()
	if o == nil {
		return
	}
	mu := (*o).mutex()
	mu.Lock()
	defer mu.Unlock()
	switch _, done, _ := f.Result(); {
	case done:
	case j != nil:
		f.w.Value.joined.Remove(j)
	default:
		f.w.Waker = nil
		f.w.Lend(false)
	}
}

// Stop takes the Future out of line, and reports whether it prevented the wake. If it
// did, Wait and Result return [ErrCanceled] from then on, and the Waker is not called. If
// the Future was done or stopped before, Stop changes nothing and returns false.
func (f *Future[V]) Stop() bool {
	o := f.w.Value.owner.Load()
	if o == nil {
		return false
	}
	mu := (*o).mutex()
	mu.Lock()
	stopped := f.w.Abandon()
	if stopped {
		(*o).leaveLocked(&f.w)
	}
	if stopped && !f.w.Lent() {
		f.w.Waker = nil
	}
	mu.Unlock()
	if stopped {
		wakeWaiter(&f.w)
	}
	return stopped
}
