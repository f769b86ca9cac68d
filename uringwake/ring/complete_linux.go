package ring

import (
	"iter"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A CQE is one completion, where the kernel wrote it.
type CQE struct {
	UserData uint64 // the submission's
	Res      int32  // its result, or minus an errno
	Flags    uint32 // CQE...
}

// Err returns the completion's error, or nil if Res is not negative. It does not
// tell an operation or a flag that the kernel has never heard of from a mistake:
// both are EINVAL. [Probe.Supported] and [Ring.Features] do, before.
func (c *CQE) Err() error {
	if c.Res >= 0 {
		return nil
	}
	return wrap("io_uring completion", unix.Errno(-c.Res))
}

// More reports that this submission will have further completions; Linux 5.13.
func (c *CQE) More() bool { return c.Flags&CQEMore != 0 }

// BufferID is the number of the provided buffer that was used; Linux 5.7.
func (c *CQE) BufferID() (id uint16, ok bool) {
	return uint16(c.Flags >> CQEBufferShift), c.Flags&CQEBuffer != 0
}

// A CompletionQueue is where results are read. One goroutine at a time may use
// it. A CQE belongs to the reader until it is seen.
type CompletionQueue struct {
	khead, ktail, koverflow, kflags *uint32 // shared; the kernel writes all but khead and kflags

	ring       *Ring
	cqes       unsafe.Pointer
	mask       uint32
	entries    uint32
	size       uint32 // of an entry, bytes
	mixed      bool   // some take two
	head       uint32 // entries seen: khead, which only we move
	tailCached uint32 // a ktail of the past: at least that much is there

	arg waitArg // of an enter in progress
}

// Peek returns the first completion, or nil if there is none. It makes no
// system call: see [SubmissionQueue.Overflown], [SubmissionQueue.TaskRun] and
// GetEvents for those that the kernel holds back. It stands for
// io_uring_peek_cqe; Linux 5.1.
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

// Seen gives the first completion's room back. It stands for
// io_uring_cqe_seen; Linux 5.1.
func (q *CompletionQueue) Seen() {
	n := uint32(1)
	if q.mixed && q.at(q.head).Flags&CQE32 != 0 {
		n = 2
	}
	q.Advance(n)
}

// Advance gives the room of the first n completions back; with [SetupCQEMixed]
// one of 32 bytes counts as two. It panics if there are not that many. It stands
// for io_uring_cq_advance; Linux 5.1.
func (q *CompletionQueue) Advance(n uint32) {
	if q.tailCached-q.head < n { // Ready may have told of more than Peek has seen
		if q.tailCached = atomic.LoadUint32(q.ktail); q.tailCached-q.head < n {
			panic("ring: Seen or Advance of a completion that is not there")
		}
	}
	q.head += n
	storeRelease(q.khead, q.head) // pairs with the kernel's acquire
}

// Extra is what a completion of 32 bytes has to say: big_cqe. Of one of 16 bytes
// it is zero. It lies in the queue behind the completion, so it panics for a copy
// of one, and must be read before that is seen. Linux 5.19.
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

// Ready is how many completions are there, counted as Advance does. It stands
// for io_uring_cq_ready; Linux 5.1.
func (q *CompletionQueue) Ready() uint32 { return atomic.LoadUint32(q.ktail) - q.head }

// Entries is the size of the queue; Linux 5.1.
func (q *CompletionQueue) Entries() uint32 { return q.entries }

// Overflow counts completions that were lost because the queue was full: on
// kernels without [FeatNoDrop] only; Linux 5.1.
func (q *CompletionQueue) Overflow() uint32 { return atomic.LoadUint32(q.koverflow) }

// All yields the completions that are there, and those that come while it
// runs; each is seen after its turn. It never waits. It stands for
// io_uring_for_each_cqe and io_uring_cq_advance; Linux 5.1.
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

// EventFDEnabled reports whether a registered eventfd is told of completions.
// It stands for io_uring_cq_eventfd_enabled; Linux 5.8.
func (q *CompletionQueue) EventFDEnabled() bool {
	if q.kflags == nil { // an old kernel, which always tells
		return q.ring != nil
	}
	return atomic.LoadUint32(q.kflags)&CQEventFDDisabled == 0
}

// ToggleEventFD has a registered eventfd told of completions, or not. It stands
// for io_uring_cq_eventfd_toggle; Linux 5.8.
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
