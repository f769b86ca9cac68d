package uringwake

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// newFlights are flights over a ring of the test's own, whose entries can be
// looked at.
func newFlights(t testing.TB, entries uint32) (*ringQueue, *entryLog) {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	r, err := ring.Setup(entries, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	f := new(ringQueue)
	f.use(r)
	first := f.sq.GetSQE()
	first.PrepNop()
	return f, &entryLog{f: f, first: unsafe.Pointer(first), seen: 1}
}

// entryLog tells which entries were prepared since it was last asked. They lie
// in a row, from the first of the ring on.
type entryLog struct {
	f     *ringQueue
	first unsafe.Pointer
	seen  uint32 // since the ring was made
	sent  uint32 // of these, taken by the kernel
}

func (e *entryLog) at(i uint32) *ring.SQE {
	i &= e.f.sq.Entries() - 1
	return (*ring.SQE)(unsafe.Add(e.first, uintptr(i)*unsafe.Sizeof(ring.SQE{})))
}

// fresh describes the new entries: the kind of their user data.
func (e *entryLog) fresh() (kinds []string) {
	for ; e.seen-e.sent < e.f.sq.Ready(); e.seen++ {
		kinds = append(kinds, describe(e.at(e.seen)))
	}
	return kinds
}

func describe(s *ring.SQE) string {
	u := userData(s.UserData)
	switch {
	case u == 0, u.kind() == kindOp && s.Opcode == ring.OpAsyncCancel:
		return "filler"
	case u.kind() == kindOp && s.Opcode == ring.OpNop:
		return "op"
	case u.kind() == kindCancel && s.Opcode == ring.OpAsyncCancel && s.Addr == u.as(kindOp):
		return "cancel"
	case u.kind() == kindAgain && s.Opcode == ring.OpTimeout:
		return "again"
	}
	return fmt.Sprintf("%+v", *s)
}

// flush has the kernel take all entries, and forgets what they did.
func (e *entryLog) flush(t testing.TB) {
	n := e.f.sq.Ready()
	_, err := e.f.sq.Submit()
	require.NoError(t, err)
	require.Zero(t, e.f.sq.Ready())
	e.sent += n
	e.seen = e.sent
	e.f.cq.Advance(e.f.cq.Ready())
}

// The events of an operation's life.
type event byte

const (
	evLaunch   event = 'L' // it is launched
	evFull     event = 'F' // from now on there is no room in the queue
	evRoom     event = 'R' // there is again
	evDone     event = 'D' // the kernel has done it
	evMore     event = 'M' // a completion that is not the last
	evCanceled event = 'C' // the kernel has let go: ECANCELED
	evSignal   event = 'I' // the kernel has let go: EINTR
	evFails    event = 'E' // it has failed
	evAbort    event = 'A' // its context ends
	evHit      event = '0' // the completion of a cancel: found
	evMiss     event = 'N' // not found
	evRunning  event = 'Y' // found, and cannot be stopped now
	evTimer    event = 'T' // the time until the next cancel is over
	evOld      event = 'O' // a completion of an earlier operation, of each kind
)

// life is a reference model of an operation: what it is, what waits for room,
// what went to the queue since the last event, whether it was woken.
type life struct {
	state     opState
	canceling bool
	full      bool
	resubmits int
	res       int32
	waiting   bool     // for room
	requests  []string // that wait for room
	sent      []string
	woken     int
}

// can says which events make sense: the kernel completes what it has, once.
func (m *life) can(e event) bool {
	switch e {
	case evLaunch:
		return m.state == idle || m.state == completed
	case evFull:
		return !m.full
	case evRoom:
		return m.full
	case evDone, evMore, evCanceled, evSignal, evFails:
		return m.state == submitted
	case evAbort:
		return m.state == prepared || m.state == submitted
	case evHit, evMiss, evRunning, evTimer:
		return m.canceling && m.state == submitted
	}
	return true // late completions come at any time
}

func (m *life) step(e event) {
	m.sent, m.woken = nil, 0
	switch e {
	case evLaunch:
		*m = life{state: prepared, full: m.full, requests: m.requests[:0:0]}
		m.board()
	case evFull:
		m.full = true
	case evRoom:
		m.room()
	case evDone:
		m.land(7)
	case evFails:
		m.land(-int32(unix.EIO))
	case evCanceled:
		m.letGo(-int32(unix.ECANCELED))
	case evSignal:
		m.letGo(-int32(unix.EINTR))
	case evAbort:
		m.abort()
	case evMiss, evRunning:
		m.request("again")
	case evTimer:
		m.request("cancel")
	}
}

func (m *life) board() {
	if m.waiting = m.full; !m.full {
		m.state = submitted
		m.sent = append(m.sent, "op")
	}
}

func (m *life) room() {
	m.full = false
	m.sent = append(m.sent, "filler")
	if m.state == submitted {
		m.sent = append(m.sent, m.requests...)
	}
	m.requests = nil
	m.sent = append(m.sent, "filler")
	if m.waiting {
		m.board()
	}
}

func (m *life) request(kind string) {
	if m.full {
		m.requests = append(m.requests, kind)
	} else {
		m.sent = append(m.sent, kind)
	}
}

func (m *life) letGo(res int32) {
	if m.canceling {
		m.land(res)
		return
	}
	m.resubmits++
	m.state = prepared
	m.board()
}

func (m *life) land(res int32) {
	m.state, m.res, m.woken, m.waiting = completed, res, 1, false
}

func (m *life) abort() {
	if m.canceling {
		return
	}
	m.canceling = true
	if m.state == prepared {
		m.land(-int32(unix.ECANCELED))
	} else {
		m.request("cancel")
	}
}

// subject is the real thing, and plays the kernel.
type subject struct {
	f   *ringQueue
	log *entryLog
	op  *op
	old []userData // names of earlier lives
}

type nobody struct{}

func (nobody) Wake() {}

func (s *subject) step(e event) (woken int) {
	var w wake.Waker
	id := s.op.id
	switch e {
	case evLaunch:
		s.launch()
	case evFull:
		s.fill()
	case evRoom:
		s.f.drainBacklog()
	case evDone:
		w = s.f.dispatch(id, 7, 0)
	case evMore:
		w = s.f.dispatch(id, 3, ring.CQEMore)
	case evCanceled:
		w = s.f.dispatch(id, -int32(unix.ECANCELED), 0)
	case evSignal:
		w = s.f.dispatch(id, -int32(unix.EINTR), 0)
	case evFails:
		w = s.f.dispatch(id, -int32(unix.EIO), 0)
	case evAbort:
		w = s.f.abort(s.op)
	case evHit:
		w = s.f.dispatch(userData(id.as(kindCancel)), 0, 0)
	case evMiss:
		w = s.f.dispatch(userData(id.as(kindCancel)), -int32(unix.ENOENT), 0)
	case evRunning:
		w = s.f.dispatch(userData(id.as(kindCancel)), -int32(unix.EALREADY), 0)
	case evTimer:
		w = s.f.dispatch(userData(id.as(kindAgain)), -int32(unix.ETIME), 0)
	case evOld:
		w = s.late()
	}
	if w != nil {
		woken++
	}
	return woken
}

func (s *subject) launch() {
	if s.op.state == completed {
		s.old = append(s.old, s.op.id)
		s.op.recycle()
	}
	s.op.sqe.PrepNop()
	s.op.waker = nobody{}
	s.f.launch(s.op)
}

// fill makes all that follow wait in line, behind a filler.
func (s *subject) fill() {
	filler := &op{state: prepared}
	s.f.ops.add(filler)
	s.f.backlog.push(filler)
	s.f.backlog.cancels = append(s.f.backlog.cancels, cancelRequest{filler, filler.id, func(*op, *ring.SQE) {}})
	filler.sqe.PrepCancel64(0, 0) // looks like no other
}

// late completes operations that have completed, or never were.
func (s *subject) late() (w wake.Waker) {
	names := append(slices.Clone(s.old), s.op.id+1000<<32, s.op.id+1000, ours|userData(generations)<<32)
	if s.op.state == completed {
		names = append(names, s.op.id)
	}
	for _, u := range names {
		for _, kind := range []userData{kindOp, kindCancel, kindAgain} {
			for _, res := range []int32{1, 0, -int32(unix.ECANCELED), -int32(unix.ENOENT)} {
				if got := s.f.dispatch(userData(u.as(kind)), res, 0); got != nil {
					w = got
				}
			}
		}
	}
	return w
}

// TestOperationsFollowTheirModel tries all that can happen to an operation, up
// to so many events.
func TestOperationsFollowTheirModel(t *testing.T) {
	depth := 7
	if testing.Short() {
		depth = 5
	}
	f, log := newFlights(t, 64)
	var all int
	var grow func(history []event, m life)
	grow = func(history []event, m life) {
		if len(history) == depth {
			all++
			replay(t, f.ring, log, history)
			return
		}
		for _, e := range []event("LFRDMCIEA0NYTO") {
			if m.can(e) {
				next := m
				next.requests = slices.Clone(m.requests)
				next.step(e)
				grow(append(slices.Clone(history), e), next)
			}
		}
	}
	grow(nil, life{})
	t.Log(all, "histories of", depth, "events")
}

// replay plays one history to both, and compares them after each event.
func replay(t *testing.T, r *ring.Ring, log *entryLog, history []event) {
	f := new(ringQueue)
	f.use(r)
	log.f = f
	log.flush(t)
	s, m := &subject{f: f, log: log, op: new(op)}, new(life)
	for i, e := range history {
		m.step(e)
		woken := s.step(e)
		if msg := differ(s, m, woken); msg != "" {
			require.Fail(t, msg, "after %s, at %d", string(history), i)
		}
	}
}

// differ says in what, or nothing. It is called very often.
func differ(s *subject, m *life, woken int) string {
	o, sent := s.op, s.log.fresh()
	switch {
	case o.state != m.state:
		return fmt.Sprintf("state %d, not %d", o.state, m.state)
	case o.canceling != m.canceling || int(o.resubmits) != m.resubmits:
		return fmt.Sprintf("canceling %v, %d resubmits, not %v, %d", o.canceling, o.resubmits, m.canceling, m.resubmits)
	case m.state == completed && o.res != m.res:
		return fmt.Sprintf("result %d, not %d", o.res, m.res)
	case woken != m.woken:
		return fmt.Sprintf("%d wakes, not %d", woken, m.woken)
	case !slices.Equal(sent, m.sent):
		return fmt.Sprintf("entries %v, not %v", sent, m.sent)
	case m.state == completed && o.waker != nil:
		return "it keeps its waker"
	case (m.state == prepared || m.state == submitted) != (s.f.ops.find(o.id) == o && o.id != 0):
		return "its place is wrong"
	}
	return ""
}

func TestOperationIsGivenUpAfterSoManyResubmits(t *testing.T) {
	f, log := newFlights(t, 256)
	o := &op{waker: nobody{}}
	f.launch(o)
	for range maxResubmit {
		require.Nil(t, f.dispatch(o.id, -int32(unix.ECANCELED), 0))
		require.Equal(t, submitted, o.state)
	}
	require.NotNil(t, f.dispatch(o.id, -int32(unix.ECANCELED), 0))
	require.Equal(t, completed, o.state)
	require.Len(t, log.fresh(), maxResubmit+1)
}

// The pauses between attempts to cancel double, from a millisecond to a second.
func TestCancelIsTriedAgainEverMoreRarely(t *testing.T) {
	var o op
	var s ring.SQE
	for want := int64(1 << 20); want < 1<<30; want *= 2 {
		o.prepareAgain(&s)
		require.Equal(t, ring.Timespec{Nsec: want}, *o.pause())
	}
	for range 3 {
		o.prepareAgain(&s)
		require.Less(t, o.pause().Nsec, int64(1e9+1e8))
	}
	runtime.KeepAlive(&o)
}

// Cancels go before operations, each in the order of its kind.
func TestCancelsBoardFirst(t *testing.T) {
	f, log := newFlights(t, 64)
	s := &subject{f: f, log: log, op: new(op)}
	early := []*op{{waker: nobody{}}, {waker: nobody{}}}
	for _, o := range early {
		f.launch(o)
	}
	s.fill()
	late := &op{waker: nobody{}}
	f.launch(late)
	for _, o := range early {
		require.Nil(t, f.abort(o))
	}
	log.fresh()
	f.drainBacklog()
	require.Equal(t, []string{"filler", "cancel", "cancel", "filler", "op"}, log.fresh())
	require.Equal(t, submitted, late.state)
}

// A request in the backlog whose operation has completed meanwhile is dropped, even
// if its place and the operation itself are used again.
func TestCancelInLineOfAnEarlierLife(t *testing.T) {
	f, log := newFlights(t, 64)
	s := &subject{f: f, log: log, op: new(op)}
	s.launch()
	s.fill()
	s.step(evAbort)
	s.step(evDone)
	s.f.backlog.ops.pop() // room for operations
	s.launch()
	log.fresh()
	f.drainBacklog()
	require.Equal(t, []string{"filler"}, log.fresh())
	require.False(t, s.op.canceling)
}

func TestTableNamesAreNeverTheSame(t *testing.T) {
	var tb table
	seen := map[userData]bool{}
	ops := make([]op, 10)
	for range 1000 {
		for i := range ops {
			tb.add(&ops[i])
			require.False(t, seen[ops[i].id])
			seen[ops[i].id] = true
			require.Same(t, &ops[i], tb.find(ops[i].id))
			require.Equal(t, kindOp, ops[i].id.kind())
		}
		require.Equal(t, len(ops), tb.inFlight())
		for i := range ops {
			tb.remove(&ops[i])
			require.Nil(t, tb.find(ops[i].id))
		}
	}
	require.Len(t, tb.slots, len(ops))
	require.Zero(t, tb.inFlight())
}

func TestTableWrapsGenerations(t *testing.T) {
	var tb table
	var o op
	tb.add(&o)
	tb.remove(&o)
	tb.slots[0].generation = generations - 1
	for _, want := range []uint32{generations, 0, 1} {
		tb.add(&o)
		require.Equal(t, want, tb.slots[0].generation)
		require.Equal(t, ours, o.id&ours)
		require.Equal(t, kindOp, o.id.kind())
		require.Same(t, &o, tb.find(o.id))
		tb.remove(&o)
	}
}

func TestQueueRemovesFromAnywhere(t *testing.T) {
	for gone := range 4 {
		var q fifo[int]
		nodes := make([]*node[int], 4)
		for i := range nodes {
			nodes[i] = new(node[int])
			q.push(nodes[i])
		}
		q.remove(nodes[gone])
		for i, n := range nodes {
			if i != gone {
				require.Same(t, n, q.pop())
			}
		}
		require.Nil(t, q.first)
	}
}

// testGoroutineDriver is a goroutine driver, and the lock of it, until the test ends.
func testGoroutineDriver(t *testing.T) *goroutineDriver {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	d, err := newGoroutineDriver(8, 16)
	require.NoError(t, err)
	d.mu.Lock()
	t.Cleanup(func() {
		for d.ops.inFlight() > 0 {
			d.submit()
			d.collect(nil)
		}
		d.mu.Unlock()
		GoroutineDriver{d}.AwaitIdle()
		require.NoError(t, errors.Join(d.file.Close(), d.ring.Close()))
	})
	return d
}

// The waiter of an operation may go when that has completed: idle ones keep no
// waiter in memory, and wake no former one when they are used again.
func TestOperationForgetsItsWaiter(t *testing.T) {
	d := testGoroutineDriver(t)
	o := d.newOp()
	o.sqe.PrepNop()
	d.ringQueue.launch(o)
	d.submit()
	d.collect(nil)
	require.Equal(t, completed, o.state)
	d.mu.Unlock()
	require.False(t, d.attach(o, nobody{})) // too late
	d.mu.Lock()
	d.release(o)
	require.Nil(t, o.waker)
}

// What a completion makes the goroutine driver submit goes to the kernel, though no
// other goroutine uses the driver.
func TestWhatACompletionAsksForIsSubmitted(t *testing.T) {
	d := testGoroutineDriver(t)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(fd)
	defer writeEventFD(fd, 1)
	o := d.newOp()
	o.sqe.PrepPollAdd(fd, unix.POLLIN)
	d.ringQueue.launch(o)
	d.submit()
	o.canceling = true
	d.paused = false
	s := d.entry() // stands for a cancel that does not find it
	s.PrepCancel64(uint64(o.id)+1<<32, 0)
	s.UserData = o.id.as(kindCancel)
	d.enter(0)
	d.paused = true
	d.stepAndUnlock(nil)
	d.mu.Lock()
	for o.again == 0 || d.unsubmitted() {
		d.mu.Unlock()
		runtime.Gosched()
		d.mu.Lock()
	}
}

// What the kernel completed undone is submitted again, but not without end; a close
// never: its number may be another file's by then.
func TestCloseIsNotSubmittedAgain(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ECANCELED, unix.EINTR} {
		var read, closing op
		read.sqe.PrepRead(3, nil, 0)
		closing.sqe.PrepClose(3)
		for range maxResubmit {
			require.True(t, read.undone(-int32(errno)))
		}
		require.False(t, read.undone(-int32(errno)))
		require.False(t, closing.undone(-int32(errno)))
		require.False(t, new(op).undone(-int32(unix.EIO)))
	}
}
