package ring

import (
	"iter"
	"sync/atomic"
	"unsafe"
)

// A SubmissionQueue is the queue in which operations are prepared and passed to the
// kernel. One goroutine at a time may use it.
//
//	get ......... the entry belongs to the caller, which prepares it
//	flush ....... it is published: the tail moves over it
//	enter ....... the kernel has read it: the head moves over it, and the
//	              entry can be got again
type SubmissionQueue struct {
	khead, ktail, kflags, kdropped *uint32 // shared; the kernel writes all but ktail

	ring       *Ring
	sqes       unsafe.Pointer
	mask       uint32
	entries    uint32
	size       uint32 // of an entry, bytes
	tail       uint32 // entries got; ktail follows when they are flushed
	headCached uint32 // a khead of the past: the queue is at most that full

	arg waitArg // of an enter in progress: the kernel reads it, so it must not move
}

// GetSQE returns the next entry, zeroed, or nil if the queue is full: submit, then
// try again. It corresponds to io_uring_get_sqe; Linux 5.1.
func (q *SubmissionQueue) GetSQE() *SQE {
	if q.tail-q.headCached >= q.entries {
		q.headCached = atomic.LoadUint32(q.khead) // pairs with the kernel's release of the entry
		if q.tail-q.headCached >= q.entries {
			return nil
		}
	}
	s := q.at(q.tail)
	q.tail++
	*s = SQE{}
	if q.size > sqeSize { // the second half; and this way GetSQE is inlined
		*(*SQE)(unsafe.Add(unsafe.Pointer(s), sqeSize)) = SQE{}
	}
	return s
}

// Cmd returns the command area of an entry of this queue: 16 bytes, or 80 with
// [SetupSQE128]. Preparing the entry clears the first 16. Linux 5.19.
func (q *SubmissionQueue) Cmd(s *SQE) []byte {
	const start = unsafe.Offsetof(s.Addr3)
	at := uintptr(unsafe.Pointer(s)) - uintptr(q.sqes)
	if at >= uintptr(q.entries)*uintptr(q.size) {
		panic("ring: Cmd of an entry that is not in the queue")
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), start)), uintptr(q.size)-start)
}

func (q *SubmissionQueue) at(i uint32) *SQE {
	return (*SQE)(unsafe.Add(q.sqes, uintptr(i&q.mask)*uintptr(q.size)))
}

// GetSQEs returns n entries that follow each other, or ok false, and none, if
// there is no room for all of them: io_uring_get_sqe, n times; Linux 5.1.
func (q *SubmissionQueue) GetSQEs(n uint32) (s SQEs, ok bool) {
	if q.SpaceLeft() < n {
		return SQEs{}, false
	}
	s = SQEs{q: q, first: q.tail, n: n}
	for range n {
		q.GetSQE()
	}
	return s, true
}

// SpaceLeft returns how many entries GetSQE can return now. It corresponds to
// io_uring_sq_space_left; Linux 5.1.
func (q *SubmissionQueue) SpaceLeft() uint32 {
	return q.entries - (q.tail - atomic.LoadUint32(q.khead))
}

// Ready returns how many entries were got and not yet taken by the kernel. It
// corresponds to io_uring_sq_ready; Linux 5.1.
func (q *SubmissionQueue) Ready() uint32 { return q.tail - atomic.LoadUint32(q.khead) }

// Entries returns the size of the queue; Linux 5.1.
func (q *SubmissionQueue) Entries() uint32 { return q.entries }

// Dropped returns how many entries the kernel dropped because their index was
// invalid; Linux 5.1.
func (q *SubmissionQueue) Dropped() uint32 { return atomic.LoadUint32(q.kdropped) }

// Overflown reports whether completions wait in the kernel because the completion
// queue was full: enter with [EnterGetEvents] to get them. A ring with
// [SetupDeferTaskrun] never shows it. It corresponds to io_uring_cq_has_overflow;
// Linux 5.8.
func (q *SubmissionQueue) Overflown() bool { return atomic.LoadUint32(q.kflags)&SQCQOverflow != 0 }

// TaskRun reports, with [SetupTaskrunFlag], whether completions wait for the next
// enter with [EnterGetEvents]; Linux 5.19.
func (q *SubmissionQueue) TaskRun() bool { return atomic.LoadUint32(q.kflags)&SQTaskrun != 0 }

// flush publishes what was got, and returns how many entries the kernel has
// not taken yet.
func (q *SubmissionQueue) flush() uint32 {
	raceRelease(q.ring)
	storeRelease(q.ktail, q.tail) // pairs with the kernel's acquire
	return q.tail - atomic.LoadUint32(q.khead)
}

// Submit passes all entries that GetSQE has returned to the kernel, and returns how many
// the kernel took. It never waits for completions. It corresponds to io_uring_submit;
// Linux 5.1.
//
// The kernel takes fewer than all if it refuses one: that one has a completion, and the
// next call submits the entries after it. The io_uring of Linux 5.15 refuses an entry
// whose file is not open; that of 6.1 takes it, and its operation fails. EAGAIN and
// EBUSY mean that the kernel lacks memory or that completions must be taken first; then
// nothing was submitted. With [SetupSQPoll] all entries are passed on, and the kernel's
// thread takes them.
func (q *SubmissionQueue) Submit() (int, error) { return q.Enter(0, 0) }

// SubmitAndGetEvents is like Submit, and also has the kernel run the work that
// completions wait for. It corresponds to io_uring_submit_and_get_events; Linux 5.1.
func (q *SubmissionQueue) SubmitAndGetEvents() (int, error) { return q.Enter(0, EnterGetEvents) }

// SubmitAndWait is like Submit, and then waits until n completions are there, or as many
// as the queue holds if that is less. It corresponds to io_uring_submit_and_wait; Linux
// 5.1.
//
// Signals, of which the Go runtime sends many to its threads, do not end the wait. If
// the kernel refuses an entry, and so takes fewer than all, SubmitAndWait does not
// wait. With [SetupIOPoll] one completion may be enough; see [CompletionQueue.WaitN].
// If another goroutine takes completions meanwhile, SubmitAndWait may wait forever,
// since the kernel counts the completions that are there when it begins to wait, and
// those that come later.
func (q *SubmissionQueue) SubmitAndWait(n uint32) (int, error) {
	return q.SubmitAndWaitWith(n, WaitOptions{})
}

// Enter is Submit with all that io_uring_enter can do: with [EnterGetEvents] it waits
// for as many completions as wait says, and it takes all Enter... flags except those
// that say how arguments are passed. It corresponds to io_uring_enter; Linux 5.1.
//
// Enter makes one system call. Its wait may end early, because of any signal to the
// thread, of which the Go runtime sends many, of an entry that the kernel refused, or
// of completions that were lost for lack of memory (EBADR). Then the error is nil if
// the kernel took entries or if there are completions; otherwise the error of a signal
// is EINTR. So callers look at what is there, and call Enter again. With
// [SetupCQEMixed] wait counts entries of the completion queue, of which a completion of
// 32 bytes takes two.
func (q *SubmissionQueue) Enter(wait, flags uint32) (int, error) {
	n, err := q.enter(wait, flags, 0, 0)
	if err != nil {
		err = q.enterFailed(err, flags)
	}
	return n, err
}

func (q *SubmissionQueue) enter(wait, flags uint32, arg, size uintptr) (int, error) {
	if q.ring == nil {
		return 0, errClosed()
	}
	if q.ring.flags&SetupSQPoll != 0 {
		n := q.tail - *q.ktail // its thread takes them at any time: count before
		q.flush()
		return q.enterPolled(n, wait, flags, arg, size)
	}
	return q.ring.sys(q.flush(), wait, flags, arg, size)
}

// enterPolled enters the kernel only to wake its thread, or to wait.
func (q *SubmissionQueue) enterPolled(n, wait, flags uint32, arg, size uintptr) (int, error) {
	// The flag is looked at after the tail was stored: the kernel's thread sets
	// the flag, then looks at the tail once more. Where storeRelease is a plain
	// store, this addition is the fence; elsewhere atomics keep their order.
	atomic.AddUint32(&q.headCached, 0)
	if atomic.LoadUint32(q.kflags)&SQNeedWakeup != 0 {
		flags |= EnterSQWakeup
	}
	if flags == 0 && wait == 0 {
		return int(n), nil
	}
	return q.ring.sys(n, wait, flags, arg, size)
}

// SQEs are several consecutive entries of a [SubmissionQueue].
type SQEs struct {
	q        *SubmissionQueue
	first, n uint32
}

// Len returns how many entries there are.
func (s SQEs) Len() int { return int(s.n) }

// At returns the i-th entry.
func (s SQEs) At(i int) *SQE {
	if uint(i) >= uint(s.n) {
		panic("ring: SQEs.At out of range")
	}
	return s.q.at(s.first + uint32(i))
}

// All returns an iterator over the entries, in order.
func (s SQEs) All() iter.Seq[*SQE] { return s.linked(0) }

// SoftLinked returns an iterator over the entries, in order, which the loop's body
// prepares. Each entry is linked to the one before it: it starts when that one has
// completed, and is canceled if that one fails. SoftLinked sets [SQELink]; Linux 5.3.
func (s SQEs) SoftLinked() iter.Seq[*SQE] { return s.linked(SQELink) }

// HardLinked is like SoftLinked, but an entry that fails does not cancel those after it.
// It sets [SQEHardlink]; Linux 5.5.
func (s SQEs) HardLinked() iter.Seq[*SQE] { return s.linked(SQEHardlink) }

// linked sets the flag after the loop's body prepared an entry, since preparing
// clears all flags.
func (s SQEs) linked(flag uint8) iter.Seq[*SQE] {
	return func(yield func(*SQE) bool) {
		for i := range s.n {
			e := s.q.at(s.first + i)
			more := yield(e)
			if i+1 < s.n {
				e.Flags |= flag
			}
			if !more {
				return
			}
		}
	}
}
