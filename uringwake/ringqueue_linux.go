package uringwake

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// ringQueue is what both drivers are made of: a ring, the operations in flight,
// and the backlog of those that wait for an entry. It is used by one thread at a
// time: a loop's, or the one that holds goroutineDriver.mu.
type ringQueue struct {
	ring    *ring.Ring
	sq      *ring.SubmissionQueue
	cq      *ring.CompletionQueue
	ops     table
	backlog backlog
	paused  bool // no entries are handed out: all operations go to the backlog
	timed   []timedEntry

	getEvents uint32 // ring.EnterGetEvents where completions need it
	// onOther takes the completions that are no operation's. It may be nil.
	onOther func(u userData, res int32, flags uint32)

	limit int // how many operations the kernel may have, or 0
	held  int // how many it has, or will have with the next enter

	uncancelable error // why what waits cannot be canceled, or nil

	told    []wake.Waker    // returned by sinks, to be called
	buffers *receiveBuffers // nil until a receive needs them

	files, fixedBuffers fixedTable

	enters, submitted, completed uint64
}

// timedEntry is a timeout in the submission queue. Its time begins when the kernel takes the
// entry.
type timedEntry struct {
	op    *op
	place uint32 // in the queue, 1 for the first entry
}

// backlog holds what waits for an entry of the submission queue, first come, first
// served. Cancels go before operations, as does a close where the kernel may have a limited
// number of operations.
type backlog struct {
	cancels []cancelRequest
	ops     fifo[*op]
}

func (b *backlog) push(o *op) {
	o.place.item = o
	b.ops.push(&o.place)
}

// cancelRequest is an entry to be made that concerns the cancellation of an operation, or
// is that of a close.
type cancelRequest struct {
	op      *op
	id      userData // op may be another one by then
	prepare func(*op, *ring.SQE)
}

func (q *ringQueue) use(r *ring.Ring) { q.ring, q.sq, q.cq = r, r.SQ(), r.CQ() }

// launch names o and queues it. It goes to the kernel with the next enter.
func (q *ringQueue) launch(o *op) {
	q.ops.add(o)
	q.queue(o)
}

// queue copies o into the submission queue or, if there is no room, puts it into
// the backlog.
func (q *ringQueue) queue(o *op) {
	if q.limit > 0 && o.sqe.Opcode == ring.OpClose {
		q.queueAhead(o)
		return
	}
	o.state = prepared
	if !q.backlog.ops.empty() || !q.tryEnqueue(o) {
		q.backlog.push(o)
	}
}

// queueAhead queues a close, which does not wait for others to complete: they may wait for
// the end of the connection that it closes.
func (q *ringQueue) queueAhead(o *op) {
	o.state = submitted
	q.held++
	q.queueCancel(o, (*op).prepareItself)
}

// hasRoom reports whether the kernel may have one more operation.
func (q *ringQueue) hasRoom() bool { return q.limit == 0 || q.held < q.limit }

// tryEnqueue copies o into the submission queue, if there is room there and in the
// kernel.
func (q *ringQueue) tryEnqueue(o *op) bool {
	if !q.hasRoom() {
		return false
	}
	s := q.entry()
	if s == nil {
		return false
	}
	o.prepareItself(s)
	o.state = submitted
	q.held++
	if o.sqe.Opcode == ring.OpTimeout && o.sqe.OpFlags&ring.TimeoutMultishot == 0 {
		q.timed = append(q.timed, timedEntry{o, q.sq.Ready()})
	}
	return true
}

// entry returns an entry of the submission queue, or nil if the queue is paused,
// or full and the kernel takes nothing now.
func (q *ringQueue) entry() *ring.SQE {
	if q.paused {
		return nil
	}
	if s := q.sq.GetSQE(); s != nil {
		return s
	}
	q.enter(0)
	return q.sq.GetSQE()
}

// queueCancel queues a request about o, before all operations.
func (q *ringQueue) queueCancel(o *op, prepare func(*op, *ring.SQE)) {
	if len(q.backlog.cancels) > 0 || !q.tryPrepare(o, prepare) {
		q.backlog.cancels = append(q.backlog.cancels, cancelRequest{o, o.id, prepare})
	}
}

// tryPrepare has prepare fill an entry, if there is room.
func (q *ringQueue) tryPrepare(o *op, prepare func(*op, *ring.SQE)) bool {
	s := q.entry()
	if s != nil {
		prepare(o, s)
	}
	return s != nil
}

// drainBacklog moves the backlog to the submission queue as far as there is room.
func (q *ringQueue) drainBacklog() {
	b := &q.backlog
	for len(b.cancels) > 0 {
		c := b.cancels[0]
		if q.ops.find(c.id) == c.op && !q.tryPrepare(c.op, c.prepare) {
			return
		}
		b.cancels = b.cancels[1:]
	}
	for !b.ops.empty() && q.tryEnqueue(b.ops.first.item) {
		b.ops.pop()
	}
}

// hasBacklog reports whether something waits for an entry only. What waits until the
// kernel has fewer operations is not counted: a completion has to come first.
func (q *ringQueue) hasBacklog() bool {
	return !q.backlog.ops.empty() && q.hasRoom() || len(q.backlog.cancels) > 0
}

// cannotCancel is why what waits cannot be canceled, or nil.
func (q *ringQueue) cannotCancel() error { return q.uncancelable }

// abort asks the kernel to cancel o, or takes o out of the backlog: then it
// returns o's waker.
func (q *ringQueue) abort(o *op) wake.Waker {
	switch {
	case o.canceling:
	case o.state == prepared:
		q.backlog.ops.remove(&o.place)
		o.canceling = true
		return q.finish(o, -int32(unix.ECANCELED), 0)
	case o.state == submitted:
		o.canceling = true
		q.queueCancel(o, (*op).prepareCancel)
	}
	return nil
}

// enter submits what lies in the submission queue and waits for that many
// completions. The entries that the kernel does not take stay in the queue. enter
// returns the errno of what went wrong: EINTR of a signal, of which the Go runtime
// sends many; EAGAIN or EBUSY if the kernel has no memory or wants completions to
// be taken first. (ENOMEM, at a thread's first enter, is EAGAIN.)
func (q *ringQueue) enter(wait uint32) unix.Errno {
	flags := q.getEvents
	if q.sq.Overflown() {
		flags = ring.EnterGetEvents
	}
	q.enters++
	q.setTimeouts()
	before := q.sq.Ready()
	n, err := q.sq.Enter(wait, flags)
	q.submitted += uint64(n)
	q.forgetTimeouts(before - q.sq.Ready())
	e := errnoOf(err)
	switch e {
	case 0, unix.EINTR, unix.EAGAIN, unix.EBUSY:
		return e
	case unix.ENOMEM:
		return unix.EAGAIN
	}
	fatal(err) // no other error is expected of a ring that this package made
	return e
}

// setTimeouts sets the times of the timeouts in the queue, which begin now.
func (q *ringQueue) setTimeouts() {
	for _, t := range q.timed {
		t.op.time = ring.TimespecOf(max(t.op.until-monotonic(), 0))
	}
}

// forgetTimeouts removes the timeouts that are among the first n entries, which the kernel
// has taken: it has read their times, and they may complete and become something else.
func (q *ringQueue) forgetTimeouts(n uint32) {
	gone := 0
	for i := range q.timed {
		if place := &q.timed[i].place; *place > n {
			*place -= n
		} else {
			gone++
		}
	}
	q.timed = slices.Delete(q.timed, 0, gone)
}

// fatal ends the program when the kernel no longer serves a ring that it has made, as
// under a seccomp filter that is installed late: the kernel uses memory that then
// cannot be freed. A panic in the caller's goroutine could be recovered, and would
// leave locks and loops for which other goroutines wait.
func fatal(err error) {
	go panic(fmt.Errorf("uringwake: %s: %w", trouble(errnoOf(err)), err))
	select {}
}

// reap takes all completions that are there, and appends the wakers of those
// whose operations have completed.
func (q *ringQueue) reap(wakers []wake.Waker) []wake.Waker {
	for c := q.cq.Peek(); c != nil; c = q.cq.Peek() {
		u, res, flags := userData(c.UserData), c.Res, c.Flags
		q.cq.Seen()
		q.completed++
		if w := q.dispatch(u, res, flags); w != nil {
			wakers = append(wakers, w)
		}
	}
	if q.cq.Overflow() != 0 { // enter does not always return that error
		fatal(&ring.Error{Call: "io_uring_enter", Errno: unix.EBADR})
	}
	return wakers
}

// dispatch handles one completion. It ignores one whose operation is not known any
// more.
func (q *ringQueue) dispatch(u userData, res int32, flags uint32) wake.Waker {
	if u&ours == 0 || u.kind() == kindDoorbell {
		if q.onOther != nil {
			q.onOther(u, res, flags)
		}
		return nil
	}
	o := q.ops.find(u)
	if o == nil {
		return nil
	}
	switch u.kind() {
	case kindOp:
		if o.state == submitted { // else the kernel does not have it: a message only looks like it
			return q.complete(o, res, flags)
		}
	case kindCancel:
		if refusing(res) {
			res = q.cancelNow(o)
		}
		if missed(res) {
			q.queueCancel(o, (*op).prepareAgain)
		}
	case kindAgain:
		if refusing(res) {
			o.cancelLater()
		} else {
			q.queueCancel(o, (*op).prepareCancel)
		}
	}
	return nil
}

// complete ends o and returns its waker, unless more completions are to come or o
// has to be submitted again.
func (q *ringQueue) complete(o *op, res int32, flags uint32) wake.Waker {
	last := flags&ring.CQEMore == 0
	if last {
		q.held--
	}
	switch notification := o.isZeroCopy() && flags&ring.CQENotif != 0; {
	case o.sink == nil && !last:
		o.res = res // of a zero-copy send: its buffer is still in use
		return nil
	case o.sink == nil && notification:
		res = o.res
	case last && !notification && (o.sink == nil || o.retries) && o.undone(res):
		q.queue(o)
		return nil
	}
	return q.finish(o, res, flags)
}

// finish gives a completion to o's sink, or ends o and returns its waker.
func (q *ringQueue) finish(o *op, res int32, flags uint32) wake.Waker {
	if o.sink != nil {
		q.passOn(o, res, flags)
		return nil
	}
	q.ops.remove(o)
	return o.complete(res, flags)
}

// wakeAll calls all wakers, even if one panics or ends the goroutine: they may be of
// foreign types.
func wakeAll(wakers []wake.Waker) {
	next := 0
	defer func() {
		if next < len(wakers) {
			wakeAll(wakers[next:])
		}
	}()
	for next < len(wakers) {
		next++
		wakers[next-1].Wake()
	}
}
