package uringwake

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// pump brings to the kernel what was prepared, and takes what has completed,
// without waiting; it makes no system call if there is nothing to bring and
// nothing to be had.
func (l *Loop) pump() {
	if l.unarmed {
		l.arm()
	}
	l.admit()
	// Now and then it looks without a sign: where task work is deferred,
	// completions that found the queue full show nowhere.
	if l.sq.Ready() > 0 || l.sq.TaskRun() || l.sq.Overflown() || l.count.Turns%64 == 0 && l.ops.inFlight() > 0 {
		l.enter(0)
	}
	l.reap()
	l.admit()
}

// sleep announces, looks at the mailbox again, then blocks until a completion:
// of an operation, or the doorbell's.
func (l *Loop) sleep() {
	l.share()
	if l.unarmed {
		l.arm()
	}
	if l.unarmed || l.waiting() {
		// Nobody could ring, or there was no room: not before that is mended.
		if l.enter(0) != 0 || l.unarmed && l.outside {
			time.Sleep(time.Millisecond)
		}
		return
	}
	l.door.announce()
	yield.At(yield.LoopAnnounced)
	if !l.mailbox.empty() {
		l.door.retract()
		return
	}
	yield.At(yield.LoopBlocks)
	l.count.Sleeps++
	if e := l.block(); e == unix.EAGAIN || e == unix.EBUSY {
		time.Sleep(time.Millisecond) // it did not wait: for the kernel to find memory
	}
	l.door.retract()
	l.reap()
}

// block blocks until there is a completion; where the kernel does not poll the
// doorbell for the ring, until there is one or somebody has rung.
func (l *Loop) block() unix.Errno {
	if !l.outside {
		return l.enter(1)
	}
	if e := l.enter(0); e != 0 || l.sq.Ready() > 0 { // for lack of memory: not all is with the kernel
		return e
	}
	l.bell.await()
	return 0
}

// reap takes all completions, and readies whom they wake.
func (l *Loop) reap() {
	l.wakers = l.flights.reap(l.wakers[:0])
	for i, w := range l.wakers {
		l.wake(w)
		l.wakers[i] = nil
	}
}

// wake wakes who waited for an operation.
func (l *Loop) wake(w wake.Waker) {
	if t, ok := w.(*Task); ok {
		l.ready.push(&t.mail)
	} else if w != nil {
		w.Wake()
	}
}

// others takes the completions that are no operation's: the doorbell's, and
// messages from elsewhere.
func (l *Loop) others(u userData, res int32, flags uint32) {
	switch {
	case u == l.poll && refusing(res):
		l.outside, l.unarmed = true, true // this sleep has ended
	case u == l.poll:
		l.unarmed = l.unarmed || flags&ring.CQEMore == 0
	case u&ours == 0 && l.onMessage != nil:
		// In its turn: it may panic or exit, and reaping must not.
		l.ready.push(&mail{post: func() { l.onMessage(uint64(u), res) }})
	}
}

// arm sets up the poll of the doorbell's eventfd. An overflow of the completion
// queue may end it. A poll that is there after all, since somebody sent a
// message that looked like its end, is removed. A loop that sleeps outside of
// its ring has completions ring its bell instead.
func (l *Loop) arm() {
	if s := l.entry(); s != nil {
		s.PrepCancel64(uint64(l.poll), 0)
		s.UserData = uint64(disarmData)
	}
	if l.outside {
		l.unarmed = l.bell.listen(l.ring) != nil
		return
	}
	if s := l.entry(); s != nil {
		l.poll = nextPoll(l.poll)
		s.PrepPollMultishot(l.bell.eventFD, unix.POLLIN)
		s.UserData = uint64(l.poll)
		l.unarmed = false
	}
}

// fly launches o for the task that runs, and switches to the loop until it has
// landed. The entry goes to the kernel when the tasks that are ready have run.
//
// Nothing else resumes the task: a wake leaves its permit, and the end of ctx
// comes by mail, so that o alone is looked after by the loop's thread.
//
// ctx is called before the kernel has o: its methods may panic, or end the
// goroutine.
func (l *Loop) fly(ctx context.Context, o *op) {
	t := l.current
	var c *canceler
	switch done := ctx.Done(); done {
	case nil:
	case t.done:
		t.flying = o
	default:
		c = &canceler{loop: l, o: o}
		defer context.AfterFunc(tamed(ctx), c.contextEnded)()
	}
	o.waker = t
	l.launch(o)
	if c != nil {
		c.id = o.id
	}
	t.coro.yield()
	t.flying = nil
}

// A canceler lets go of an operation whose context is not its task's.
type canceler struct {
	loop *Loop
	o    *op
	id   userData // the loop's: set before it looks at its mail again
}

func (c *canceler) contextEnded() {
	c.loop.deliver(&mail{post: func() { c.loop.cancel(c.o, c.id) }})
}

// cancel lets go of the operation of that name, if it is in flight still.
func (l *Loop) cancel(o *op, id userData) {
	if l.ops.find(id) == o {
		l.wake(l.abort(o))
	}
}

// newOp returns an idle operation.
func (l *Loop) newOp() *op {
	o := l.freeOps
	if o == nil {
		return &op{loop: l}
	}
	l.freeOps, o.next = o.next, nil
	return o
}

func (l *Loop) release(o *op) {
	o.recycle()
	o.next, l.freeOps = l.freeOps, o
}

// share publishes the counters: a copy, so that nobody waits for anybody.
func (l *Loop) share() {
	s := l.count
	s.Tasks, s.InFlight = l.living.n, l.ops.inFlight()
	s.Enters, s.Submitted, s.Completed = l.enters, l.submitted, l.completed
	l.shared.Store(&s)
}

// Stats gives the loop's counters as of its last sleep, or of a moment ago if
// it has had no time to sleep. Any goroutine may call it.
func (l *Loop) Stats() LoopStats {
	l.mustBeMade()
	s := *l.shared.Load()
	s.Rings = l.rings.Load()
	return s
}
