// Package waitq has the queue of waiters that all primitives of the module use.
//
// A queue is intrusive: the waiter brings its own links, so being in line
// allocates nothing. It has two halves that meet in one word, the waiter's
// state:
//
//	waiting --Finish--> done      by the notifier; the value was set before
//	waiting --Abandon-> gone      by the waiter's own goroutine
//
// The one that moves the state out of waiting has won, and the other one sees it. The
// lock that guards the queue guards the links. Detach takes the whole line in one
// step, whatever its length. The list that it returns belongs to its caller alone and
// is walked with no lock held, so wakers never run under a lock.
package waitq

import (
	"context"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/wake"
)

// The state word: at most one of done and gone, for good.
//
//	bit  name       meaning
//	0    done       the notifier won; Value is set
//	1    gone       the waiter's goroutine won; it has left the line, or is about to
//	2    exclusive  what is handed over is consumed; set before Push
//	3    lent       the Waker belongs to another waiter; changed under the queue's lock
//	4    shared     the Waker is a *choice.Arm, whose claim decides; set before Push
const (
	done uint32 = 1 << iota
	gone
	exclusive
	lent
	shared
)

// A Waiter is a place in a Queue, and what it waits for. The zero value is
// ready. It is in line at most once in its life.
type Waiter[T any] struct {
	next, prev *Waiter[T] // guarded by the queue's lock; after Detach by the list's owner
	Waker      wake.Waker // set before Push; then the winner's; nil if there is none
	turn       uint32     // the queue's turn in which this was pushed; 0 if not in line
	state      uint32     // atomic, except in SetExclusive and Renew
	Value      T          // what is handed over: written before Finish, read after Done
}

// SetExclusive marks a waiter that consumes what it is handed. No other goroutine
// may use the waiter yet.
func (w *Waiter[T]) SetExclusive() { w.state = exclusive }

// Exclusive reports whether the waiter consumes what it is handed.
func (w *Waiter[T]) Exclusive() bool { return atomic.LoadUint32(&w.state)&exclusive != 0 }

// SetArm makes w the waiter of one case of a Select. No other goroutine may use w yet.
func (w *Waiter[T]) SetArm(a *choice.Arm) {
	w.Waker = a
	w.state |= shared
}

// Shared reports whether w is the waiter of one case of a Select. Such a waiter may be in
// line and yet be unable to finish, because another case has happened.
func (w *Waiter[T]) Shared() bool { return atomic.LoadUint32(&w.state)&shared != 0 }

// Takes returns 1 if the waiter is exclusive, else 0.
func (w *Waiter[T]) Takes() uint32 { return atomic.LoadUint32(&w.state) & exclusive / exclusive }

// Lend records whether the Waker belongs to another waiter. The caller holds the
// queue's lock, and so do the callers of Finish and Abandon.
func (w *Waiter[T]) Lend(to bool) {
	s := atomic.LoadUint32(&w.state) &^ lent
	if to {
		s |= lent
	}
	atomic.StoreUint32(&w.state, s)
}

// Lent reports whether the Waker belongs to another waiter.
func (w *Waiter[T]) Lent() bool { return atomic.LoadUint32(&w.state)&lent != 0 }

// Renew makes a waiter ready to get in line again. No other goroutine may use it
// any more: either it was never in line, or its own goroutine took it out, or a
// notifier took it out and has called its waker, which is a notifier's last use.
func (w *Waiter[T]) Renew() { *w = Waiter[T]{} }

// Finish claims the waiter for the notifier, and reports whether it won. What was
// written to the waiter before happens before Done reports true. The waiter of a Select
// is claimed together with the waiters of the other cases.
func (w *Waiter[T]) Finish() bool {
	if w.Shared() {
		if !w.Waker.(*choice.Arm).Claim() {
			return false
		}
		schedpoint.At(schedpoint.SelectClaimed)
	}
	return w.claim(done)
}

// Abandon claims the waiter for its own goroutine, and reports whether it won.
func (w *Waiter[T]) Abandon() bool { return w.claim(gone) }

func (w *Waiter[T]) claim(as uint32) bool {
	s := atomic.LoadUint32(&w.state)
	return s&(done|gone) == 0 && atomic.CompareAndSwapUint32(&w.state, s, s|as)
}

// Done reports whether Finish won.
func (w *Waiter[T]) Done() bool { return atomic.LoadUint32(&w.state)&done != 0 }

// Gone reports whether Abandon won.
func (w *Waiter[T]) Gone() bool { return atomic.LoadUint32(&w.state)&gone != 0 }

// Await parks until the waiter is done, and then returns nil. If ctx ends
// before, or the parker fails, it abandons the waiter and returns Park's error;
// the caller takes the waiter out of its queue, and then makes a ParkError.
func (w *Waiter[T]) Await(ctx context.Context, p wake.Parker) error {
	for !w.Done() {
		schedpoint.At(schedpoint.WaiterLooks)
		err := p.Park(ctx)
		schedpoint.At(schedpoint.WaiterParked)
		if err != nil && w.Abandon() {
			return err
		}
	}
	return nil
}

// Wake calls the waker, if there is one, and drops it. Only the winner of Finish may
// call it, once.
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
	turn uint32 // counts Detach; a waiter of another turn is not in line any more
}

// Len returns the number of waiters in line.
func (q *Queue[T]) Len() int { return int(q.n) }

// Front returns the waiter that has been in line longest, or nil.
func (q *Queue[T]) Front() *Waiter[T] { return q.head }

// Back returns the newest waiter, or nil.
func (q *Queue[T]) Back() *Waiter[T] {
	if q.head == nil {
		return nil
	}
	return q.head.prev
}

// Has reports whether w is in this line. Since turns wrap around, it also looks at Done:
// a waiter that is done has left the line.
func (q *Queue[T]) Has(w *Waiter[T]) bool { return w.turn != 0 && w.turn == q.turn && !w.Done() }

// Next returns the waiter behind w in the same line, or nil.
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

// Remove takes w out of the line. It returns false if w is not in it: the line was
// detached, or w was removed before.
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

// Front returns the first waiter of the list, or nil.
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

// Pop takes the first waiter, or returns nil. The waiter keeps no link, so a waiter
// that is kept does not keep the others alive.
func (l *List[T]) Pop() *Waiter[T] {
	w := l.head
	if w != nil {
		l.head = w.next
		w.next, w.prev = nil, nil
	}
	return w
}

// Release finishes and wakes all waiters that were not abandoned, in the order of the
// line, even if a waker panics or ends the goroutine. No lock may be held.
func (l *List[T]) Release() {
	defer func() {
		if l.head != nil {
			l.Release()
		}
	}()
	for w := l.Pop(); w != nil; w = l.Pop() {
		if w.Finish() {
			schedpoint.At(schedpoint.WaiterWon)
			w.Wake()
		}
	}
}

// Wake wakes all waiters of the list, which are finished, in the order of the line, even
// if a waker panics or ends the goroutine. No lock may be held.
func (l *List[T]) Wake() {
	if l.head == nil {
		return
	}
	defer func() {
		if l.head != nil {
			l.Wake()
		}
	}()
	for w := l.Pop(); w != nil; w = l.Pop() {
		w.Wake()
	}
}
