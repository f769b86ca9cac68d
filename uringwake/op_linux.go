package uringwake

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/monotime"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// op is one operation, and owns what the kernel may touch until the operation has
// completed.
//
//	idle ------> prepared ------> submitted ------> completed -> idle
//	             in the backlog   in the queue, or
//	                              the kernel has it
//
// canceling is set in addition to submitted when the kernel was asked to cancel; an
// operation that is only prepared completes at once then. Its driver changes the
// state, on the loop's thread or under goroutineDriver.mu. The waiter may look at it
// in the same way, and makes the op idle again.
type op struct {
	driver driver
	waker  wake.Waker // the waiter's: on a loop a *Task, which sleeps for nothing else
	id     userData
	place  node[*op] // in the driver's backlog, or among its idle operations

	state     opState
	canceling bool
	resubmits uint8 // how often the kernel completed it without having done it
	res       int32 // set when it has completed, as is flags
	flags     uint32

	interrupter *bridge.Interrupter // may cancel it; or nil
	sink        bridge.Sink         // takes the completions; or nil
	retries     bool                // though it has a sink, it is submitted again if it was not done

	sqe   ring.SQE
	keep  unsafe.Pointer // what sqe points at: the kernel's until it has completed
	until time.Duration  // of a timeout, by the clock of monotonic
	time  ring.Timespec  // what is left of it: the kernel reads it here
	again uint8          // attempts to cancel that may have missed it: an index of pauses
}

type opState uint8

const (
	idle opState = iota
	prepared
	submitted
	completed
)

// userData is the name of an operation in entries and completions. A completion whose
// top bit is clear is a message that others sent to the ring.
//
//	bit  63       ours
//	bits 62..60   kind
//	bits 59..32   generation: a completion of an earlier operation in the slot,
//	              or a cancel of it, finds nothing
//	bits 31..0    slot in the table
type userData uint64

const (
	ours         userData = 1 << 63
	kindShift             = 60
	generations           = 1<<28 - 1
	kindOp                = userData(0) << kindShift
	kindCancel            = userData(1) << kindShift // the completion of a cancel
	kindAgain             = userData(2) << kindShift // time to cancel once more
	kindDoorbell          = userData(3) << kindShift
	kindMask              = userData(7) << kindShift
)

func (u userData) kind() userData { return u & kindMask }

func (u userData) as(kind userData) uint64 { return uint64(u&^kindMask | kind) }

// maxResubmit limits how often an operation that the kernel canceled without being
// asked is submitted again.
const maxResubmit = 64

// undone reports whether a completion says that the operation was not done though it
// was not canceled, and counts that. The kernel says so when the thread that submitted
// it has exited. Some operations are never submitted again: see once.
func (o *op) undone(res int32) bool {
	if o.canceling || o.resubmits == maxResubmit || !o.cameToNothing(res) || o.once() {
		return false
	}
	o.resubmits++
	return true
}

// cameToNothing reports whether a completion says that the kernel has stopped the
// operation without having done it. It stops the poll of a file with two wait queues,
// such as a terminal, with EINVAL if another reader has taken what the poll was woken
// for (6.18).
func (o *op) cameToNothing(res int32) bool {
	return isCanceled(res) || o.sqe.Opcode == ring.OpPollAdd && res == -int32(unix.EINVAL)
}

func isCanceled(res int32) bool {
	e := interruption(-res)
	return e == unix.ECANCELED || e == unix.EINTR
}

// interruption returns an errno as system calls do: an openat that waits for a FIFO, for
// one, completes with ERESTARTSYS when it is canceled (6.18).
func interruption(errno int32) unix.Errno {
	const first, last = 512, 516 // ERESTARTSYS, ERESTART_RESTARTBLOCK
	if first <= errno && errno <= last {
		return unix.EINTR
	}
	return unix.Errno(errno)
}

// complete stores the result and returns the waiter's waker.
func (o *op) complete(res int32, flags uint32) wake.Waker {
	w := o.waker
	o.state, o.res, o.flags, o.waker = completed, res, flags, nil
	return w
}

// prepareItself fills s with the entry of o.
func (o *op) prepareItself(s *ring.SQE) {
	*s = o.sqe
	s.UserData = uint64(o.id)
}

// prepareCancel fills s with the request to cancel o.
func (o *op) prepareCancel(s *ring.SQE) {
	s.PrepCancel64(uint64(o.id), 0)
	s.UserData = o.id.as(kindCancel)
}

// prepareAgain fills s with a timeout until the next request to cancel o.
func (o *op) prepareAgain(s *ring.SQE) {
	o.again = min(o.again+1, uint8(len(pauses)-1))
	s.PrepTimeout(o.pause(), 0, 0)
	s.UserData = o.id.as(kindAgain)
}

// pause is how long to wait after the last attempt to cancel o.
func (o *op) pause() *ring.Timespec { return &pauses[o.again] }

// pauses follow the attempts to cancel an operation: from a millisecond to half a second.
// The kernel reads them here when it takes the entry. By then the operation may have
// completed and be gone.
var pauses = func() (all [11]ring.Timespec) {
	for i := range all {
		all[i].Nsec = 1 << (19 + i)
	}
	return all
}()

// missed reports whether, by the result of a cancel, the operation may continue: it was
// not found, maybe because it was between two places in the kernel.
func missed(res int32) bool {
	e := unix.Errno(-res)
	return e == unix.ENOENT || e == unix.EALREADY
}

// monotonic is a clock that stands still while the system is suspended, as the
// kernel's timeouts do. Its zero has no meaning.
func monotonic() time.Duration { return time.Duration(monotime.Now()) }

// atOnce reports whether the kernel completes o in the call that submits it, so that
// any thread may make that call.
func (o *op) atOnce() bool { return o.sqe.Opcode == ring.OpNop || o.sqe.Opcode == ring.OpMsgRing }

// err is the error of a negative result. That of a refused operation is an
// [unsupported].
func (o *op) err(call string) error { return resultError(call, o.sqe.Opcode, o.res) }

func resultError(call string, opcode uint8, res int32) error {
	err := &ring.Error{Call: call, Errno: interruption(-res)}
	if refusing(res) && refused(opcode) {
		return &unsupported{call, unavailable, err}
	}
	return err
}

// isZeroCopy reports whether a notification follows the result of o, which has
// ring.CQEMore then: the kernel uses the buffer until the notification.
func (o *op) isZeroCopy() bool {
	return o.sqe.Opcode == ring.OpSendZC
}

// brief reports whether o need not wait for others.
func (o *op) brief() bool {
	return o.atOnce() || o.sqe.Opcode == ring.OpClose || o.sqe.Opcode == ring.OpFutexWake
}

// recycle makes o idle.
func (o *op) recycle() {
	o.drop()
	o.state, o.canceling, o.resubmits = idle, false, 0
	o.waker, o.keep, o.again = nil, nil, 0
	o.interrupter, o.sink, o.retries = nil, nil, false
	o.place = node[*op]{}
}
