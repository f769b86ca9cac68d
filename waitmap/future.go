package waitmap

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/wake"
)

// A Future is a wait that is in line already: what [Map.Register] returns.
// Several goroutines may use it at the same time.
//
// The store that fulfils a Future happens before any of its methods report
// the value.
type Future[V any] struct {
	w waitq.Waiter[fate[V]]
}

// fate is what a waiter in line carries and what becomes of it.
type fate[V any] struct {
	v      V
	err    *stopError             // why there is no value
	since  int64                  // in line since: ns after epoch
	line   *lineHead[V]           // and owner: who wins Finish or Abandon lets go of them
	owner  *lineOwner[V]          // of line
	joined atomic.Pointer[joined] // goroutines in Future.Wait
}

// joined is made by the first who joins a Future. It has a mutex of its own: a
// Future that is done has let go of its map.
type joined struct {
	mu   sync.Mutex
	line waitq.Queue[struct{}]
}

// letGo of the map: a Future may be kept for long.
func (f *fate[V]) letGo() { f.line, f.owner = nil, nil }

// forget lets go of a value that comes too late: the waiter's memory may be
// kept for long.
func (f *fate[V]) forget() {
	var zero V
	f.v = zero
}

func (f *fate[V]) result() (v V, err error) {
	if f.err != nil {
		return v, f.err
	}
	return f.v, nil
}

// Result returns the value or the error if there is one by now, and whether
// there is. It does not block.
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

// Wait blocks until the Future has a value, which it returns, or an error: one
// that matches [ErrCanceled] or [ErrClosed], or ctx's if that ends first. In
// the last case the Future stays in line until [Future.Stop].
//
// A Future that is done returns at once, whatever the context. A nil context
// panics.
func (f *Future[V]) Wait(ctx context.Context) (V, error) {
	mustContext(ctx)
	if v, done, err := f.Result(); done {
		return v, err
	}
	parted := f.sleep(ctx, wake.ParkerFrom(ctx))
	if v, done, err := f.Result(); done {
		return v, err
	}
	var zero V
	return zero, waitq.ParkError(ctx, parted)
}

// sleep parks until the Future is done, or returns Park's error. It leaves
// nothing behind even if Park panics or ends the goroutine.
func (f *Future[V]) sleep(ctx context.Context, p wake.Parker) error {
	j := &waitq.Waiter[struct{}]{Waker: p}
	line := f.w.Value.join(j)
	defer line.part(j)
	yield.At(yield.FutureJoins)
	if _, done, _ := f.Result(); done { // the second look: who finishes f now sees j
		return nil
	}
	return j.Await(ctx, p)
}

// Stop leaves the line. It reports whether it prevented the wake; Wait and
// Result then give [ErrCanceled]. After a Stop that came too late they give
// what they gave before.
func (f *Future[V]) Stop() bool {
	if !f.w.Abandon() {
		return false
	}
	f.w.Waker = nil // who finishes f has lost and does not look
	f.w.Value.leave(&f.w)
	wakeJoined(&f.w)
	return true
}

// leave takes the waiter, which won Abandon, out of its line.
func (f *fate[V]) leave(w *waitq.Waiter[fate[V]]) {
	(*f.owner).leave(w)
	f.letGo()
}

func (f *fate[V]) join(j *waitq.Waiter[struct{}]) *joined {
	q := f.joined.Load()
	if q == nil {
		f.joined.CompareAndSwap(nil, new(joined))
		q = f.joined.Load()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.line.Push(j)
	return q
}

func (q *joined) part(j *waitq.Waiter[struct{}]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.line.Remove(j)
}

// settle hands every waiter of a detached list the value, or the error, and
// returns how many had not given up. The lines are still locked: who stores,
// cancels or closes finds all earlier waiters done when it returns, even those
// that somebody else serves at the same time.
func settle[V any](list waitq.List[fate[V]], v V, err *stopError) (n int) {
	for w := list.Front(); w != nil; w = w.Next() {
		w.Value.v, w.Value.err = v, err
		if w.Finish() {
			w.Value.letGo()
			n++
		} else {
			w.Value.forget()
		}
	}
	return n
}

// wakeList wakes all who are settled, even if a waker panics. No lock is held.
func wakeList[V any](list waitq.List[fate[V]]) {
	yield.At(yield.MapSettled)
	defer func() {
		if list.Front() != nil {
			wakeList(list)
		}
	}()
	for w := list.Pop(); w != nil; w = list.Pop() {
		if w.Done() {
			wakeAll(w)
		}
	}
}

// wakeAll wakes a finished waiter: who joined its Future, and its own waker,
// even if a waker of the former panics.
func wakeAll[V any](w *waitq.Waiter[fate[V]]) {
	defer w.Wake()
	wakeJoined(w)
}

// wakeJoined wakes the goroutines in Future.Wait. Its load of joined comes
// after the state was settled; its partner is join, which is followed by a
// look at the state: one of the two sees the other.
func wakeJoined[V any](w *waitq.Waiter[fate[V]]) {
	q := w.Value.joined.Load()
	if q == nil {
		return
	}
	q.mu.Lock()
	list := q.line.Detach()
	q.mu.Unlock()
	list.Release()
}
