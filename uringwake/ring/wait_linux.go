package ring

import (
	"errors"
	"iter"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WaitOptions bound a wait.
type WaitOptions struct {
	// Timeout is how long to wait at most, or until when; nil is for ever, and a
	// negative one is 0. One of more than 292 years is that long. Linux 5.11,
	// [FeatExtArg].
	Timeout *Timespec
	// Absolute says that Timeout is a point in time, of CLOCK_MONOTONIC or the
	// clock that [Registrar.RegisterClock] chose, as this process reads it. It is
	// given to the kernel as what is left: [EnterAbsTimer] takes it for a time
	// outside of the process's time namespace.
	Absolute bool
	// MinWait is how long to wait for all that was asked for; after it, one
	// completion is enough. Microseconds count, up to 2^32-1, and parts of one
	// are rounded up; a negative one is 0. Linux 6.12, [FeatMinTimeout].
	MinWait time.Duration
	// Sigmask are the signals to block meanwhile, bit n-1 is signal n; nil
	// leaves them as they are. A wait with it ends with EINTR at any other
	// signal, the Go runtime's own too, even if fewer completions than asked for
	// are there; Linux 5.11.
	Sigmask *uint64
	// NoIOWait keeps the wait out of the system's iowait time; Linux 6.15. It
	// stands for io_uring_set_iowait.
	NoIOWait bool
}

// bounded reports that fewer completions than asked for may be enough.
func (o *WaitOptions) bounded() bool { return o.Timeout != nil || o.MinWait > 0 }

// flags are what the options need of the kernel, or an error if it has not got
// it.
func (o *WaitOptions) flags(features uint32) (flags uint32, err error) {
	var need uint32
	if o.bounded() || o.Sigmask != nil {
		flags, need = EnterExtArg, FeatExtArg
	}
	if o.MinWait > 0 {
		need |= FeatMinTimeout
	}
	if o.NoIOWait {
		flags, need = flags|EnterNoIOWait, need|FeatNoIOWait
	}
	if need&^features != 0 {
		return 0, wrap("io_uring_enter", unix.EOPNOTSUPP)
	}
	return flags, nil
}

// waitArg is struct io_uring_getevents_arg, and what it points at.
type waitArg struct {
	sigmask  uint64
	maskSize uint32
	minWait  uint32 // microseconds
	timeout  uint64

	mask uint64
	time Timespec
}

const waitArgSize = 24

// SubmitAndWaitTimeout is SubmitAndWait for at most d; a negative d is 0. It
// stands for io_uring_submit_and_wait_timeout; Linux 5.11.
func (q *SubmissionQueue) SubmitAndWaitTimeout(n uint32, d time.Duration) (int, error) {
	t := TimespecOf(max(d, 0))
	return q.SubmitAndWaitWith(n, WaitOptions{Timeout: &t})
}

// SubmitAndWaitWith is SubmitAndWait with all that can bound the wait. It stands
// for io_uring_submit_and_wait_min_timeout; Linux 5.11.
//
// The end of the time is ETIME only if the kernel took no entries and there are
// no completions; else the error is nil, and there may be fewer than n. With a
// Sigmask a signal that interrupts the wait is EINTR, also beside a number of
// entries that the kernel took.
func (q *SubmissionQueue) SubmitAndWaitWith(n uint32, o WaitOptions) (int, error) {
	w, err := q.wait(n, &o)
	if err != nil {
		return 0, err
	}
	return q.submitAndWait(&w, w.flags, w.set(&q.arg), waitArgSize)
}

// SubmitAndWaitReg is SubmitAndWaitWith the options that lie in that element of
// the ring's [WaitRegion], or EFAULT if there is no such element. It stands for
// io_uring_submit_and_wait_reg; Linux 6.13.
func (q *SubmissionQueue) SubmitAndWaitReg(n, index uint32) (int, error) {
	if q.ring == nil {
		return 0, errClosed()
	}
	if uint64(index) >= uint64(len(q.ring.waits)) {
		return 0, wrap("io_uring_enter", unix.EFAULT)
	}
	o := q.ring.waits[index].options()
	w, err := q.wait(n, &o)
	if err != nil {
		return 0, err
	}
	const size = unsafe.Sizeof(RegWait{})
	return q.submitAndWait(&w, w.flags|EnterExtArg|EnterExtArgReg, uintptr(index)*size, size)
}

// wait begins one: what is there already counts.
func (q *SubmissionQueue) wait(n uint32, o *WaitOptions) (wait, error) {
	if q.ring == nil {
		return wait{}, errClosed()
	}
	return q.ring.wait(atomic.LoadUint32(q.ring.cq.khead), n, o)
}

// submitAndWait makes the first enter as it is told, and then those that the wait
// asks for.
func (q *SubmissionQueue) submitAndWait(w *wait, flags uint32, arg, size uintptr) (int, error) {
	pending := q.Ready()
	taken, err := q.enter(w.ask(), flags, arg, size)
	if err == nil && uint32(taken) < pending && q.ring.flags&SetupSQPoll == 0 {
		return taken, nil // an entry was refused: the kernel did not wait
	}
	for {
		more, result := w.again(err)
		if !more {
			if _, held := q.ring.cq.since(0); errnoOf(result) == unix.ETIME && (taken > 0 || held > 0) {
				result = nil
			}
			return taken, result
		}
		_, err = q.enter(w.ask(), w.flags, w.set(&q.arg), waitArgSize)
	}
}

// WaitRoom waits, with [SetupSQPoll], until the kernel has made room in a full
// queue; on other rings it does nothing: submit. It stands for
// io_uring_sqring_wait; Linux 5.10.
func (q *SubmissionQueue) WaitRoom() error {
	if q.ring == nil {
		return errClosed()
	}
	for q.ring.flags&SetupSQPoll != 0 && q.SpaceLeft() == 0 {
		if _, err := q.Enter(0, EnterSQWait); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// GetEvents runs what completions wait for and moves those that overflowed into
// the queue, as far as there is room. It never waits. It stands for
// io_uring_get_events; Linux 5.1.
func (q *CompletionQueue) GetEvents() error {
	if q.ring == nil {
		return errClosed()
	}
	_, err := q.ring.sys(0, 0, EnterGetEvents, 0, 0)
	return err
}

// Wait returns the first completion, and waits until there is one. It submits
// nothing, and a signal does not end it. It stands for io_uring_wait_cqe; Linux
// 5.1.
func (q *CompletionQueue) Wait() (*CQE, error) { return q.WaitN(1) }

// WaitN returns the first completion once n of them, but at most what the queue
// holds, are there. It stands for io_uring_wait_cqe_nr; Linux 5.1.
//
// With [SetupCQEMixed] one of 32 bytes counts as one, and a queue in which such a
// one might not fit any more is full. With [SetupIOPoll], unless [SetupSQPoll] has
// a thread that polls, one completion is enough: the kernel does not poll while
// there are any.
func (q *CompletionQueue) WaitN(n uint32) (*CQE, error) { return q.WaitWith(n, WaitOptions{}) }

// WaitTimeout is WaitN for at most d, of which a negative one is 0: then there
// may be fewer and, if there is none, the error is ETIME. It stands for
// io_uring_wait_cqes; Linux 5.11.
func (q *CompletionQueue) WaitTimeout(n uint32, d time.Duration) (*CQE, error) {
	t := TimespecOf(max(d, 0))
	return q.WaitWith(n, WaitOptions{Timeout: &t})
}

// WaitWith is WaitN with all that can bound the wait: at the end of a Timeout, and
// after MinWait, there may be fewer completions than n, but at least one. It
// stands for io_uring_wait_cqes_min_timeout; Linux 5.11.
//
// A signal does not end it, nor prolong it, unless Sigmask is set: then it is
// EINTR, and the completions that are there stay.
func (q *CompletionQueue) WaitWith(n uint32, o WaitOptions) (*CQE, error) {
	if q.ring == nil {
		return nil, errClosed()
	}
	n = max(n, 1)
	if c := q.Peek(); c != nil && (n == 1 || q.Ready() >= n && !q.mixed) {
		return c, nil
	}
	w, err := q.ring.wait(q.head, n, &o)
	if err != nil {
		return nil, err
	}
	for {
		ask, more, err := w.ask(), false, error(nil)
		if ask > 0 {
			_, err = q.ring.sys(0, ask, w.flags, w.set(&q.arg), waitArgSize)
			more, err = w.again(err)
		}
		c := q.Peek()
		switch {
		case more:
		case c != nil && (err == nil || errnoOf(err) == unix.ETIME):
			return c, nil
		case err != nil:
			return nil, err
		}
	}
}

// Blocking yields completions without end; each is seen after its turn. When
// there is none it waits until n are there. An error is yielded, and ends it. It
// stands for io_uring_wait_cqe_nr and io_uring_cqe_seen; Linux 5.1.
func (q *CompletionQueue) Blocking(n uint32) iter.Seq2[*CQE, error] {
	return func(yield func(*CQE, error) bool) {
		for {
			c, err := q.next(n)
			if err != nil {
				yield(nil, err)
				return
			}
			more := yield(c, nil)
			q.Seen()
			if !more {
				return
			}
		}
	}
}

// next is the first completion, or after a wait the first of n.
func (q *CompletionQueue) next(n uint32) (*CQE, error) {
	if q.ring != nil {
		if c := q.Peek(); c != nil {
			return c, nil
		}
	}
	return q.WaitN(n)
}
