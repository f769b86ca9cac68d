package uringwake

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// flights is what both drivers are made of: a ring, the operations that the
// kernel has, and those that wait for room. One at a time uses it: a loop's
// thread, or who holds the lock of [direct].
type flights struct {
	ring  *ring.Ring
	sq    *ring.SubmissionQueue
	cq    *ring.CompletionQueue
	ops   table
	line  boarding
	held  bool  // there are no entries to be had: all get in line
	timed []*op // in the queue, with a time that begins when the kernel has them

	getEvents uint32 // ring.EnterGetEvents where completions need it
	// other takes the completions that are no operation's; may be nil.
	other func(u userData, res int32, flags uint32)

	endless error // why nothing that waits can be canceled; nil: it can

	enters, submitted, completed uint64
}

// boarding is the line of those that wait for room in the submission queue,
// first come, first served; but cancels go before operations.
type boarding struct {
	urgent []urgent
	ops    opQueue
}

// urgent is a request about an operation that has had its entry.
type urgent struct {
	op      *op
	id      userData // op may be another one by then
	prepare func(*op, *ring.SQE)
}

func (f *flights) use(r *ring.Ring) { f.ring, f.sq, f.cq = r, r.SQ(), r.CQ() }

// launch names o and gives it an entry, or a place in line. It goes to the
// kernel with the next enter.
func (f *flights) launch(o *op) {
	f.ops.add(o)
	f.queue(o)
}

func (f *flights) queue(o *op) {
	o.state = prepared
	if f.line.ops.first != nil || !f.board(o) {
		f.line.ops.push(o)
	}
}

// board gives o an entry, if there is room.
func (f *flights) board(o *op) bool {
	s := f.entry()
	if s == nil {
		return false
	}
	*s = o.sqe
	s.UserData = uint64(o.id)
	o.state = submitted
	if o.sqe.Opcode == ring.OpTimeout {
		f.timed = append(f.timed, o)
	}
	return true
}

// entry gets an entry of the submission queue, or nil if they are held back, or
// it is full and the kernel takes nothing now.
func (f *flights) entry() *ring.SQE {
	if f.held {
		return nil
	}
	if s := f.sq.GetSQE(); s != nil {
		return s
	}
	f.enter(0)
	return f.sq.GetSQE()
}

// urge brings a request about o to the kernel, at once or as soon as there is
// room.
func (f *flights) urge(o *op, prepare func(*op, *ring.SQE)) {
	if len(f.line.urgent) > 0 || !f.fill(o, prepare) {
		f.line.urgent = append(f.line.urgent, urgent{o, o.id, prepare})
	}
}

func (f *flights) fill(o *op, prepare func(*op, *ring.SQE)) bool {
	s := f.entry()
	if s != nil {
		prepare(o, s)
	}
	return s != nil
}

// admit gives entries to those in line while there are any.
func (f *flights) admit() {
	for len(f.line.urgent) > 0 {
		u := f.line.urgent[0]
		if f.ops.find(u.id) == u.op && !f.fill(u.op, u.prepare) {
			return
		}
		f.line.urgent = f.line.urgent[1:]
	}
	for o := f.line.ops.first; o != nil && f.board(o); o = f.line.ops.first {
		f.line.ops.pop()
	}
}

// waiting reports that somebody is in line.
func (f *flights) waiting() bool { return f.line.ops.first != nil || len(f.line.urgent) > 0 }

// abort asks the kernel to let go of o, or takes it out of the line: then its
// waker is the result.
func (f *flights) abort(o *op) wake.Waker {
	switch {
	case o.canceling:
	case o.state == prepared:
		f.line.ops.remove(o)
		f.ops.remove(o)
		o.canceling = true
		return o.land(-int32(unix.ECANCELED))
	case o.state == submitted:
		o.canceling = true
		f.urge(o, (*op).prepareCancel)
	}
	return nil
}

// enter submits what lies in the queue, waits for that many completions, and
// gives the errno of what went wrong: EINTR of a signal, of which the Go runtime
// sends many; EAGAIN or EBUSY if the kernel has no memory or wants completions
// to be taken first. The entries that it did not take stay in the queue. (ENOMEM,
// at a thread's first enter, is EAGAIN.)
func (f *flights) enter(wait uint32) unix.Errno {
	flags := f.getEvents
	if f.sq.Overflown() {
		flags = ring.EnterGetEvents
	}
	f.enters++
	f.wind()
	n, err := f.sq.Enter(wait, flags)
	f.submitted += uint64(n)
	f.unwind()
	e := errnoOf(err)
	switch e {
	case 0, unix.EINTR, unix.EAGAIN, unix.EBUSY:
		return e
	case unix.ENOMEM:
		return unix.EAGAIN
	}
	end(err) // the ring is ours: nothing else can be wrong with it
	return e
}

// wind sets the times of the timeouts in the queue, which begin now.
func (f *flights) wind() {
	for _, o := range f.timed {
		o.time = ring.TimespecOf(max(o.until-monotonic(), 0))
	}
}

// unwind forgets them, if the kernel has taken all: it has read the times.
func (f *flights) unwind() {
	if len(f.timed) > 0 && f.sq.Ready() == 0 {
		clear(f.timed)
		f.timed = f.timed[:0]
	}
}

// end ends the program when the kernel does not serve a ring any more that it
// has made, as behind a seccomp filter that comes late: the ring has memory that
// nobody can get back. A panic of the caller's could be recovered, and would leave
// locks and loops that others wait for.
func end(err error) {
	go panic(fmt.Errorf("uringwake: %s: %w", trouble(errnoOf(err)), err))
	select {}
}

// reap takes all completions that are there, and appends the wakers of those
// whose operations have landed.
func (f *flights) reap(wakers []wake.Waker) []wake.Waker {
	for c := f.cq.Peek(); c != nil; c = f.cq.Peek() {
		u, res, flags := userData(c.UserData), c.Res, c.Flags
		f.cq.Seen()
		f.completed++
		if w := f.take(u, res, flags); w != nil {
			wakers = append(wakers, w)
		}
	}
	if f.cq.Overflow() != 0 { // enter does not always tell
		end(&ring.Error{Call: "io_uring_enter", Errno: unix.EBADR})
	}
	return wakers
}

// take takes one completion. One whose operation is no longer known is late,
// and forgotten.
func (f *flights) take(u userData, res int32, flags uint32) wake.Waker {
	if u&ours == 0 || u.kind() == kindDoorbell {
		if f.other != nil {
			f.other(u, res, flags)
		}
		return nil
	}
	o := f.ops.find(u)
	if o == nil {
		return nil
	}
	switch u.kind() {
	case kindOp:
		if o.state == submitted { // else the kernel does not have it: the message only looks like it
			return f.landed(o, res, flags)
		}
	case kindCancel:
		if refusing(res) {
			res = f.cancelNow(o)
		}
		if missed(res) {
			f.urge(o, (*op).prepareAgain)
		}
	case kindAgain:
		if refusing(res) {
			o.cancelLater()
		} else {
			f.urge(o, (*op).prepareCancel)
		}
	}
	return nil
}

func (f *flights) landed(o *op, res int32, flags uint32) wake.Waker {
	if flags&ring.CQEMore != 0 {
		return nil
	}
	if o.undone(res) {
		f.queue(o)
		return nil
	}
	f.ops.remove(o)
	return o.land(res)
}
