// Package waitq is the one queue of waiters that everything in this module
// stands in.
//
// A queue is intrusive: the waiter brings its own links, so being in line
// allocates nothing. It has two halves that meet in one word, the waiter's
// state:
//
//	waiting --Finish--> done      by who wakes; the value was set before
//	waiting --Abandon-> gone      by who waited
//
// Whoever moves the state out of waiting has won; the other one sees it. The
// links belong to the lock that guards the queue. Detach takes the whole line
// in one step, whatever its length; the list it returns belongs to the caller
// alone and is walked with no lock held, so wakers never run under one.
package waitq

import (
	"context"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/wake"
)

// The state word: at most one of done and gone, for good.
//
//	bit  name       meaning
//	0    done       the waker won; Value is there
//	1    gone       the waiter won; it left, or is about to
//	2    exclusive  what is handed over is consumed; set before Push
const (
	done uint32 = 1 << iota
	gone
	exclusive
)

// A Waiter is a place in a Queue, and what it waits for. The zero value is
// ready. It is in line at most once in its life.
type Waiter[T any] struct {
	next, prev *Waiter[T] // guarded by the queue's lock; after Detach by the list's owner
	Waker      wake.Waker // set before Push; then it is the winner's; nil: nobody to tell
	turn       uint32     // the queue's turn in which this was pushed; 0: not in line
	state      atomic.Uint32
	Value      T // what is handed over: written before Finish, read after Done
}

// SetExclusive marks a waiter that consumes what it is handed.
func (w *Waiter[T]) SetExclusive() { w.state.Store(exclusive) }

// Exclusive reports whether the waiter consumes what it is handed.
func (w *Waiter[T]) Exclusive() bool { return w.state.Load()&exclusive != 0 }

// Finish claims the waiter for the one who wakes. What was written to it
// before happens before Done reports true.
func (w *Waiter[T]) Finish() bool { return w.settle(done) }

// Abandon claims the waiter for the one who waited.
func (w *Waiter[T]) Abandon() bool { return w.settle(gone) }

func (w *Waiter[T]) settle(as uint32) bool {
	s := w.state.Load()
	return s&(done|gone) == 0 && w.state.CompareAndSwap(s, s|as)
}

// Done reports whether Finish won.
func (w *Waiter[T]) Done() bool { return w.state.Load()&done != 0 }

// Gone reports whether Abandon won.
func (w *Waiter[T]) Gone() bool { return w.state.Load()&gone != 0 }

// Await parks until the waiter is done, and then returns nil. If ctx ends
// before, or the parker fails, it abandons the waiter and returns Park's error;
// the caller takes the waiter out of its queue, and then makes a ParkError.
func (w *Waiter[T]) Await(ctx context.Context, p wake.Parker) error {
	for !w.Done() {
		yield.At(yield.WaiterLooks)
		err := p.Park(ctx)
		yield.At(yield.WaiterParked)
		if err != nil && w.Abandon() {
			return err
		}
	}
	return nil
}

// Wake calls the waker, if there is one, and lets go of it. Only who won
// Finish may call it, once.
func (w *Waiter[T]) Wake() {
	if waker := w.Waker; waker != nil {
		w.Waker = nil
		waker.Wake()
	}
}

// A Queue is a first-in, first-out line. Its zero value is empty; a lock of
// its owner guards it.
type Queue[T any] struct {
	head *Waiter[T] // head.prev is the tail, the tail's next is nil
	n    uint32
	turn uint32 // turns taken: a waiter of another turn is not in line any more
}

// Len is the number of waiters in line.
func (q *Queue[T]) Len() int { return int(q.n) }

// Front is the longest waiter, or nil.
func (q *Queue[T]) Front() *Waiter[T] { return q.head }

// Back is the newest waiter, or nil.
func (q *Queue[T]) Back() *Waiter[T] {
	if q.head == nil {
		return nil
	}
	return q.head.prev
}

// Has reports whether w is in this line. Turns go round; who is done has left.
func (q *Queue[T]) Has(w *Waiter[T]) bool { return w.turn != 0 && w.turn == q.turn && !w.Done() }

// Next is the waiter behind w in the same line, or nil.
func (w *Waiter[T]) Next() *Waiter[T] { return w.next }

// Push puts w at the end of the line.
func (q *Queue[T]) Push(w *Waiter[T]) {
	if q.turn == 0 { // new, or wrapped
		q.turn = 1
	}
	w.turn = q.turn
	q.n++
	if q.head == nil {
		q.head, w.prev = w, w
		return
	}
	tail := q.head.prev
	tail.next, w.prev, q.head.prev = w, tail, w
}

// Remove takes w out of the line. It reports false if w is not in it: the
// line it stood in was detached, or it was removed before.
func (q *Queue[T]) Remove(w *Waiter[T]) bool {
	if !q.Has(w) {
		return false
	}
	switch {
	case w == q.head:
		if q.head = w.next; q.head != nil {
			q.head.prev = w.prev
		}
	case w.next == nil: // the tail
		w.prev.next, q.head.prev = nil, w.prev
	default:
		w.prev.next, w.next.prev = w.next, w.prev
	}
	w.next, w.prev, w.turn = nil, nil, 0
	q.n--
	return true
}

// Detach takes the whole line, in one step.
func (q *Queue[T]) Detach() (l List[T]) {
	if q.head == nil {
		return l
	}
	l = List[T]{q.head, q.head.prev}
	q.head, q.n = nil, 0
	q.turn++
	return l
}

// A List is a line, or a part of one, that left its queue; it needs no lock.
type List[T any] struct{ head, tail *Waiter[T] }

// Add puts a waiter that was removed from its queue at the end of the list.
func (l *List[T]) Add(w *Waiter[T]) {
	if l.head == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
}

// Front is the longest waiter, or nil.
func (l *List[T]) Front() *Waiter[T] { return l.head }

// Join puts another list behind this one.
func (l *List[T]) Join(other List[T]) {
	switch {
	case other.head == nil:
	case l.head == nil:
		*l = other
	default:
		l.tail.next = other.head
		l.tail = other.tail
	}
}

// Pop takes the longest waiter, or nil. The waiter keeps no link, so one that
// its owner holds on to does not hold the others.
func (l *List[T]) Pop() *Waiter[T] {
	w := l.head
	if w != nil {
		l.head = w.next
		w.next, w.prev = nil, nil
	}
	return w
}

// Release finishes and wakes all that were not abandoned, the longest waiter
// first, even if a waker panics or ends the goroutine. No lock may be held.
func (l *List[T]) Release() {
	defer func() {
		if l.head != nil {
			l.Release()
		}
	}()
	for w := l.Pop(); w != nil; w = l.Pop() {
		if w.Finish() {
			yield.At(yield.WaiterWon)
			w.Wake()
		}
	}
}
