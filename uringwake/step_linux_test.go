package uringwake

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// The steps of a loop, one at a time: on a loop that does not run, but has the
// test's thread.

// manual is such a loop. The poll of its doorbell is armed.
func manual(t *testing.T, o LoopOptions) *Loop {
	t.Helper()
	if err := Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	runtime.LockOSThread()
	l := ManualLoop(t, o)
	t.Cleanup(func() {
		defer runtime.UnlockOSThread()
		l.stopSpare()
		l.endBase(nil)
		require.NoError(t, l.ring.Close())
		l.bell.close()
	})
	l.submitAndReap()
	require.False(t, l.unarmed)
	return l
}

var byEventFD = LoopOptions{Doorbell: DoorbellEventFD, SpinFor: -1}

// marked is a flag of enters that no kernel has: a child's filter refuses those
// that have it.
const marked = 1 << 31

// refuseEnters has the kernel refuse all enters of f, as the rules say.
func refuseEnters(f *ringQueue, on bool) {
	f.getEvents &^= marked
	if on {
		f.getEvents |= marked
	}
}

// starve is a line with an operation in it, or a request about one.
var starve = map[string]func(l *Loop){
	"operation": (*Loop).Starve,
	"cancel": func(l *Loop) {
		l.Starve()
		o := l.backlog.ops.pop().item
		o.state = submitted
		l.tryEnqueue(o)
		l.backlog.cancels = append(l.backlog.cancels, cancelRequest{o, o.id, (*op).prepareCancel})
	},
}

// A loop does not block while an operation waits for room: what it blocks on may
// never come, and the operation would wait forever.
func TestNoSleepWithABacklog(t *testing.T) {
	for name, starve := range starve {
		t.Run(name, func(t *testing.T) {
			l := manual(t, byEventFD)
			l.bell.signal() // or one that blocks would do so forever
			starve(l)
			l.sleep()
			require.Zero(t, l.count.Sleeps)
			require.Equal(t, uint64(awake), l.door.word.Load())
			l.submitAndReap()
			require.False(t, l.hasBacklog())
			require.Zero(t, l.ops.inFlight())
		})
	}
}

// It does not block either while no waker could signal.
func TestNoSleepWithoutADoorbell(t *testing.T) {
	if !refuse.Child(t, refuse.NoEnter(marked, unix.EAGAIN)) {
		return
	}
	l := manual(t, byEventFD)
	l.Fill()
	l.unarmed = true
	refuseEnters(&l.ringQueue, true)
	l.sleep() // there is no room for the poll, nor will there be
	require.True(t, l.unarmed)
	require.Zero(t, l.count.Sleeps)
	refuseEnters(&l.ringQueue, false)
	l.submitAndReap()
	require.False(t, l.unarmed)
	l.bell.signal()
	l.sleep()
	require.Equal(t, uint64(1), l.count.Sleeps)
}

// A kernel that has no memory, or wants completions to be taken, does not wait:
// the loop waits a moment instead of asking again and again. A signal is none of that.
func TestKernelDoesNotLetSleep(t *testing.T) {
	for name, c := range map[string]struct {
		errno  unix.Errno
		moment bool
	}{"EAGAIN": {unix.EAGAIN, true}, "ENOMEM": {unix.ENOMEM, true}, "EBUSY": {unix.EBUSY, true}, "EINTR": {unix.EINTR, false}} {
		t.Run(name, func(t *testing.T) {
			if !refuse.Child(t, refuse.NoEnter(marked, c.errno)) {
				return
			}
			synctest.Test(t, func(t *testing.T) { // its time passes in sleeps only
				l := manual(t, byEventFD)
				refuseEnters(&l.ringQueue, true)
				start := time.Now()
				l.sleep()
				require.Equal(t, uint64(1), l.count.Sleeps)
				require.Equal(t, c.moment, time.Since(start) > 0)
				require.Equal(t, uint64(awake), l.door.word.Load())
				start = time.Now()
				l.Starve()
				l.sleep() // does not block, but has something to bring
				require.Positive(t, time.Since(start))
			})
		})
	}
}

// What could not be brought to the kernel is brought when it can be: by a loop, and
// by the goroutines' reaper, since no other goroutine may come.
func TestKernelHasNoMemoryForAWhile(t *testing.T) {
	needRings(t)
	for name, errno := range map[string]unix.Errno{"EAGAIN": unix.EAGAIN, "ENOMEM": unix.ENOMEM, "EBUSY": unix.EBUSY} {
		t.Run(name, func(t *testing.T) {
			if !refuse.Child(t, refuse.NoEnter(marked, errno)) {
				return
			}
			loopIsRefused(t)
			goroutinesAreRefused(t)
		})
	}
}

const many = 50 // more than there is room for

func loopIsRefused(t *testing.T) {
	l, err := NewLoop(&LoopOptions{Entries: 4, StallLimit: time.Hour})
	require.NoError(t, err)
	OnLoop(t, l, func() { refuseEnters(&l.ringQueue, true) })
	errs := make(chan error, many)
	for range many {
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { errs <- Nop(ctx) }))
	}
	for n := 0; n != many; {
		OnLoop(t, l, func() { n = l.ops.inFlight() })
	}
	for start := l.Turns(); l.Turns() < start+5; { // it goes on trying
		require.NotEqual(t, uint64(asleep), l.door.word.Load()&phaseMask)
		runtime.Gosched()
	}
	require.Empty(t, errs)
	OnLoop(t, l, func() { refuseEnters(&l.ringQueue, false) })
	for range many {
		require.NoError(t, <-errs)
	}
	require.NoError(t, l.Close(context.Background()))
}

func goroutinesAreRefused(t *testing.T) {
	x := UseGoroutineDriver(t, 4, 8)
	x.d.mu.Lock()
	refuseEnters(&x.d.ringQueue, true)
	x.d.mu.Unlock()
	errs := make(chan error, many)
	for range many {
		go func() { errs <- Nop(context.Background()) }()
	}
	for x.InFlight() != many {
		runtime.Gosched()
	}
	require.Zero(t, x.Submitted())
	x.d.mu.Lock()
	refuseEnters(&x.d.ringQueue, false)
	x.d.mu.Unlock()
	for range many {
		require.NoError(t, <-errs)
	}
}

// polled is an operation of l's that waits for fd, which the kernel has.
func polled(t *testing.T, l *Loop) (fd int) {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	o := l.newOp()
	o.sqe.PrepPollAdd(fd, unix.POLLIN)
	l.launch(o)
	l.count.Turns = 1
	l.submitAndReap()
	require.Equal(t, 1, l.ops.inFlight())
	return fd
}

// A loop that is always busy never asks the kernel for completions by sleeping:
// it has to see the sign of them.
func TestBusyLoopSeesTheSignOfCompletions(t *testing.T) {
	l := manual(t, byEventFD)
	if l.ring.Flags()&ring.SetupTaskrunFlag == 0 {
		t.Skip("before Linux 5.19 completions are not held back")
	}
	fd := polled(t, l)
	before := l.enters
	l.submitAndReap()
	require.Equal(t, before, l.enters, "nothing to bring, nothing to be had: no system call")
	writeEventFD(fd, 1)
	l.submitAndReap()
	require.Zero(t, l.ops.inFlight())
}

// overflow leaves completions in the kernel for which there was no room.
func overflow(t *testing.T) *Loop {
	t.Helper()
	l := manual(t, LoopOptions{Entries: 4, CQEntries: 8, Doorbell: DoorbellEventFD})
	for range 3 * 8 {
		o := l.newOp()
		o.sqe.PrepNop()
		l.launch(o)
	}
	for l.hasBacklog() || l.sq.Ready() > 0 {
		l.enter(0)
		l.drainBacklog()
	}
	require.Equal(t, 3*8, l.ops.inFlight())
	return l
}

// Plain rings show that completions found the queue full.
func TestBusyLoopSeesAnOverflow(t *testing.T) {
	later := uint32(ring.SetupSingleIssuer | ring.SetupDeferTaskrun | ring.SetupCoopTaskrun | ring.SetupTaskrunFlag)
	if !refuse.Child(t, refuse.NoSetupFlags(later)) {
		return
	}
	l := overflow(t)
	require.True(t, l.sq.Overflown())
	l.count.Turns = 1
	for range 4 { // each makes room for the next ones
		l.submitAndReap()
	}
	require.Zero(t, l.ops.inFlight())
	before := l.enters
	l.submitAndReap()
	require.Equal(t, before, l.enters)
}

// Rings with deferred task work do not show it: the loop looks now and then, if
// it waits for anything.
func TestBusyLoopLooksNowAndThen(t *testing.T) {
	l := overflow(t)
	l.count.Turns = 64
	for range 4 {
		l.submitAndReap()
	}
	require.Zero(t, l.ops.inFlight())
	before := l.enters
	l.submitAndReap()
	require.Equal(t, before, l.enters, "nothing is in flight")
	polled(t, l)
	for _, c := range []struct{ turn, enters uint64 }{{63, 0}, {64, 1}, {65, 0}, {128, 1}} {
		before := l.enters
		l.count.Turns = c.turn
		l.submitAndReap()
		require.Equal(t, c.enters, l.enters-before, "turn %d", c.turn)
	}
}

// Always busy: a task that yields until others have what they wait for.
func TestYieldingForEverStarvesNoOperation(t *testing.T) {
	if err := Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	l, err := NewLoop(&LoopOptions{Entries: 4, CQEntries: 8})
	require.NoError(t, err)
	var left atomic.Int64
	left.Store(many)
	done := make(chan struct{})
	OnLoop(t, l, func() {
		for range many {
			l.Go(context.Background(), func(ctx context.Context) {
				if Nop(ctx) == nil && Sleep(ctx, time.Microsecond) == nil {
					left.Add(-1)
				}
			})
		}
		l.Go(context.Background(), func(ctx context.Context) {
			for left.Load() > 0 {
				TaskFrom(ctx).Yield()
			}
			close(done)
		})
	})
	<-done
	require.NoError(t, l.Close(context.Background()))
}

// What is in the backlog when there is room goes to the kernel in the same turn,
func TestBacklogIsQueuedInTheSameTurn(t *testing.T) {
	l := manual(t, byEventFD)
	l.Starve()
	require.Zero(t, l.sq.Ready())
	l.count.Turns = 1
	l.submitAndReap()
	require.Zero(t, l.ops.inFlight())
}

// and so does what got room by a completion.
func TestCompletionMakesRoomInTheSameTurn(t *testing.T) {
	if !refuse.Child(t, refuse.NoEnter(marked, unix.EBUSY)) {
		return
	}
	l := manual(t, LoopOptions{Entries: 4, Doorbell: DoorbellEventFD})
	l.onOther = func(u userData, _ int32, _ uint32) { // the one that was in the kernel's way
		if u == messageData {
			refuseEnters(&l.ringQueue, false)
		}
	}
	s := l.entry()
	s.PrepNop()
	s.UserData = uint64(messageData)
	l.enter(0)
	l.Fill()
	l.Starve()
	refuseEnters(&l.ringQueue, true)
	l.submitAndReap()
	require.False(t, l.hasBacklog())
}

// A completion that came after the look and before notices were on is noticed
// by nobody else: it asks for another look.
func TestCompletionBetweenTheLookAndNotices(t *testing.T) {
	d, fd := pollOnDriver(t)
	d.enter(0)
	require.Empty(t, d.reap(nil)) // the look
	complete(d, fd)
	require.False(t, d.updateNotices())
	require.True(t, d.cq.EventFDEnabled())
	require.True(t, d.updateNotices(), "they are on: all that follows is noticed")
	require.NotEmpty(t, d.reap(nil))
	require.True(t, d.updateNotices())
	require.False(t, d.cq.EventFDEnabled(), "nothing is in flight")
	require.Zero(t, notices(t, d), "there were none for what was seen by then")
}

// One that comes later is noticed, by one that sleeps too.
func TestCompletionAfterTheLookIsNoticed(t *testing.T) {
	d, fd := pollOnDriver(t)
	require.Empty(t, d.collect(nil))
	require.True(t, d.cq.EventFDEnabled())
	complete(d, fd)
	require.Equal(t, uint64(1), notices(t, d))
	require.NotEmpty(t, d.collect(nil))
	require.False(t, d.cq.EventFDEnabled())
}

// pollOnDriver is a driver with an operation that waits for fd.
func pollOnDriver(t *testing.T) (d *goroutineDriver, fd int) {
	d = testGoroutineDriver(t)
	runtime.LockOSThread() // the kernel completes on the thread that submitted
	t.Cleanup(runtime.UnlockOSThread)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	t.Cleanup(func() { writeEventFD(fd, 1) })
	o := d.newOp()
	o.sqe.PrepPollAdd(fd, unix.POLLIN)
	o.waker = nobody{}
	d.ringQueue.launch(o)
	d.submit()
	return d, fd
}

// complete completes it.
func complete(d *goroutineDriver, fd int) {
	for writeEventFD(fd, 1); d.cq.Peek() == nil; {
		unix.Getppid() // any system call
	}
}

// notices takes what the kernel has counted for the netpoller.
func notices(t *testing.T, d *goroutineDriver) (n uint64) {
	t.Helper()
	var p [8]byte
	require.NoError(t, d.conn.Control(func(fd uintptr) {
		if _, err := unix.Read(int(fd), p[:]); err == nil {
			n = uint64(p[0])
		}
	}))
	return n
}

// One that another goroutine takes before its own sleeps has left it a permit.
func TestCompletionBeforeItsGoroutineSleeps(t *testing.T) {
	if err := Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	x := UseGoroutineDriver(t, 4, 8)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	defer unix.Close(fd)
	p := &misbehave.First{Parker: wake.NewParker(), First: func() {
		for writeEventFD(fd, 1); x.InFlight() != 0; {
			runtime.Gosched()
		}
	}}
	ready, err := PollFD(wake.WithParker(context.Background(), p), fd, unix.POLLIN)
	require.NoError(t, err)
	require.Equal(t, uint32(unix.POLLIN), uint32(ready))
	require.Equal(t, 1, p.Wakes)
}

// A loop is not finished while it has a task,
func TestNotFinishedWithATask(t *testing.T) {
	l := manual(t, byEventFD)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { TaskFrom(ctx).Park(ctx) }))
	l.Turn()
	require.False(t, l.finished())
	l.living.first.Wake()
	require.False(t, l.finished(), "and there is mail")
	l.Turn()
	require.True(t, l.finished())
	require.ErrorIs(t, l.Go(context.Background(), func(context.Context) {}), ErrClosed)
}

// while there is mail, which was promised to run,
func TestNotFinishedWithMail(t *testing.T) {
	l := manual(t, byEventFD)
	run := 0
	for i := range 2 {
		require.NoError(t, l.Post(func() { run++ }))
		require.False(t, l.finished())
		require.False(t, l.finished(), "nor sealed")
		l.Turn()
		require.Equal(t, i+1, run)
	}
	require.True(t, l.finished())
	require.ErrorIs(t, l.Post(func() {}), ErrClosed)
}

// or while a ring of another loop is under way: that one counts on it, and the loop
// that is signaled waits for its signalers.
func TestNotFinishedWithASignalUnderWay(t *testing.T) {
	a, b := manual(t, byEventFD), manual(t, LoopOptions{Doorbell: DoorbellMsgRing, SpinFor: -1})
	if b.Doorbell() != DoorbellMsgRing {
		t.Skip(HaveMsgRing())
	}
	for name, before := range map[string]func(){"in line": a.Starve, "in the kernel": func() {}} {
		b.door.announce()
		require.True(t, b.door.claim())
		before()
		b.signalFrom(a)
		require.False(t, a.finished(), name)
		a.submitAndReap()
		b.door.retract()
		require.Equal(t, uint64(awake), b.door.word.Load(), name)
		require.Zero(t, a.ops.inFlight(), name)
	}
	require.True(t, a.finished())
}

// tasks runs n tasks on l that are there at the same time, and end so.
func tasks(t *testing.T, l *Loop, n int, end func()) {
	t.Helper()
	var left sync.WaitGroup
	left.Add(n)
	all := make([]*Task, 0, n)
	for range n {
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			defer left.Done()
			all = append(all, TaskFrom(ctx))
			TaskFrom(ctx).Park(ctx)
			end()
		}))
	}
	OnLoop(t, l, func() {
		for _, t := range all {
			t.wakeHere()
		}
	})
	left.Wait()
}

// idle is how many coroutines l keeps. On the loop.
func (l *Loop) idle() (n int) {
	for c := l.spare; c != nil; c = c.next {
		n++
	}
	return n
}

// Coroutines are kept for tasks to come, but not all that a rush of tasks took.
func TestCoroutinesKeptAreBounded(t *testing.T) {
	l := startedLoop(t)
	for _, c := range []struct{ tasks, kept int }{
		{10, 10}, {3, 10}, {maxSpare - 1, maxSpare - 1}, {maxSpare, maxSpare}, {3 * maxSpare, maxSpare}, {10, maxSpare},
	} {
		tasks(t, l, c.tasks, func() {})
		OnLoop(t, l, func() {
			assert.Equal(t, c.kept, l.spares)
			assert.Equal(t, c.kept, l.idle())
		})
	}
}

// A coroutine is let go after so many exits, each of which has left a frame on
// its stack; and the loop goes on.
func TestCoroutineWithManyExitsIsLetGo(t *testing.T) {
	l := startedLoop(t)
	for round := range 2 {
		for i := range maxExits {
			tasks(t, l, 1, runtime.Goexit)
			if round == 0 && i < maxExits-1 { // then functions have a coroutine too
				OnLoop(t, l, func() {
					assert.Equal(t, 1, l.idle())
					assert.Equal(t, i+1, l.spare.exits)
				})
			}
		}
		OnLoop(t, l, func() {
			assert.Equal(t, l.spares, l.idle())
			for c := l.spare; c != nil; c = c.next {
				assert.Less(t, c.exits, maxExits)
			}
		})
	}
}

// startedLoop is a loop that the test closes.
func startedLoop(t *testing.T) *Loop {
	t.Helper()
	if err := Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	l, err := NewLoop(&LoopOptions{SpinFor: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	return l
}

// The kernel gets what is left of a timeout when it takes the entry, however long
// it has refused that, and then the loop has no more to do with it.
func TestTimeoutsBeginWhenTheKernelHasThem(t *testing.T) {
	if !refuse.Child(t, refuse.NoEnter(marked, unix.EAGAIN)) {
		return
	}
	l := manual(t, byEventFD)
	refuseEnters(&l.ringQueue, true)
	o := l.newOp()
	o.until = monotonic() + time.Hour
	o.sqe.PrepTimeout(&o.time, 0, 0)
	l.launch(o)
	require.Equal(t, unix.EAGAIN, l.enter(0))
	require.Greater(t, o.time.Sec, int64(3000))
	o.until -= time.Hour // which passes
	refuseEnters(&l.ringQueue, false)
	l.submitAndReap()
	require.Empty(t, l.timed)
	for o.state != completed { // at once
		l.enter(1)
		l.reap()
	}
	require.Equal(t, -int32(unix.ETIME), o.res)
	l.release(o)
}

// A reaper that was about to rest long rests shortly if all has completed meanwhile.
func TestNoLongRestWhenNothingIsInFlight(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	d, err := newGoroutineDriver(4, 8)
	require.NoError(t, err)
	defer func() { require.NoError(t, errors.Join(d.file.Close(), d.ring.Close())) }()
	d.setRest(reaperLong)
	require.False(t, d.restsLong)
	d.mu.Lock()
	d.ops.add(d.newOp())
	d.mu.Unlock()
	d.setRest(reaperLong)
	require.True(t, d.restsLong)
}
