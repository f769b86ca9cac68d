package uringwake

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// What the external tests see of the package's internals.

// OnLoop runs f on l's thread and waits until it has run.
func OnLoop(t testing.TB, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	require.NoError(t, l.Post(func() { defer close(done); f() }))
	<-done
}

// AwaitSleep waits until l has announced that it sleeps.
func AwaitSleep(l *Loop) {
	for l.door.word.Load()&phaseMask != asleep {
		runtime.Gosched()
	}
}

// EventFD is the descriptor of l's doorbell.
func (l *Loop) EventFD() int { return l.bell.eventFD }

// Turns is how many turns l had made when it last went to sleep.
func (l *Loop) Turns() uint64 { return l.Stats().Turns }

// InFlight is how many operations have a place in l's table. On the loop.
func (l *Loop) InFlight() int { return l.ops.inFlight() }

// Slots is how large l's table has become. On the loop.
func (l *Loop) Slots() int { return len(l.ops.slots) }

// Living is how many tasks l has. On the loop.
func (l *Loop) Living() int { return l.living.n }

// Names are the user data of the operations in flight. On the loop.
func (l *Loop) Names() (names []uint64) {
	for _, p := range l.ops.slots {
		if p.op != nil {
			names = append(names, uint64(p.op.id))
		}
	}
	return names
}

// Completed is how many completions l has taken. On the loop.
func (l *Loop) Completed() uint64 { return l.completed }

// Submitted is how many entries the kernel has taken from l. On the loop.
func (l *Loop) Submitted() uint64 { return l.submitted }

// Fill gets all entries of the submission queue that are left. On the loop.
func (l *Loop) Fill() {
	for s := l.sq.GetSQE(); s != nil; s = l.sq.GetSQE() {
		s.PrepNop()
		s.UserData = uint64(messageData)
	}
}

// EndPoll has the kernel end the poll of the doorbell with the next enter. On the
// loop.
func (l *Loop) EndPoll() {
	s := l.entry()
	s.PrepCancel64(uint64(l.poll), 0)
	s.UserData = uint64(messageData)
}

// SleepInPoll has l sleep as if the kernel had refused to poll its doorbell. On the
// loop.
func (l *Loop) SleepInPoll() { l.others(l.poll, -int32(unix.EACCES), 0) }

// CancelNow asks the kernel by a system call to cancel all operations, and returns the
// last answer. On the loop.
func (l *Loop) CancelNow() (res int32) {
	for _, p := range l.ops.slots {
		if p.op != nil {
			p.op.canceling = true
			res = l.cancelNow(p.op)
		}
	}
	return res
}

// Starve puts an operation into l's line that stays there until the loop looks at
// its ring: all that are launched until then have to wait for room. On the loop.
func (l *Loop) Starve() {
	o := &op{driver: l, state: prepared}
	o.sqe.PrepNop()
	l.ops.add(o)
	l.backlog.push(o)
}

// AnswerNext has the kernel answer the last one in line with res, and not do it;
// Linux 6.10. On the loop.
func (l *Loop) AnswerNext(res int32) {
	s := &l.backlog.ops.last.item.sqe
	s.PrepNop()
	s.OpFlags, s.Len = ring.NopInjectResult, uint32(res)
}

// Opcodes are those of the operations in flight. On the loop.
func (l *Loop) Opcodes() (all []uint8) {
	for _, p := range l.ops.slots {
		if p.op != nil {
			all = append(all, p.op.sqe.Opcode)
		}
	}
	return all
}

// Sleeps is how often l has slept. On the loop.
func (l *Loop) Sleeps() uint64 { return l.count.Sleeps }

// Turn runs what is in the mailbox and what is ready, without a look at the
// ring. On the loop.
func (l *Loop) Turn() {
	l.count.Mail += uint64(l.mailbox.take(&l.ready))
	l.runReady()
}

// AwaitMail waits until there is mail. On the loop.
func (l *Loop) AwaitMail() {
	for l.mailbox.empty() {
		runtime.Gosched()
	}
}

// DrainBacklog moves the backlog to the submission queue, and submits nothing. On the
// loop.
func (l *Loop) DrainBacklog() { l.drainBacklog() }

// Enter brings all to the kernel, and takes what has completed until only n
// operations are in flight. On the loop.
func (l *Loop) Enter(n int) {
	l.drainBacklog()
	l.enter(0)
	for l.reap(); l.ops.inFlight() > n; l.reap() {
		l.enter(1)
	}
}

// AbortAll asks the kernel to cancel all operations. On the loop.
func (l *Loop) AbortAll() {
	for _, p := range l.ops.slots {
		if p.op != nil {
			l.wake(l.abort(p.op))
		}
	}
}

// StartClosing is Close without the wait.
func (l *Loop) StartClosing() { l.startClosing() }

// GoLate is Go by a caller that looked whether l closes just before it did.
func (l *Loop) GoLate(ctx context.Context, f func(ctx context.Context)) bool {
	t := newTask(l, ctx, f)
	t.state.Store(permit)
	return l.deliver(&t.mail)
}

// Closed reports whether l is gone.
func (l *Loop) Closed() bool { return l.end.reached() }

// Claim makes the caller the one that signals.
func (l *Loop) Claim() bool { return l.door.claim() }

// Signal signals l.
func (l *Loop) Signal() { l.bell.signal() }

// EndSignal says that the signal was made.
func (l *Loop) EndSignal() { l.door.endSignal() }

// SpoilMessage has the kernel refuse all messages to l. On the loop.
func (l *Loop) SpoilMessage() { l.bell.message.FD = int32(l.bell.eventFD) }

// SignalFrom signals by a submission of from's, on whose thread it runs; the caller
// has claimed that.
func (l *Loop) SignalFrom(from *Loop) { l.signalFrom(from) }

// Signalers returns how many wakers signal l now.
func (l *Loop) Signalers() uint64 { return l.door.word.Load() / oneSignaler }

// Now is what Stats is to say after Close.
func (l *Loop) Now() LoopStats {
	s := l.count
	s.Tasks, s.InFlight, s.Doorbells = l.living.n, l.ops.inFlight(), l.doorbells.Load()
	s.Enters, s.Submitted, s.Completed = l.enters, l.submitted, l.completed
	return s
}

// DoorClosed reports whether l waits for its last signalers, or has.
func (l *Loop) DoorClosed() bool { return l.door.word.Load()&phaseMask == closed }

// A GoroutineDriver is a goroutine driver of the test's own.
type GoroutineDriver struct{ d *goroutineDriver }

// UseGoroutineDriver has all goroutines use a driver of that size until the test ends, when
// nothing may be in flight.
func UseGoroutineDriver(t testing.TB, entries, cq uint32) GoroutineDriver {
	t.Helper()
	require.NoError(t, Supported())
	d, err := newGoroutineDriver(entries, cq)
	require.NoError(t, err)
	old := defaultDriver.made.Swap(d)
	t.Cleanup(func() {
		defaultDriver.made.Store(old)
		GoroutineDriver{d}.shut(t)
	})
	return GoroutineDriver{d}
}

func (x GoroutineDriver) shut(t testing.TB) {
	require.Zero(t, x.InFlight())
	x.AwaitIdle()
	require.NoError(t, x.d.file.Close())
	require.NoError(t, x.d.ring.Close())
}

// AwaitIdle waits until the reaper has left.
func (x GoroutineDriver) AwaitIdle() {
	for x.reaping() {
		runtime.Gosched()
	}
}

// Slots is how large the table has become.
func (x GoroutineDriver) Slots() int {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return len(x.d.ops.slots)
}

func (x GoroutineDriver) reaping() bool {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return x.d.work != nil
}

// InFlight is how many operations have a place in the table.
func (x GoroutineDriver) InFlight() int {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return x.d.ops.inFlight()
}

// Opcodes are those of the operations in flight.
func (x GoroutineDriver) Opcodes() (all []uint8) {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	for _, p := range x.d.ops.slots {
		if p.op != nil {
			all = append(all, p.op.sqe.Opcode)
		}
	}
	return all
}

// AwaitSubmission waits until n operations are in flight and the kernel has them
// all.
func (x GoroutineDriver) AwaitSubmission(n int) {
	for !x.submitted(n) {
		runtime.Gosched()
	}
}

func (x GoroutineDriver) submitted(n int) bool {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return x.d.ops.inFlight() == n && !x.d.unsubmitted()
}

// Submitted is how many entries the kernel has taken.
func (x GoroutineDriver) Submitted() uint64 {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return x.d.submitted
}

// RestsLong reports whether the reaper looks seldom.
func (x GoroutineDriver) RestsLong() bool {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return x.d.restsLong
}

// SendMessage sends a message to the ring fd.
func SendMessage(fd int, userData uint64, res int32) error {
	var s ring.SQE
	s.PrepMsgRing(fd, uint32(res), userData, 0)
	return ring.SendMsgRing(&s)
}

// DoorbellData are the user data of the loop's own completions. On the loop.
func (l *Loop) DoorbellData() []uint64 {
	next := nextPoll(l.poll)
	return []uint64{uint64(l.poll), uint64(next), uint64(nextPoll(next)), uint64(messageData), uint64(disarmData)}
}

// KindOf is the user data of the same operation and another kind.
func KindOf(name, kind uint64) uint64 { return userData(name).as(userData(kind << kindShift)) }

// ManualLoop is a loop that does not run, bound to the calling thread; Run runs
// it.
func ManualLoop(t testing.TB, o LoopOptions) *Loop {
	t.Helper()
	l := newLoop(&o)
	require.NoError(t, l.open(o))
	return l
}

// SubmitAndReap is the part of a turn that looks at the ring.
func (l *Loop) SubmitAndReap() { l.submitAndReap() }

// Run runs l until it is closed.
func (l *Loop) Run() {
	threads.add(l)
	defer l.shut()
	l.run()
	l.returned = true
}
