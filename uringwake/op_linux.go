package uringwake

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// op is one operation, and owns what the kernel may touch until the operation
// has landed. Both drivers fly the same ones.
//
//	idle ------> prepared ------> submitted ------> landed -> idle
//	             waits for room   the kernel's
//	             in the queue
//
// canceling is set beside submitted when the kernel has been asked to let go;
// one that is only prepared lands at once. The driver moves the state, on its
// loop's thread or under its mutex; who waits may look at it in the same way,
// and makes the op idle again.
type op struct {
	loop   *Loop      // its driver,
	direct *direct    // or the other kind
	waker  wake.Waker // of whoever waits: on a loop a *Task, which sleeps for nothing else
	id     userData
	next   *op // in a line of the driver's

	state     opState
	canceling bool
	resubmits uint8 // how often the kernel gave it back undone
	res       int32 // set when it has landed

	sqe   ring.SQE
	keep  unsafe.Pointer // what sqe points at: the kernel's until it has landed
	until time.Duration  // of a timeout, by the clock of monotonic
	time  ring.Timespec  // what is left: the kernel reads it where it lies
	again ring.Timespec  // until the next attempt to cancel
}

type opState uint8

const (
	idle opState = iota
	prepared
	submitted
	landed
)

// userData names an operation to the kernel, and back. Completions whose top
// bit is clear are not ours: somebody sent a message to the ring.
//
//	bit  63       ours
//	bits 62..60   kind
//	bits 59..32   generation: a completion of an earlier life of the place,
//	              or a cancel aimed at it, hits nothing
//	bits 31..0    place in the table
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

// table finds the operations in flight by their names.
type table struct {
	places []place
	free   []uint32
}

type place struct {
	op         *op
	generation uint32
}

// add gives o a name that none has had.
func (t *table) add(o *op) {
	if len(t.free) == 0 {
		t.places = append(t.places, place{generation: rand.Uint32()}) // nobody knows an operation's name by chance
		t.free = append(t.free, uint32(len(t.places)-1))
	}
	i := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	p := &t.places[i]
	p.op = o
	p.generation = (p.generation + 1) & generations
	o.id = ours | userData(p.generation)<<32 | userData(i)
}

// find returns the operation of that name, or nil if it has landed.
func (t *table) find(u userData) *op {
	i := uint32(u)
	if uint64(i) >= uint64(len(t.places)) || t.places[i].generation != uint32(u>>32)&generations {
		return nil
	}
	return t.places[i].op
}

func (t *table) remove(o *op) {
	i := uint32(o.id)
	t.places[i].op = nil
	t.free = append(t.free, i)
}

// inFlight is how many operations have a name.
func (t *table) inFlight() int { return len(t.places) - len(t.free) }

// maxResubmit bounds how often an operation that the kernel canceled unasked is
// submitted again.
const maxResubmit = 64

// undone reports whether a completion says that the operation did not happen
// though nobody asked to cancel it, and counts that. The kernel does so when the
// thread that submitted it has exited. A close is never submitted again: if it did
// happen after all, the number may be another file's by now.
func (o *op) undone(res int32) bool {
	if o.canceling || o.resubmits == maxResubmit || !o.cameToNothing(res) || o.sqe.Opcode == ring.OpClose {
		return false
	}
	o.resubmits++
	return true
}

// cameToNothing reports whether a completion says that the kernel gave the
// operation up. It gives up the poll of a file with two wait queues, as a
// terminal, with EINVAL if somebody else has taken what it was woken for (6.18).
func (o *op) cameToNothing(res int32) bool {
	return isCanceled(res) || o.sqe.Opcode == ring.OpPollAdd && res == -int32(unix.EINVAL)
}

func isCanceled(res int32) bool {
	e := unix.Errno(-res)
	return e == unix.ECANCELED || e == unix.EINTR
}

// land notes the last completion, and gives who is to be woken.
func (o *op) land(res int32) wake.Waker {
	w := o.waker
	o.state, o.res, o.waker = landed, res, nil
	return w
}

// prepareCancel fills s with the request to let go of o.
func (o *op) prepareCancel(s *ring.SQE) {
	s.PrepCancel64(uint64(o.id), 0)
	s.UserData = o.id.as(kindCancel)
}

// prepareAgain fills s with the time until the kernel is asked once more.
func (o *op) prepareAgain(s *ring.SQE) {
	const most = 1 << 29 // ns, half a second
	o.again.Nsec = min(max(2*o.again.Nsec, 1<<20), most)
	s.PrepTimeout(&o.again, 0, 0)
	s.UserData = o.id.as(kindAgain)
}

// missed reports whether a cancel's result leaves open that the operation goes
// on: it may have been between two places in the kernel, and not been found.
func missed(res int32) bool {
	e := unix.Errno(-res)
	return e == unix.ENOENT || e == unix.EALREADY
}

var began = time.Now()

// monotonic is a clock that stands still while the system is suspended, as the
// kernel's timeouts do. Its zero means nothing.
func monotonic() time.Duration { return time.Since(began) }

// atOnce reports whether the kernel completes o in the call that submits it: it
// does not matter which thread makes that.
func (o *op) atOnce() bool { return o.sqe.Opcode == ring.OpNop || o.sqe.Opcode == ring.OpMsgRing }

// finish brings o to the kernel, sleeps until that has let go of it, and gives
// its result. o is its driver's again.
//
// When ctx ends first, the kernel is asked to cancel; what it did all the same
// is the result.
func (o *op) finish(ctx context.Context, call string) (int, error) {
	defer o.release()
	if ctx.Err() != nil {
		return 0, waitq.ContextError(ctx)
	}
	if err := o.mayWait(ctx, call); err != nil {
		return 0, err
	}
	var failed error
	if o.loop != nil {
		o.loop.fly(ctx, o)
	} else {
		failed = o.direct.fly(ctx, o)
	}
	if o.res >= 0 {
		return int(o.res), nil
	}
	if o.canceling && o.cameToNothing(o.res) {
		return 0, waitq.ParkError(ctx, failed)
	}
	return 0, o.err(call)
}

// err is the error of a negative result. That of a refused operation is an
// [unsupported].
func (o *op) err(call string) error {
	err := &ring.Error{Call: call, Errno: unix.Errno(-o.res)}
	if refusing(o.res) && refused(o.sqe.Opcode) {
		return &unsupported{call, notHad, err}
	}
	return err
}

// answer is the errno that the kernel gave, or 0. The cause of a context's end is
// none, whatever it is.
func answer(err error) unix.Errno {
	if e, ok := err.(*ring.Error); ok {
		return e.Errno
	}
	return 0
}

// brief reports whether o does not wait for anybody.
func (o *op) brief() bool {
	return o.atOnce() || o.sqe.Opcode == ring.OpClose || o.sqe.Opcode == ring.OpFutexWake
}

// mayWait returns an error if o may have to wait, ctx may end, and nothing would
// cancel o then.
func (o *op) mayWait(ctx context.Context, call string) error {
	f := o.flights()
	if f.endless == nil || o.brief() || ctx.Done() == nil {
		return nil
	}
	return &unsupported{call, "it may have to wait, and could not be canceled", f.endless}
}

func (o *op) flights() *flights {
	if o.loop != nil {
		return &o.loop.flights
	}
	return &o.direct.flights
}

func (o *op) release() {
	if o.loop != nil {
		o.loop.release(o)
	} else {
		o.direct.release(o)
	}
}

// recycle makes o idle.
func (o *op) recycle() {
	o.state, o.canceling, o.resubmits = idle, false, 0
	o.waker, o.keep, o.next, o.again = nil, nil, nil, ring.Timespec{}
}

// memory is what p points at and how long it is, for the kernel, which takes
// no more at a time.
func memory(p []byte) (unsafe.Pointer, []byte) {
	const most = math.MaxInt32 &^ 4095
	if len(p) > most {
		p = p[:most]
	}
	return unsafe.Pointer(unsafe.SliceData(p)), p
}

// checkFD refuses what would be another file's number once it is cut to the
// kernel's 32 bits.
func checkFD(call string, fd int) error {
	if fd < 0 || fd > math.MaxInt32 {
		return &ring.Error{Call: call, Errno: unix.EBADF}
	}
	return nil
}

// opQueue is a line of operations, linked through next.
type opQueue struct{ first, last *op }

func (q *opQueue) push(o *op) {
	o.next = nil
	if q.first == nil {
		q.first = o
	} else {
		q.last.next = o
	}
	q.last = o
}

func (q *opQueue) pop() *op {
	o := q.first
	q.first, o.next = o.next, nil
	return o
}

// remove takes o out of the line, wherever it stands.
func (q *opQueue) remove(o *op) {
	kept := opQueue{}
	for q.first != nil {
		if p := q.pop(); p != o {
			kept.push(p)
		}
	}
	*q = kept
}

// errnoOf is the errno in err, or 0.
func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[unix.Errno](err); ok {
		return e
	}
	return 0
}
