package await

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"sync"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A Queue is a buffered first-in, first-out channel that a goroutine waits for under a
// context, and a task without blocking its loop. [NewQueue] makes it. A Queue must not be
// copied.
//
// Waiters are served in the order in which they got in line. A value that was put goes to
// exactly one taker.
//
// In the terminology of the Go memory model, a Put happens before the return of the Take
// that gets its value, and the k'th Take happens before the return of the (k+C)'th Put, if
// C is the capacity. A Close happens before the return of a call with [ErrClosed].
type Queue[T any] struct {
	mu      sync.Mutex // guards what follows
	buf     []T        // a ring
	first   int        // index of the oldest value in buf
	n       int        // the values in buf
	closed  bool
	takers  waitq.Queue[item[T]] // not empty only if n is 0
	putters waitq.Queue[item[T]] // not empty only if buf is full

	capacity int
	pool     *sync.Pool // of *queueWaiter[T]
}

// An item is what a waiter of a Queue puts or has taken.
type item[T any] struct {
	v      T
	closed bool // the Queue was closed before
}

// NewQueue returns a Queue that holds up to capacity values. It panics if capacity is
// less than 1.
func NewQueue[T any](capacity int) *Queue[T] {
	if capacity < 1 {
		panic("await: a Queue needs a capacity of at least 1")
	}
	return &Queue[T]{
		buf: make([]T, capacity), capacity: capacity,
		pool: &sync.Pool{New: func() any { return new(queueWaiter[T]) }},
	}
}

// Put appends v. If the Queue is full, Put waits until it is its turn. If ctx ends first,
// or has ended before the call, Put returns an error that matches ctx.Err() and
// context.Cause(ctx), and has not put v. If v was put when ctx ends, Put returns nil. If the
// Queue is closed, or becomes so while Put waits, Put returns [ErrClosed]. A nil context
// panics. If the parker of ctx panics or ends the goroutine when it was Put's turn, v
// stays put.
func (q *Queue[T]) Put(ctx context.Context, v T) error {
	mustContext(ctx)
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	if done, err := q.tryPut(v); done {
		return err
	}
	_, err := q.wait(ctx, putting, v)
	return err
}

// TryPut appends v if there is room, and reports whether it did. It does not wait.
func (q *Queue[T]) TryPut(v T) bool {
	done, err := q.tryPut(v)
	return done && err == nil
}

// Take removes the oldest value and returns it. If there is none, Take waits until it is
// its turn. If ctx ends first, or has ended before the call, Take returns an error that
// matches ctx.Err() and context.Cause(ctx), and takes nothing. If a value was handed over
// when ctx ends, Take returns it. If the Queue is closed and empty, or becomes so while
// Take waits, Take returns [ErrClosed]. A nil context panics.
//
// If the parker of ctx, or a waker that Take calls, panics or ends the goroutine, the value
// goes to the next taker in line, or back before the oldest value. The Queue may then hold
// more values than its capacity.
func (q *Queue[T]) Take(ctx context.Context) (v T, err error) {
	mustContext(ctx)
	if ctx.Err() != nil {
		return v, waitq.ContextError(ctx)
	}
	if v, done, err := q.tryTake(); done {
		return v, err
	}
	return q.wait(ctx, taking, v)
}

// TryTake removes the oldest value, if there is one, and reports whether it did. It does
// not wait.
func (q *Queue[T]) TryTake() (T, bool) {
	v, done, err := q.tryTake()
	return v, done && err == nil
}

// All returns an iterator that takes values until the Queue is closed and empty. If ctx
// ends first, the last pair is a zero value and the error of [Queue.Take]. No lock is held
// while the body of the loop runs.
func (q *Queue[T]) All(ctx context.Context) iter.Seq2[T, error] {
	mustContext(ctx)
	return func(yield func(T, error) bool) {
		for {
			v, err := q.Take(ctx)
			if err == ErrClosed || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Close refuses all waiting and later calls of Put with [ErrClosed]. The values in the
// Queue can still be taken; then Take returns ErrClosed. Close returns nil, also when
// called again.
func (q *Queue[T]) Close() error {
	q.mu.Lock()
	q.closed = true
	list := q.refuse(&q.putters)
	list.Join(q.refuse(&q.takers))
	q.mu.Unlock()
	list.Wake()
	return nil
}

// refuse takes all waiters out of a line. mu is locked.
func (q *Queue[T]) refuse(line *waitq.Queue[item[T]]) (list waitq.List[item[T]]) {
	for w := line.Front(); w != nil; w = line.Front() {
		line.Remove(w)
		w.Value.closed = true
		if w.Finish() {
			list.Add(w)
		}
	}
	return list
}

// Len returns the number of values in the Queue. It may exceed the capacity; see
// [Queue.Take].
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

// Cap returns the capacity.
func (q *Queue[T]) Cap() int { return q.capacity }

// Waiters returns the number of waiters in Put and in Take.
func (q *Queue[T]) Waiters() (putters, takers int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.putters.Len(), q.takers.Len()
}

// tryPut appends v, or hands it to the first taker in line. done is false if the Queue is
// full.
func (q *Queue[T]) tryPut(v T) (done bool, err error) {
	q.lock()
	done, taker, err := q.putLocked(v)
	q.mu.Unlock()
	wakeServed(taker)
	return done, err
}

// lock locks mu. It looks at mu more often than sync.Mutex does before it sleeps: mu is
// held for a few instructions only.
func (q *Queue[T]) lock() {
	for range spins {
		if q.mu.TryLock() {
			return
		}
	}
	runtime.Gosched()
	q.mu.Lock()
}

// putLocked is tryPut with mu locked. The caller wakes the taker that it returns.
func (q *Queue[T]) putLocked(v T) (done bool, taker *waitq.Waiter[item[T]], err error) {
	if q.closed {
		return true, nil, ErrClosed
	}
	if taker = q.handOver(v); taker != nil {
		return true, taker, nil
	}
	if q.n >= q.capacity {
		return false, nil, nil
	}
	q.push(v)
	return true, nil, nil
}

// handOver hands v to the first taker in line that can be finished, and returns it. mu is
// locked.
func (q *Queue[T]) handOver(v T) *waitq.Waiter[item[T]] {
	for w := q.takers.Front(); w != nil; w = q.takers.Front() {
		q.takers.Remove(w)
		w.Value.v = v
		if w.Finish() {
			return w
		}
		w.Value = item[T]{} // another case of its Select has happened
	}
	return nil
}

// tryTake removes the oldest value, and lets the first putter in line in. done is false
// if the Queue is empty and not closed.
func (q *Queue[T]) tryTake() (v T, done bool, err error) {
	q.lock()
	v, done, putter, err := q.takeLocked()
	q.mu.Unlock()
	q.wakePutter(putter, v)
	return v, done, err
}

// takeLocked is tryTake with mu locked. The caller wakes the putter that it returns.
func (q *Queue[T]) takeLocked() (v T, done bool, putter *waitq.Waiter[item[T]], err error) {
	switch {
	case q.n > 0:
		v = q.pop()
		if q.n < q.capacity {
			putter = q.letIn()
		}
		return v, true, putter, nil
	case q.closed:
		return v, true, nil, ErrClosed
	}
	return v, false, nil, nil
}

// letIn appends the value of the first putter in line that can be finished, and returns
// the putter. mu is locked.
func (q *Queue[T]) letIn() *waitq.Waiter[item[T]] {
	for w := q.putters.Front(); w != nil; w = q.putters.Front() {
		q.putters.Remove(w)
		if v := w.Value.v; w.Finish() {
			q.push(v)
			return w
		}
	}
	return nil
}

func (q *Queue[T]) push(v T) {
	i := q.first + q.n
	if i >= len(q.buf) {
		i -= len(q.buf)
	}
	q.buf[i] = v
	q.n++
}

func (q *Queue[T]) pop() (v T) {
	v, q.buf[q.first] = q.buf[q.first], v
	if q.first++; q.first == len(q.buf) {
		q.first = 0
	}
	q.n--
	return v
}

// wakeServed wakes a waiter that was served, if there is one. No lock is held.
func wakeServed[T any](w *waitq.Waiter[item[T]]) {
	if w != nil {
		schedpoint.At(schedpoint.QueuePicked)
		w.Wake()
	}
}

// wakePutter wakes the putter that was let in when v was taken, if there is one. If its
// waker panics or ends the goroutine, the caller does not get v, which goes back.
func (q *Queue[T]) wakePutter(w *waitq.Waiter[item[T]], v T) {
	if w == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			q.putBack(v)
		}
	}()
	wakeServed(w)
	returned = true
}

// putBack hands v to the first taker in line, or puts it before the oldest value: the
// taker that got it has panicked or ended its goroutine before Take returned. For each
// such taker the Queue may hold one value more than its capacity.
func (q *Queue[T]) putBack(v T) {
	q.mu.Lock()
	w := q.handOver(v)
	if w == nil {
		q.pushFront(v)
	}
	q.mu.Unlock()
	wakeServed(w)
}

func (q *Queue[T]) pushFront(v T) {
	if q.n == len(q.buf) {
		buf := slices.Grow(slices.Concat(q.buf[q.first:], q.buf[:q.first]), 1)
		q.first, q.buf = 0, buf[:q.n+1]
	}
	if q.first--; q.first < 0 {
		q.first += len(q.buf)
	}
	q.buf[q.first] = v
	q.n++
}
