package ring

import (
	"errors"
	"iter"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WaitOptions limit a wait. The zero value means no limit.
type WaitOptions struct {
	// Timeout is the time for which to wait at most or, with Absolute, the time at
	// which the wait ends. Nil means no limit. A negative Timeout means 0, and more than
	// 292 years mean 292 years. Linux 5.11, [FeatExtArg].
	Timeout *Timespec
	// Absolute says that Timeout is a point in time, by CLOCK_MONOTONIC or the clock
	// chosen with [Registrar.RegisterClock], as this process reads that clock. The
	// kernel gets the time that is left: with [EnterAbsTimer] it would take the Timeout
	// for a time outside of the process's time namespace.
	Absolute bool
	// MinWait is the time for which to wait for all completions that were asked for;
	// after that time one completion is enough. It is rounded up to microseconds, and
	// is at most 2^32-1 of them. Zero or less means no such time. Linux 6.12,
	// [FeatMinTimeout].
	MinWait time.Duration
	// Sigmask is the set of signals to block during the wait, in which bit n-1 is
	// signal n. Nil means that the mask does not change. A wait with a Sigmask ends
	// with EINTR at any other signal, including those of the Go runtime, even if fewer
	// completions than asked for are there; Linux 5.11.
	Sigmask *uint64
	// NoIOWait keeps the wait out of the system's iowait time; Linux 6.15. It
	// corresponds to io_uring_set_iowait.
	NoIOWait bool
}

// bounded reports whether fewer completions than asked for may be enough.
func (o *WaitOptions) bounded() bool { return o.Timeout != nil || o.MinWait > 0 }

// flags returns the Enter... flags that the options need, or an error if the kernel
// does not have them.
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

// SubmitAndWaitTimeout is SubmitAndWait that waits for at most d; a negative d means 0.
// It corresponds to io_uring_submit_and_wait_timeout; Linux 5.11.
func (q *SubmissionQueue) SubmitAndWaitTimeout(n uint32, d time.Duration) (int, error) {
	t := TimespecOf(max(d, 0))
	return q.SubmitAndWaitWith(n, WaitOptions{Timeout: &t})
}

// SubmitAndWaitWith is SubmitAndWait with options that limit the wait. It
// corresponds to io_uring_submit_and_wait_min_timeout; Linux 5.11.
//
// At the end of the time the error is ETIME only if the kernel took no entries and
// there are no completions; otherwise it is nil, and there may be fewer than n
// completions. With a Sigmask the error is EINTR if a signal interrupts the wait,
// even if the kernel took entries.
func (q *SubmissionQueue) SubmitAndWaitWith(n uint32, o WaitOptions) (int, error) {
	w, err := q.wait(n, &o)
	if err != nil {
		return 0, err
	}
	return q.submitAndWait(&w, w.flags, w.set(&q.arg), waitArgSize)
}

// SubmitAndWaitReg is SubmitAndWaitWith the options at that index of the ring's
// [WaitRegion]. The error is EFAULT if there is no such index. It corresponds to
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

// wait begins a wait, in which completions that are there already count.
func (q *SubmissionQueue) wait(n uint32, o *WaitOptions) (wait, error) {
	if q.ring == nil {
		return wait{}, errClosed()
	}
	return q.ring.wait(atomic.LoadUint32(q.ring.cq.khead), n, o)
}

// submitAndWait makes the first enter with these arguments, and then those that the
// wait asks for.
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
// queue. On other rings it does nothing: submit instead. It corresponds to
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

// GetEvents runs the work that completions wait for and moves completions that
// overflowed into the queue, as far as there is room. It never waits. It corresponds
// to io_uring_get_events; Linux 5.1.
func (q *CompletionQueue) GetEvents() error {
	if q.ring == nil {
		return errClosed()
	}
	_, err := q.ring.sys(0, 0, EnterGetEvents, 0, 0)
	return err
}

// Wait returns the first completion, and waits until there is one. It does not submit,
// and signals do not end it. It corresponds to io_uring_wait_cqe; Linux 5.1.
func (q *CompletionQueue) Wait() (*CQE, error) { return q.WaitN(1) }

// WaitN returns the first completion once n are there, or as many as the queue holds
// if that is less. It corresponds to io_uring_wait_cqe_nr; Linux 5.1.
//
// With [SetupCQEMixed] a completion of 32 bytes counts as one, and the queue counts as
// full if another completion of 32 bytes might not fit into it. With [SetupIOPoll],
// unless the ring has the polling thread of [SetupSQPoll], one completion is enough:
// the kernel does not poll while there are any.
func (q *CompletionQueue) WaitN(n uint32) (*CQE, error) { return q.WaitWith(n, WaitOptions{}) }

// WaitTimeout is WaitN that waits for at most d; a negative d means 0. After that time
// there may be fewer than n completions, and the error is ETIME if there are none. It
// corresponds to io_uring_wait_cqes; Linux 5.11.
func (q *CompletionQueue) WaitTimeout(n uint32, d time.Duration) (*CQE, error) {
	t := TimespecOf(max(d, 0))
	return q.WaitWith(n, WaitOptions{Timeout: &t})
}

// WaitWith is WaitN with options that limit the wait. After the Timeout, or after
// MinWait, there may be fewer than n completions; if there are none, the error is
// ETIME. It corresponds to io_uring_wait_cqes_min_timeout; Linux 5.11.
//
// Signals neither end the wait nor prolong it, unless Sigmask is set: then the error
// is EINTR, and the completions that are there stay in the queue.
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

// Blocking returns an iterator that yields completions and does not end by itself. When
// there are none, it waits until n are there. Each completion is seen when the loop's
// body has returned. If the wait fails, the iterator yields the error and ends. It
// corresponds to io_uring_wait_cqe_nr and io_uring_cqe_seen; Linux 5.1.
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

// next returns the first completion, after a wait for n if there is none.
func (q *CompletionQueue) next(n uint32) (*CQE, error) {
	if q.ring != nil {
		if c := q.Peek(); c != nil {
			return c, nil
		}
	}
	return q.WaitN(n)
}
