package ring

import (
	"errors"
	"iter"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WaitOptions bound a wait.
type WaitOptions struct {
	// Timeout is how long to wait at most, or until when; nil is for ever.
	// Linux 5.11, [FeatExtArg].
	Timeout *Timespec
	// Absolute says that Timeout is a point in time, of CLOCK_MONOTONIC or the
	// clock that [Registrar.RegisterClock] chose; Linux 6.12.
	Absolute bool
	// MinWait is how long to wait for all that was asked for; after it, one
	// completion is enough. Microseconds count; Linux 6.12.
	MinWait time.Duration
	// Sigmask are the signals to block meanwhile, bit n-1 is signal n; nil
	// leaves them as they are. A wait with it ends with EINTR at any other
	// signal, the Go runtime's own too; Linux 5.11.
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
	if o.Absolute {
		flags, need = flags|EnterAbsTimer, need|FeatMinTimeout // of the same kernel
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

func (a *waitArg) set(o *WaitOptions) {
	*a = waitArg{}
	if o.Timeout != nil {
		a.time = *o.Timeout
		a.timeout = operand(unsafe.Pointer(&a.time))
	}
	if o.Sigmask != nil {
		a.mask = *o.Sigmask
		a.sigmask, a.maskSize = operand(unsafe.Pointer(&a.mask)), uint32(unsafe.Sizeof(a.mask))
	}
	a.minWait = uint32(min(o.MinWait.Microseconds(), 1<<32-1))
}

// A countdown is what is left of a relative timeout after an interruption.
type countdown struct {
	end  time.Time
	left Timespec
}

// resume has o wait for the rest; start was when it began.
func (c *countdown) resume(o *WaitOptions, start time.Time) {
	if o.Timeout == nil || o.Absolute {
		return
	}
	if c.end.IsZero() {
		c.end = start.Add(time.Duration(o.Timeout.Sec)*time.Second + time.Duration(o.Timeout.Nsec))
	}
	c.left = TimespecOf(max(time.Until(c.end), 0))
	o.Timeout = &c.left
}

// SubmitAndWaitTimeout is SubmitAndWait for at most d. It stands for
// io_uring_submit_and_wait_timeout; Linux 5.11.
func (q *SubmissionQueue) SubmitAndWaitTimeout(n uint32, d time.Duration) (int, error) {
	t := TimespecOf(max(d, 0))
	return q.SubmitAndWaitWith(n, WaitOptions{Timeout: &t})
}

// SubmitAndWaitWith is SubmitAndWait with all that can bound the wait. It stands
// for io_uring_submit_and_wait_min_timeout; Linux 5.11.
//
// The kernel tells one thing at a time: if it took entries, or if there are
// completions, the error is nil however the wait ended. Else it is ETIME at the
// end of the time. A signal that interrupts a wait in which nothing was
// submitted is not seen.
func (q *SubmissionQueue) SubmitAndWaitWith(n uint32, o WaitOptions) (int, error) {
	flags, err := o.flags(q.ring.features)
	if err != nil {
		return 0, err
	}
	start, rest := time.Now(), countdown{}
	for {
		q.arg.set(&o)
		taken, err := q.enter(n, flags|EnterGetEvents, q.arg.pointer(flags), waitArgSize)
		if o.Sigmask != nil || !errors.Is(err, unix.EINTR) {
			return taken, err
		}
		rest.resume(&o, start)
	}
}

// SubmitAndWaitReg is SubmitAndWait with the options that lie in that element of
// the ring's [WaitRegion]. It stands for io_uring_submit_and_wait_reg; Linux
// 6.13.
func (q *SubmissionQueue) SubmitAndWaitReg(n, index uint32) (int, error) {
	const size = unsafe.Sizeof(RegWait{})
	return q.enter(n, EnterGetEvents|EnterExtArg|EnterExtArgReg, uintptr(index)*size, size)
}

// WaitRoom waits, with [SetupSQPoll], until the kernel has made room in a full
// queue; on other rings it does nothing: submit. It stands for
// io_uring_sqring_wait; Linux 5.10.
func (q *SubmissionQueue) WaitRoom() error {
	for q.ring.flags&SetupSQPoll != 0 && q.SpaceLeft() == 0 {
		if _, err := q.Enter(0, EnterSQWait); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// pointer is the argument's address if the flags say that there is one.
func (a *waitArg) pointer(flags uint32) uintptr {
	if flags&EnterExtArg == 0 {
		return 0
	}
	return uintptr(unsafe.Pointer(a))
}

// GetEvents runs what completions wait for and moves those that overflowed into
// the queue, as far as there is room. It never waits. It stands for
// io_uring_get_events; Linux 5.1.
func (q *CompletionQueue) GetEvents() error {
	_, err := q.ring.sys(0, 0, EnterGetEvents, 0, 0)
	return err
}

// Wait returns the first completion, and waits until there is one. It submits
// nothing, and a signal does not end it. It stands for io_uring_wait_cqe; Linux
// 5.1.
func (q *CompletionQueue) Wait() (*CQE, error) { return q.WaitN(1) }

// WaitN returns the first completion once n of them, but at most what the queue
// holds, are there. It stands for io_uring_wait_cqe_nr; Linux 5.1.
func (q *CompletionQueue) WaitN(n uint32) (*CQE, error) {
	if c := q.Peek(); c != nil && q.Ready() >= n {
		return c, nil
	}
	return q.WaitWith(n, WaitOptions{})
}

// WaitTimeout is WaitN for at most d: then there may be fewer and, if there is
// none, the error is ETIME. It stands for io_uring_wait_cqes; Linux 5.11.
func (q *CompletionQueue) WaitTimeout(n uint32, d time.Duration) (*CQE, error) {
	t := TimespecOf(max(d, 0))
	return q.WaitWith(n, WaitOptions{Timeout: &t})
}

// WaitWith is WaitN with all that can bound the wait; with a Timeout or MinWait
// there may be fewer completions than n, but at least one. It stands for
// io_uring_wait_cqes_min_timeout; Linux 5.11.
//
// A signal does not end it, nor prolong it, unless Sigmask is set.
func (q *CompletionQueue) WaitWith(n uint32, o WaitOptions) (*CQE, error) {
	flags, err := o.flags(q.ring.features)
	if err != nil {
		return nil, err
	}
	n = min(max(n, 1), q.entries)
	start, rest := time.Now(), countdown{}
	for enough := n; ; {
		if c := q.Peek(); c != nil && q.Ready() >= enough {
			return c, nil
		}
		q.arg.set(&o)
		_, err := q.ring.sys(0, n, flags|EnterGetEvents, q.arg.pointer(flags), waitArgSize)
		switch {
		case err == nil && o.bounded():
			enough = 1 // the kernel hides the end of the time if there is any
		case err != nil && (o.Sigmask != nil || !errors.Is(err, unix.EINTR)):
			return nil, err
		}
		rest.resume(&o, start)
	}
}

// Blocking yields completions without end; each is seen after its turn. When
// there is none it waits until n are there. An error is yielded, and ends it. It
// stands for io_uring_wait_cqe_nr and io_uring_cqe_seen; Linux 5.1.
func (q *CompletionQueue) Blocking(n uint32) iter.Seq2[*CQE, error] {
	return func(yield func(*CQE, error) bool) {
		for {
			c := q.Peek()
			if c == nil {
				var err error
				if c, err = q.WaitN(n); err != nil {
					yield(nil, err)
					return
				}
			}
			more := yield(c, nil)
			q.Seen()
			if !more {
				return
			}
		}
	}
}
