package uringwake

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// submitAndReap brings prepared entries to the kernel and takes completions, without
// waiting. It makes no system call if there is nothing to submit and no sign of a
// completion.
func (l *Loop) submitAndReap() {
	if l.unarmed {
		l.arm()
	}
	l.drainBacklog()
	// Every 64 turns it enters without a sign: where task work is deferred, there is
	// none of completions that found the queue full.
	if l.sq.Ready() > 0 || l.sq.TaskRun() || l.sq.Overflown() || l.count.Turns%64 == 0 && l.ops.inFlight() > 0 {
		l.enter(0)
	}
	l.reap()
	l.drainBacklog()
}

// sleep announces, looks at the mailbox again, then blocks until there is a completion
// of an operation or of the doorbell.
func (l *Loop) sleep() {
	l.share()
	if l.unarmed {
		l.arm()
	}
	if l.unarmed || l.hasBacklog() {
		// The loop could not be signaled, or there was no room: try that first.
		if l.enter(0) != 0 || l.unarmed && l.sleepsInPoll {
			time.Sleep(time.Millisecond)
		}
		return
	}
	l.door.announce()
	schedpoint.At(schedpoint.LoopAnnounced)
	if !l.mailbox.empty() {
		l.door.retract()
		return
	}
	schedpoint.At(schedpoint.LoopBlocks)
	l.count.Sleeps++
	if e := l.block(); e == unix.EAGAIN || e == unix.EBUSY {
		time.Sleep(time.Millisecond) // it did not wait, for lack of memory
	}
	l.door.retract()
	l.reap()
}

// block blocks until there is a completion. Where the kernel does not poll the doorbell
// for the ring, it blocks until there is one or the doorbell was signaled.
func (l *Loop) block() unix.Errno {
	if !l.sleepsInPoll {
		return l.enter(1)
	}
	if e := l.enter(0); e != 0 || l.sq.Ready() > 0 { // for lack of memory the kernel has not taken all
		return e
	}
	l.bell.await()
	return 0
}

// reap takes all completions, and makes the tasks that they wake ready.
func (l *Loop) reap() {
	l.wakers = l.ringQueue.reap(l.wakers[:0])
	for i, w := range l.wakers {
		l.wake(w)
		l.wakers[i] = nil
	}
	l.tell()
}

// wake calls the waker of an operation, if there is one.
func (l *Loop) wake(w wake.Waker) {
	if t, ok := w.(*Task); ok {
		l.ready.push(&t.mail)
	} else if w != nil {
		w.Wake()
	}
}

// others takes the completions that are no operation's: those of the doorbell, and
// messages that others send.
func (l *Loop) others(u userData, res int32, flags uint32) {
	switch {
	case u == l.poll && refusing(res):
		l.sleepsInPoll, l.unarmed = true, true // this sleep has ended
	case u == l.poll:
		l.unarmed = l.unarmed || flags&ring.CQEMore == 0
	case u&ours == 0 && l.onMessage != nil:
		// Not from here: it may panic or exit, and reap must not.
		l.ready.push(callTo(func() { l.onMessage(uint64(u), res) }))
	}
}

// arm sets up the poll of the doorbell's eventfd. An overflow of the completion queue
// may have ended the old one. One that is still there, since a message that others
// sent looked like its end, is removed. A loop that sleeps in poll(2) has its
// completions signal the bell instead.
func (l *Loop) arm() {
	if s := l.entry(); s != nil {
		s.PrepCancel64(uint64(l.poll), 0)
		s.UserData = uint64(disarmData)
	}
	if l.sleepsInPoll {
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

// share publishes a copy of the counters, so that stats need not stop the loop. A loop
// that has little to do sleeps after each message, so the copy goes where the last one
// was: who has swapped it out of l.shared has it alone.
func (l *Loop) share() {
	s := l.unshared
	if s == nil {
		s = new(LoopStats)
	}
	*s = l.count
	s.Tasks, s.InFlight = l.living.n, l.ops.inFlight()
	s.Enters, s.Submitted, s.Completed = l.enters, l.submitted, l.completed
	l.unshared = l.shared.Swap(s)
}

func (l *Loop) stats() LoopStats {
	l.mustBeMade()
	l.reading.Lock()
	p := l.shared.Swap(nil)
	s := *p
	l.shared.CompareAndSwap(nil, p) // unless the loop has published a newer one
	l.reading.Unlock()
	s.Doorbells = l.doorbells.Load()
	return s
}
