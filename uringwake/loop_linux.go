package uringwake

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// loopState is a Loop. What other threads touch comes first.
type loopState struct {
	mailbox mailbox
	_       [56]byte
	door    door
	_       [56]byte

	onPanic   func(any, []byte)
	onMessage func(uint64, int32)
	logger    *slog.Logger
	base      context.Context // ends when the loop closes
	endBase   context.CancelCauseFunc
	bell      bell
	doorbells atomic.Uint64 // system calls made to wake the loop
	switches  atomic.Uint64 // odd while a task or a function has the thread, if it is watched
	watched   bool
	closing   atomic.Bool
	shared    atomic.Pointer[LoopStats] // nil while it is read
	reading   sync.Mutex                // of shared, held by stats only
	end       ending

	loopThread
}

// loopThread is what only the loop's thread touches.
type loopThread struct {
	ringQueue
	idleOps *node[*op]
	wakers  []wake.Waker // of operations that have completed
	heard   int          // how many of told were called
	ready   fifo[errand]
	batch   fifo[errand] // what this turn runs
	current *Task
	living  taskList
	spare   *coroutine // the free list
	spares  int
	spin    spinner
	count   LoopStats
	// unshared is where the next copy of count goes, if stats has not kept the last one.
	unshared *LoopStats

	poll         userData // the current poll of the doorbell
	unarmed      bool     // the doorbell has to be polled, again
	sleepsInPoll bool     // the kernel refuses that: the loop sleeps in poll(2), not in its ring
	exited       bool     // a posted function has called runtime.Goexit
	returned     bool     // run has returned
}

func startLoop(o *LoopOptions) (*Loop, error) {
	l := newLoop(o)
	started := make(chan error, 1)
	go l.main(*o, started)
	if err := <-started; err != nil {
		return nil, err
	}
	if l.watched {
		go l.watch(o.StallLimit, loggerOf(o))
	}
	return l, nil
}

func newLoop(o *LoopOptions) *Loop {
	l := new(Loop)
	l.onPanic, l.onMessage, l.watched = o.OnPanic, o.OnMessage, o.StallLimit > 0
	l.logger, l.limit = o.Logger, o.MaxInFlight
	l.spin = newSpinner(o.SpinFor)
	l.base, l.endBase = context.WithCancelCause(context.Background())
	l.end.init()
	return l
}

// mustBeMade panics if l is the zero value.
func (l *Loop) mustBeMade() {
	if l.base == nil {
		panic("uringwake: a Loop that NewLoop did not make")
	}
}

func loggerOf(o *LoopOptions) *slog.Logger {
	if o.Logger != nil {
		return o.Logger
	}
	return slog.Default()
}

// main is the loop's goroutine. The ring is made on the thread that uses it, since
// the kernel binds the ring to that thread.
func (l *Loop) main(o LoopOptions, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := l.open(o); err != nil {
		started <- err
		return
	}
	threads.add(l)
	l.share()
	started <- nil
	defer l.shut()
	l.serve()
}

// serve runs the loop to its end. runtime.Goexit in a posted function unwinds
// it; the deferred call then continues the loop, and has posted functions run on
// coroutines from then on, so that the stack does not grow with each.
func (l *Loop) serve() {
	defer func() {
		if v := recover(); v != nil {
			panic(v) // it is not recovered: it ends the program
		}
		if !l.returned {
			l.exited = true
			l.serve()
		}
	}()
	l.run()
	l.returned = true
}

func (l *Loop) open(o LoopOptions) error {
	entries, cq := uint32(o.Entries), uint32(o.CQEntries)
	if entries == 0 {
		entries = 256
	}
	if cq == 0 {
		cq = 16 * entries
	}
	if l.uncancelable = cancelable.ask(); inconclusive(l.uncancelable) != nil {
		return l.uncancelable
	}
	kind, sendMsg, err := resolveDoorbell(o.Doorbell)
	if err != nil {
		return err
	}
	r, err := setupOwned(entries, cq)
	if err != nil {
		return err
	}
	if err := l.bell.open(r.FD(), kind, sendMsg); err != nil {
		return errors.Join(err, r.Close())
	}
	l.use(r)
	l.getEvents, l.onOther = ring.EnterGetEvents, l.others
	l.poll, l.unarmed = nextPoll(userData(rand.Uint32())<<32), true
	return nil
}

// run turns until there is nothing left to do and the loop is closing.
func (l *Loop) run() {
	for {
		if l.count.Turns++; l.count.Turns%1024 == 0 {
			l.share()
		}
		l.count.Mail += uint64(l.mailbox.take(&l.ready))
		if !l.ready.empty() || !l.batch.empty() {
			l.runReady()
			l.submitAndReap()
			continue
		}
		l.submitAndReap()
		if !l.ready.empty() {
			continue
		}
		if l.closing.Load() && l.finished() {
			return
		}
		if !l.lookForMail() {
			l.sleep()
		}
	}
}

// runReady runs what is ready now. What becomes ready meanwhile runs after the next
// look at the ring, so that tasks that wake each other do not starve others.
func (l *Loop) runReady() {
	if l.batch.empty() { // else a function of it has called runtime.Goexit
		l.batch, l.ready = l.ready, fifo[errand]{}
	}
	for !l.batch.empty() {
		m := l.batch.pop().item
		switch {
		case m.task != nil:
			l.resume(m.task)
		case l.exited:
			l.resume(callOnTask(l, m.post))
		default:
			l.call(m.post)
		}
	}
}

// resume runs t until it parks, yields or ends.
func (l *Loop) resume(t *Task) {
	if t.coro == nil {
		t.coro = l.coroutine()
		t.coro.task = t
		t.state.Swap(0) // it has left the mailbox
		l.living.add(t)
		if l.closing.Load() {
			t.endContext()
		}
	}
	l.count.Resumes++
	l.current = t
	l.noteSwitch()
	t.coro.resume()
	l.noteSwitch()
	l.current = nil
	if t.coro.task == nil {
		l.retire(t)
	}
}

// retire forgets a task that has ended. Its Wake does nothing from now on.
func (l *Loop) retire(t *Task) {
	t.state.Or(ended)
	l.living.remove(t)
	t.f = nil // the contexts of tasks that it started may keep t
	t.drop()
	c := t.coro
	t.coro = nil
	l.keep(c)
}

const (
	maxSpare = 256  // how many coroutines are kept for tasks to come
	maxExits = 1000 // how often runtime.Goexit may be called in one of them
)

func (l *Loop) coroutine() *coroutine {
	c := l.spare
	if c == nil {
		return newCoroutine(l)
	}
	l.spare, c.next = c.next, nil
	l.spares--
	return c
}

func (l *Loop) keep(c *coroutine) {
	if l.spares >= maxSpare && c.exits == 0 || c.exits == maxExits {
		c.stop() // and after an exit this unwinds to serve
		return
	}
	c.next, l.spare = l.spare, c
	l.spares++
}

// call runs a posted function, which has no stack of its own. The watchdog looks for
// this frame in traces.
//
//go:noinline
func (l *Loop) call(f func()) {
	l.noteSwitch()
	defer l.noteSwitch()
	defer func() {
		if v := recover(); v != nil {
			l.panicked(v, debug.Stack())
		}
	}()
	f()
}

func (l *Loop) spawn(ctx context.Context, f func(ctx context.Context)) error {
	waitq.MustContext(ctx, "uringwake")
	if f == nil {
		panic("uringwake: Go of a nil function")
	}
	l.mustBeMade()
	return l.start(ctx, f)
}

// start starts a task whose context ends with parent.
func (l *Loop) start(parent context.Context, f func(ctx context.Context)) error {
	if l.closing.Load() {
		return ErrClosed
	}
	t := newTask(l, parent, f)
	t.state.Store(permit) // it is in the mailbox: a wake must not put it there again
	if !l.deliver(&t.mail) {
		t.drop()
		return ErrClosed
	}
	return nil
}

func (l *Loop) post(f func()) error {
	if f == nil {
		panic("uringwake: Post of a nil function")
	}
	l.mustBeMade()
	if l.closing.Load() || !l.deliver(callTo(f)) {
		return ErrClosed
	}
	return nil
}

func (l *Loop) ringFD() int {
	l.mustBeMade()
	if l.end.reached() {
		return -1
	}
	return l.bell.ringFD
}

func (l *Loop) doorbell() Doorbell { return l.bell.kind }
