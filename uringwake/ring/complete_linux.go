package ring

import (
	"iter"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A CQE is one completion, in the memory to which the kernel wrote it.
type CQE struct {
	UserData uint64 // the user data of the submission
	Res      int32  // the result, or a negative errno
	Flags    uint32 // CQE...
}

// Err returns the completion's error, or nil if Res is not negative. It does not
// distinguish an operation or a flag that the kernel does not know from a wrong
// operand: both are EINVAL. [Probe.Supported] and [Ring.Features] say beforehand what
// the kernel knows.
func (c *CQE) Err() error {
	if c.Res >= 0 {
		return nil
	}
	return wrap("io_uring completion", unix.Errno(-c.Res))
}

// More reports whether this submission will have further completions; Linux 5.13.
func (c *CQE) More() bool { return c.Flags&CQEMore != 0 }

// BufferID returns the number of the provided buffer that was used, if one was;
// Linux 5.7.
func (c *CQE) BufferID() (id uint16, ok bool) {
	return uint16(c.Flags >> CQEBufferShift), c.Flags&CQEBuffer != 0
}

// A CompletionQueue is the queue that results are read from. One goroutine at a time
// may use it. A CQE belongs to the reader until it is seen.
type CompletionQueue struct {
	khead, ktail, koverflow, kflags *uint32 // shared; the kernel writes all but khead and kflags

	ring       *Ring
	cqes       unsafe.Pointer
	mask       uint32
	entries    uint32
	size       uint32 // of an entry, bytes
	mixed      bool   // some take two
	head       uint32 // entries seen: khead, which only this queue moves
	tailCached uint32 // an earlier ktail: at least that much is there

	arg waitArg // of an enter in progress
}

// Peek returns the first completion, or nil if there is none. It makes no system
// call: see [SubmissionQueue.Overflown], [SubmissionQueue.TaskRun] and GetEvents for
// completions that the kernel holds back. It corresponds to io_uring_peek_cqe; Linux
// 5.1.
func (q *CompletionQueue) Peek() *CQE {
	for {
		if q.head == q.tailCached {
			q.tailCached = atomic.LoadUint32(q.ktail) // pairs with the kernel's release of the entry
			if q.head == q.tailCached {
				return nil
			}
		}
		raceAcquire(q.ring) // it may have been Advance that looked
		c := q.at(q.head)
		if !q.mixed || c.Flags&CQESkip == 0 {
			return c
		}
		q.Advance(1) // a gap before the end, where one of two did not fit
	}
}

func (q *CompletionQueue) at(i uint32) *CQE {
	return (*CQE)(unsafe.Add(q.cqes, uintptr(i&q.mask)*uintptr(q.size)))
}

// Seen returns the first completion's entry to the kernel. It corresponds to
// io_uring_cqe_seen; Linux 5.1.
func (q *CompletionQueue) Seen() {
	n := uint32(1)
	if q.mixed && q.at(q.head).Flags&CQE32 != 0 {
		n = 2
	}
	q.Advance(n)
}

// Advance returns the entries of the first n completions to the kernel; with
// [SetupCQEMixed] one of 32 bytes counts as two. It panics if there are not that
// many. It corresponds to io_uring_cq_advance; Linux 5.1.
func (q *CompletionQueue) Advance(n uint32) {
	if q.tailCached-q.head < n { // Ready may have counted more than Peek has seen
		if q.tailCached = atomic.LoadUint32(q.ktail); q.tailCached-q.head < n {
			panic("ring: Seen or Advance of a completion that is not there")
		}
	}
	q.head += n
	storeRelease(q.khead, q.head) // pairs with the kernel's acquire
}

// Extra returns the second half of a completion of 32 bytes (big_cqe), or zeros for
// one of 16 bytes. The half lies in the queue after c, so Extra panics if c is a copy
// of a completion, and must be called before the completion is seen. Linux 5.19.
func (q *CompletionQueue) Extra(c *CQE) [2]uint64 {
	if q.size == cqeSize && (!q.mixed || c.Flags&CQE32 == 0) {
		return [2]uint64{}
	}
	at := uintptr(unsafe.Pointer(c)) - uintptr(q.cqes)
	if at+cqeSize >= uintptr(q.entries)*uintptr(q.size) || at%cqeSize != 0 {
		panic("ring: Extra of a completion that is not in the queue")
	}
	return *(*[2]uint64)(unsafe.Add(unsafe.Pointer(c), cqeSize))
}

// Ready returns how many completions are there, counted as by Advance. It
// corresponds to io_uring_cq_ready; Linux 5.1.
func (q *CompletionQueue) Ready() uint32 { return atomic.LoadUint32(q.ktail) - q.head }

// Entries returns the size of the queue; Linux 5.1.
func (q *CompletionQueue) Entries() uint32 { return q.entries }

// Overflow returns how many completions were lost because the queue was full, or,
// since [FeatNoDrop], because the kernel had no memory for them; Linux 5.1.
func (q *CompletionQueue) Overflow() uint32 { return atomic.LoadUint32(q.koverflow) }

// All returns an iterator over the completions that are there, and those that come
// while the loop runs. Each completion is seen when the loop's body has returned. All
// never waits. It corresponds to io_uring_for_each_cqe and io_uring_cq_advance; Linux
// 5.1.
func (q *CompletionQueue) All() iter.Seq[*CQE] {
	return func(yield func(*CQE) bool) {
		for c := q.Peek(); c != nil; c = q.Peek() {
			for more := true; more; c = q.at(q.head) {
				goOn := yield(c)
				q.Seen()
				if !goOn {
					return
				}
				more = !q.mixed && q.head != q.tailCached // else Peek looks
			}
		}
	}
}

// EventFDEnabled reports whether completions are counted on a registered eventfd. It
// corresponds to io_uring_cq_eventfd_enabled; Linux 5.8.
func (q *CompletionQueue) EventFDEnabled() bool {
	if q.kflags == nil { // an old kernel, on which completions are always counted
		return q.ring != nil
	}
	return atomic.LoadUint32(q.kflags)&CQEventFDDisabled == 0
}

// ToggleEventFD sets whether completions are counted on a registered eventfd. It
// corresponds to io_uring_cq_eventfd_toggle; Linux 5.8.
func (q *CompletionQueue) ToggleEventFD(enabled bool) error {
	if q.ring == nil {
		return errClosed()
	}
	if q.EventFDEnabled() == enabled {
		return nil
	}
	if q.kflags == nil {
		return wrap("io_uring_cq_eventfd_toggle", unix.EOPNOTSUPP)
	}
	atomic.StoreUint32(q.kflags, atomic.LoadUint32(q.kflags)^CQEventFDDisabled)
	return nil
}
