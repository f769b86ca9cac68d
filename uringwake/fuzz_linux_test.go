package uringwake

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// A loop whose completions come from a script, not from the kernel. What it
// submits goes to one ring, the sink, whose answers are thrown away; what it
// reaps lies in the queue of another, the press, which prints what the script
// says: any user data, result and flags, in any order and as often as it likes.
// A model says what each of them means.
type fuzzed struct {
	t *testing.T
	*rings
	l    *Loop
	bare bool // it cares for operations only

	ops       []*launched // all there ever were
	live      map[userData]*launched
	line      []*launched // wait for room
	cancels   []*launched // so do requests to cancel them
	pending   []ring.CQE  // printed, not reaped
	completed []*launched // reaped; their tasks have not run
	reports   []*launched // in the order in which the tasks did
	heard     []message   // by OnMessage
	told      []message   // not yet
	entries   uint64      // given to the kernel
	taken     uint64      // completions
	poll      userData
	unarmed   bool

	sleeper *Task
	quit    bool
	woken   bool // since it slept last
	wakes   int  // times that it woke
	want    int
}

// launched is an operation as the model knows it. One without a task stands for
// what loops launch for themselves, and keep.
type launched struct {
	o         *op
	name      userData
	task      *Task
	cancel    context.CancelFunc
	closes    bool // it closes a file: not to be done twice
	inLine    bool
	over      bool
	canceling bool
	resubmits int
	res       int32
	reported  int
	n         int
	err       error
}

type message struct {
	data uint64
	res  int32
}

// rings are expensive to make: they serve one script after the other.
type rings struct {
	sink, press *ring.Ring
	event       int
	first       *ring.CQE // the press's queue
	printed     uint32
}

func openRings(tb testing.TB) *rings {
	r := new(rings)
	var err error
	r.sink, err = setupShared(4, 1024) // few entries, so that it runs full
	require.NoError(tb, err)
	r.press, err = setupShared(8, 256)
	require.NoError(tb, err)
	r.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(tb, err)
	r.stamp(tb)
	r.first = r.press.CQ().Peek()
	r.press.CQ().Seen()
	return r
}

func (r *rings) close() error {
	return errors.Join(r.sink.Close(), r.press.Close(), unix.Close(r.event))
}

// stamp has the kernel put a completion into the press's queue.
func (r *rings) stamp(tb testing.TB) {
	r.press.SQ().GetSQE().PrepNop()
	_, err := r.press.SQ().Submit()
	require.NoError(tb, err)
	r.printed++
}

// print puts c there.
func (r *rings) print(tb testing.TB, c ring.CQE) {
	at := r.printed & (r.press.CQ().Entries() - 1)
	r.stamp(tb)
	*(*ring.CQE)(unsafe.Add(unsafe.Pointer(r.first), uintptr(at)*unsafe.Sizeof(c))) = c
}

// drain throws away what the sink has answered.
func (r *rings) drain() { forget(r.sink) }

func forget(r *ring.Ring) {
	for range r.CQ().All() {
	}
}

// empty has the rings forget the last script.
func (r *rings) empty(tb testing.TB) {
	_, err := r.sink.SQ().Submit()
	require.NoError(tb, err)
	r.sink.SQ().GetSQE().PrepCancelAny(ring.AsyncCancelAll)
	_, err = r.sink.SQ().Submit()
	require.NoError(tb, err)
	forget(r.sink)
	forget(r.press)
}

// newFuzzed makes the loop. It does not run: the script takes its steps.
func newFuzzed(t *testing.T, r *rings, bare bool) *fuzzed {
	f := &fuzzed{t: t, rings: r, live: make(map[userData]*launched), bare: bare, poll: pollData, unarmed: true}
	l := newLoop(&LoopOptions{SpinFor: -1, OnMessage: func(data uint64, res int32) { f.heard = append(f.heard, message{data, res}) }})
	l.use(r.sink)
	l.cq = r.press.CQ()
	l.bell.eventFD = r.event
	l.poll, l.unarmed = pollData, true
	if !bare { // as the goroutines' driver is
		l.onOther = l.others
	}
	l.count.Turns = 1
	f.l = l
	require.NoError(t, l.Go(context.Background(), f.sleep))
	l.Turn()
	return f
}

// sleep is a task that no completion is for.
func (f *fuzzed) sleep(ctx context.Context) {
	for f.sleeper = TaskFrom(ctx); !f.quit; f.wakes++ {
		f.sleeper.Park(ctx)
	}
}

// What a script does. Each step has an operand or three.

func (f *fuzzed) launch(closes bool) {
	a := &launched{closes: closes}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	require.NoError(f.t, f.l.Go(ctx, func(ctx context.Context) { f.run(ctx, a) }))
	f.turn()
	require.NotNil(f.t, a.o, "launched")
	f.enlist(a)
	f.queue(a)
}

// run is the task of a.
func (f *fuzzed) run(ctx context.Context, a *launched) {
	a.o, a.task = f.l.newOp(), TaskFrom(ctx)
	if a.o.sqe.PrepNop(); a.closes {
		a.o.sqe.PrepClose(-1)
	}
	a.n, a.err = a.o.finish(ctx, "fuzz")
	a.reported++
	f.reports = append(f.reports, a)
}

// enlist: its name is one that none has had.
func (f *fuzzed) enlist(a *launched) {
	a.name = a.o.id
	require.Equal(f.t, ours, a.name&(ours|kindMask))
	for _, b := range f.ops {
		require.NotEqual(f.t, b.name, a.name)
	}
	f.ops = append(f.ops, a)
	f.live[a.name] = a
}

// starve puts an operation in line, and so all that follow until the next pump.
func (f *fuzzed) starve() {
	f.l.Starve()
	a := &launched{o: f.l.backlog.ops.last.item, inLine: true}
	f.enlist(a)
	f.line = append(f.line, a)
}

// crowd puts the request to cancel an operation in line, and so all that follow.
func (f *fuzzed) crowd() {
	a := &launched{o: &op{driver: f.l, canceling: true}, canceling: true}
	a.o.sqe.PrepNop()
	f.l.launch(a.o)
	f.enlist(a)
	f.queue(a)
	f.l.backlog.cancels = append(f.l.backlog.cancels, cancelRequest{a.o, a.name, (*op).prepareCancel})
	f.cancels = append(f.cancels, a)
}

// end ends the context of a's task, or cancels by name, which may be a stale one.
func (f *fuzzed) end(a *launched) {
	f.turn()
	switch {
	case a == nil:
		return
	case a.task == nil || a.reported > 0:
		f.l.cancel(a.o, a.name)
	case a.cancel == nil:
		return // has ended before
	default:
		a.cancel()
		a.cancel = nil
		f.l.AwaitMail()
		f.l.Turn()
	}
	if !a.over && !a.canceling {
		f.abort(a)
	}
}

// wake leaves a permit to a task that waits for its operation, or has ended:
// neither is to be resumed.
func (f *fuzzed) wake(a *launched) {
	if a == nil || a.task == nil {
		f.sleeper.Wake()
		f.woken = true
		return
	}
	before := f.l.mailbox.head.Load()
	a.task.Wake()
	require.Equal(f.t, before, f.l.mailbox.head.Load())
}

// give prints a completion. That a cancel or the doorbell's poll is refused leads
// to system calls and timers, which the script does not tell: TestRefusedOperations is
// about those.
func (f *fuzzed) give(u userData, res int32, flags uint32) {
	if u&ours != 0 && u.kind() != kindOp && refusing(res) {
		res = -int32(unix.EIO)
	}
	c := ring.CQE{UserData: uint64(u), Res: res, Flags: flags}
	f.print(f.t, c)
	if f.pending = append(f.pending, c); len(f.pending) == 100 {
		f.reap()
	}
}

func (f *fuzzed) reap() {
	f.l.reap()
	f.takeAll()
}

func (f *fuzzed) pump() {
	f.l.submitAndReap()
	if f.unarmed {
		f.unarmed = false
		f.poll = nextPoll(f.poll)
		f.entries += 2
	}
	f.admit()
	f.takeAll()
	f.admit()
}

// turn: a task whose operation has completed is resumed, once and in order, and no
// else is.
func (f *fuzzed) turn() {
	f.reports = nil
	f.l.Turn()
	landed := slices.DeleteFunc(f.completed, func(a *launched) bool { return a.task == nil })
	require.Len(f.t, f.reports, len(landed))
	for i, a := range landed {
		require.Same(f.t, a, f.reports[i])
		f.checkResult(a)
	}
	require.Equal(f.t, f.told, f.heard)
	f.completed, f.told, f.heard = nil, nil, nil
	if f.woken {
		f.woken = false
		f.want++
	}
}

func (f *fuzzed) checkResult(a *launched) {
	require.Equal(f.t, 1, a.reported)
	switch {
	case a.res >= 0:
		require.NoError(f.t, a.err)
		require.EqualValues(f.t, a.res, a.n)
	case a.canceling && (a.res == -int32(unix.ECANCELED) || a.res == -int32(unix.EINTR)):
		require.ErrorIs(f.t, a.err, context.Canceled)
	default:
		require.ErrorIs(f.t, a.err, unix.Errno(-a.res))
	}
}

// The model.

func (f *fuzzed) takeAll() {
	for _, c := range f.pending {
		f.take(userData(c.UserData), c.Res, c.Flags)
	}
	f.pending = nil
}

func (f *fuzzed) take(u userData, res int32, flags uint32) {
	f.taken++
	more := flags&ring.CQEMore != 0
	if u&ours == 0 || u.kind() == kindDoorbell {
		switch {
		case f.bare:
		case u&ours == 0:
			f.told = append(f.told, message{uint64(u), res})
		case u == f.poll && !more:
			f.unarmed = true
		}
		return
	}
	a := f.live[u&^kindMask]
	switch {
	case a == nil: // stale, or of no operation
	case u.kind() == kindOp && !more && !a.inLine: // the kernel has it
		f.complete(a, res)
	case u.kind() == kindCancel && (res == -int32(unix.ENOENT) || res == -int32(unix.EALREADY)), u.kind() == kindAgain:
		f.queueCancel(a)
	}
}

// complete: what the kernel completed undone is submitted again.
func (f *fuzzed) complete(a *launched, res int32) {
	undone := (res == -int32(unix.ECANCELED) || res == -int32(unix.EINTR)) && !a.closes
	if undone && !a.canceling && a.resubmits < 64 {
		a.resubmits++
		f.queue(a)
		return
	}
	f.finishOp(a, res)
}

func (f *fuzzed) finishOp(a *launched, res int32) {
	delete(f.live, a.name)
	a.over, a.res = true, res
	f.completed = append(f.completed, a)
}

// abort: one in line is gone at once, the kernel is asked for others.
func (f *fuzzed) abort(a *launched) {
	a.canceling = true
	if !a.inLine {
		f.queueCancel(a)
		return
	}
	f.line = slices.DeleteFunc(f.line, func(b *launched) bool { return a == b })
	a.inLine = false
	f.finishOp(a, -int32(unix.ECANCELED))
}

func (f *fuzzed) queue(a *launched) {
	if a.inLine = len(f.line) > 0; a.inLine {
		f.line = append(f.line, a)
	} else {
		f.entries++
	}
}

func (f *fuzzed) queueCancel(a *launched) {
	if len(f.cancels) > 0 {
		f.cancels = append(f.cancels, a)
	} else {
		f.entries++
	}
}

func (f *fuzzed) admit() {
	for _, a := range f.cancels {
		if !a.over {
			f.entries++
		}
	}
	for _, a := range f.line {
		a.inLine = false
		f.entries++
	}
	f.cancels, f.line = nil, nil
}

// check compares loop and model.
func (f *fuzzed) check() {
	f.drain()
	l := f.l
	require.Equal(f.t, f.entries, l.submitted+uint64(l.sq.Ready()), "entries for the kernel")
	require.Equal(f.t, f.taken, l.completed, "completions taken")
	require.Equal(f.t, f.poll, l.poll)
	require.Equal(f.t, f.unarmed, l.unarmed)
	require.Equal(f.t, f.want, f.wakes, "wakes of a task that waits for no operation")
	require.Len(f.t, l.backlog.cancels, len(f.cancels))
	n := l.backlog.ops.first
	for _, a := range f.line {
		require.Same(f.t, a.o, n.item, "in line")
		n = n.next
	}
	require.Nil(f.t, n, "in line")
	f.checkTable()
}

// checkTable: each place is one live operation's, or is free, once.
func (f *fuzzed) checkTable() {
	t := &f.l.ops
	require.Equal(f.t, len(f.live), t.inFlight())
	free := make(map[uint32]bool)
	for _, i := range t.free {
		require.False(f.t, free[i], "place %d is free twice", i)
		require.Nil(f.t, t.slots[i].op)
		free[i] = true
	}
	for _, a := range f.ops {
		var want *op // a completed one is not found any more
		if !a.over {
			want = a.o
			require.Equal(f.t, a.name, a.o.id)
			require.Equal(f.t, a.inLine, a.o.state == prepared)
			require.Equal(f.t, a.canceling, a.o.canceling)
		}
		require.True(f.t, want == t.find(a.name), "%x", uint64(a.name))
	}
}

// finish: whatever came before, each operation that is left can be completed,
// and then nothing is left.
func (f *fuzzed) finish() {
	f.pump()
	f.check()
	for _, a := range f.ops {
		if !a.over {
			f.give(a.name, 0, 0)
		}
	}
	f.reap()
	f.turn()
	f.check()
	require.Zero(f.t, f.l.ops.inFlight())
	f.quit = true
	f.wake(nil)
	f.turn()
	require.True(f.t, f.l.finished())
}

// close lets go of what a failure has left, too.
func (f *fuzzed) close() {
	for _, a := range f.ops {
		if a.cancel != nil {
			a.cancel()
		}
	}
	f.l.stopSpare()
	f.l.endBase(nil)
	f.empty(f.t)
}

// pick returns the operation of that number, or nil if there was none.
func (f *fuzzed) pick(which byte) *launched {
	if len(f.ops) == 0 {
		return nil
	}
	return f.ops[int(which)%len(f.ops)]
}

func (f *fuzzed) name(which byte) userData {
	if a := f.pick(which); a != nil {
		return a.name
	}
	return ours
}

// results are those that have a meaning, and the extremes.
var results = [...]int32{0, 1, 4096, math.MaxInt32,
	-int32(unix.ECANCELED), -int32(unix.EINTR), -int32(unix.ENOENT), -int32(unix.EALREADY),
	-int32(unix.EINVAL), -int32(unix.EIO), -4096, math.MinInt32}

// step does what four bytes say.
func (f *fuzzed) step(what, which, r, fl byte) {
	res := results[int(r)%len(results)]
	flags := uint32(fl&0x3f) | uint32(fl>>6)<<ring.CQEBufferShift // all six, and a buffer's number
	name := f.name(which)
	switch what % 16 {
	case 0:
		f.launch(which%4 == 3)
	case 1, 2: // its own
		f.give(name, res, flags)
	case 3: // of another kind, of which there are eight
		f.give(userData(name.as(userData(fl>>5)<<kindShift)), res, flags&0x1f)
	case 4: // of an earlier or later life of the place
		f.give(name^userData(fl|1)<<32, res, flags)
	case 5: // of a place that there may not be
		f.give(name+userData(fl), res, flags)
	case 6: // the loop's own: the poll of the doorbell, now and before
		own := [...]userData{f.poll, f.poll - 1<<32, nextPoll(f.poll), messageData, disarmData}
		f.give(own[int(which)%len(own)], res, flags)
	case 7: // a message
		f.give(name&^ours, res, flags)
	case 8:
		f.reap()
	case 9:
		f.turn()
	case 10:
		f.pump()
	case 11:
		f.end(f.pick(which))
	case 12:
		f.wake(f.pick(which))
	case 13:
		f.starve()
	case 14:
		f.crowd()
	case 15: // anything
		f.give(userData(binary.LittleEndian.Uint64([]byte{which, r, fl, which, r, fl, which, r})), res, flags)
	}
}

// FuzzCompletions feeds a loop with completions that a script makes up. The
// first byte says whether it listens to others than operations; each four that
// follow are a step.
func FuzzCompletions(f *testing.F) {
	if err := Supported(); err != nil {
		f.Skip(err)
	}
	r := openRings(f)
	f.Cleanup(func() { require.NoError(f, r.close()) })
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		fuzzed := newFuzzed(t, r, script[0]%2 == 1)
		defer fuzzed.close()
		for s := range slices.Chunk(script[1:min(len(script), 1201)], 4) {
			if len(s) == 4 {
				fuzzed.step(s[0], s[1], s[2], s[3])
				fuzzed.check()
			}
		}
		fuzzed.finish()
	})
}
