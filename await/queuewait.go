package await

import (
	"context"
	"runtime"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A queueWaiter is a goroutine or task in one of the lines of a Queue. It goes into the
// pool when no other goroutine uses it any more: it was never in line, or was woken.
type queueWaiter[T any] struct {
	w        waitq.Waiter[item[T]]
	sleeper  waitq.Sleeper
	selector waitq.Selector
}

// side tells which line a waiter is in.
type side bool

const (
	putting side = false
	taking  side = true
)

func (q *Queue[T]) line(s side) *waitq.Queue[item[T]] {
	if s == taking {
		return &q.takers
	}
	return &q.putters
}

// wait takes a value, or puts v, and sleeps until that is possible.
func (q *Queue[T]) wait(ctx context.Context, s side, v T) (T, error) {
	q.mustBeMade()
	if p, ok := wake.FromContext(ctx); ok {
		return q.waitParked(ctx, p, s, v)
	}
	runtime.Gosched() // the other side may be runnable, and sleeping costs more
	k, done := q.pool.Get().(*queueWaiter[T]), ctx.Done()
	if done != nil {
		return q.waitSelecting(ctx, done, k, s, v)
	}
	return q.waitAsleep(k, s, v)
}

// mustBeMade panics instead of a wait that would not end.
func (q *Queue[T]) mustBeMade() {
	if q.pool == nil {
		panic("await: a Queue that NewQueue has not made")
	}
}

// enter puts w in line unless the second look shows that it need not wait. mu is locked,
// and stays so only if w is in line.
func (q *Queue[T]) enter(w *waitq.Waiter[item[T]], s side, v T) (got T, entered bool, err error) {
	var done bool
	var putter, taker *waitq.Waiter[item[T]]
	schedpoint.At(schedpoint.QueueEnters)
	q.lock()
	if s == taking {
		got, done, putter, err = q.takeLocked()
	} else {
		done, taker, err = q.putLocked(v)
	}
	if !done {
		w.Value.v = v
		q.line(s).Push(w)
		return got, true, nil
	}
	q.mu.Unlock()
	wakeServed(taker)
	q.wakePutter(putter, got)
	return got, false, err
}

func (q *Queue[T]) waitAsleep(k *queueWaiter[T], s side, v T) (T, error) {
	k.w.Waker = &k.sleeper
	got, entered, err := q.enter(&k.w, s, v)
	if entered {
		k.sleeper.Sleep(&q.mu)
		got, err = k.w.Value.result(s)
	}
	k.w.Renew()
	q.pool.Put(k)
	return got, err
}

func (q *Queue[T]) waitSelecting(ctx context.Context, done <-chan struct{}, k *queueWaiter[T], s side, v T) (T, error) {
	woken := k.selector.Channel(done)
	k.w.Waker = &k.selector
	got, entered, err := q.enter(&k.w, s, v)
	if entered {
		q.mu.Unlock()
		select {
		case <-woken:
			got, err = k.w.Value.result(s)
		case <-done:
			if q.leave(&k.w, s) {
				return got, waitq.ContextError(ctx)
			}
			return k.w.Value.result(s) // served: it is yet to be woken, so k is not used again
		}
	}
	k.w.Renew()
	k.selector.Reuse(done)
	q.pool.Put(k)
	return got, err
}

func (q *Queue[T]) waitParked(ctx context.Context, p wake.Parker, s side, v T) (T, error) {
	w := &waitq.Waiter[item[T]]{Waker: p}
	got, entered, err := q.enter(w, s, v)
	if !entered {
		return got, err
	}
	q.mu.Unlock()
	returned := false
	defer func() {
		if !returned {
			q.abandon(w, s)
		}
	}()
	got, err = q.await(ctx, w, p, s)
	returned = true
	return got, err
}

func (q *Queue[T]) await(ctx context.Context, w *waitq.Waiter[item[T]], p wake.Parker, s side) (v T, err error) {
	for !w.Done() {
		if err = p.Park(ctx); err != nil {
			if q.leave(w, s) {
				return v, waitq.ParkError(ctx, err)
			}
			break // served
		}
	}
	return w.Value.result(s)
}

// leave takes w out of line. It returns false if w was served or refused before.
func (q *Queue[T]) leave(w *waitq.Waiter[item[T]], s side) bool {
	schedpoint.At(schedpoint.QueueFailed)
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.line(s).Remove(w)
}

// abandon takes w out of line after a Park, or a method of the context, that panicked or
// ended the goroutine. A value that w has taken goes back.
func (q *Queue[T]) abandon(w *waitq.Waiter[item[T]], s side) {
	if q.leave(w, s) || !w.Done() || s == putting {
		return
	}
	if v, err := w.Value.result(s); err == nil {
		q.putBack(v)
	}
}

// result returns what a waiter that is done has got.
func (i *item[T]) result(s side) (v T, err error) {
	switch {
	case i.closed:
		return v, ErrClosed
	case s == taking:
		v = i.v
	}
	return v, nil
}
