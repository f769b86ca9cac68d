package uringwake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// A Loop is one ring, one OS thread and many tasks, of which one runs at a
// time.
//
// A task that really blocks (a contended sync.Mutex, a channel, a system call)
// blocks its loop with all its tasks: see [Blocking]. It must not call
// runtime.LockOSThread or UnlockOSThread, which ends the program.
type Loop struct {
	// What others touch.
	mailbox mailbox
	_       [56]byte
	door    door
	_       [56]byte

	onPanic   func(any, []byte)
	onMessage func(uint64, int32)
	base      context.Context // ends when the loop closes
	endBase   context.CancelCauseFunc
	bell      bell
	rings     atomic.Uint64 // system calls made to wake it
	holds     atomic.Uint64 // odd while a task or a function has the loop, if it is watched
	watched   bool
	closing   atomic.Bool
	shared    atomic.Pointer[LoopStats]
	end       ending

	// What only the loop's thread touches.
	flights
	freeOps *op
	wakers  []wake.Waker // of operations that have landed
	ready   mailQueue
	batch   mailQueue // what this turn runs
	current *Task
	living  taskList
	spare   *coroutine // the free list
	spares  int
	spin    spinner
	count   LoopStats
	poll    userData // the doorbell's, the current one
	unarmed bool     // the doorbell's poll is to be armed, again
	outside bool     // that was refused: the loop sleeps outside of its ring
	exited  bool     // a posted function has called runtime.Goexit
	over    bool     // run has returned
}

// NewLoop starts a loop. It must be closed.
func NewLoop(o *LoopOptions) (*Loop, error) {
	if o == nil {
		o = new(LoopOptions)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	l := &Loop{onPanic: o.OnPanic, onMessage: o.OnMessage, spin: newSpinner(o.SpinFor), watched: o.HoldLimit > 0}
	l.base, l.endBase = context.WithCancelCause(context.Background())
	l.end.init()
	started := make(chan error, 1)
	go l.main(*o, started)
	if err := <-started; err != nil {
		return nil, err
	}
	if l.watched {
		go l.watch(o.HoldLimit, loggerOf(o))
	}
	return l, nil
}

// mustBeMade catches the zero value.
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

// main is the loop's goroutine. The ring is made on the thread that uses it:
// the kernel binds them.
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
// it; the deferred call then goes on in its place, and has posted functions run
// on coroutines, lest the stack grow with each.
func (l *Loop) serve() {
	defer func() {
		if v := recover(); v != nil {
			panic(v) // nobody takes panics: it ends the program
		}
		if !l.over {
			l.exited = true
			l.serve()
		}
	}()
	l.run()
	l.over = true
}

func (l *Loop) open(o LoopOptions) error {
	entries, cq := uint32(o.Entries), uint32(o.CQEntries)
	if entries == 0 {
		entries = 256
	}
	if cq == 0 {
		cq = 16 * entries
	}
	if l.endless = cancelable.ask(); inconclusive(l.endless) != nil {
		return l.endless
	}
	r, err := setupOwned(entries, cq)
	if err != nil {
		return err
	}
	if err := l.bell.open(r.FD(), o.Doorbell); err != nil {
		return errors.Join(err, r.Close())
	}
	l.use(r)
	l.getEvents, l.other = ring.EnterGetEvents, l.others
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
			l.pump()
			continue
		}
		l.pump()
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

// runReady runs what is ready now. What becomes ready meanwhile has its turn
// after the ring was looked at: tasks that wake each other starve nobody.
func (l *Loop) runReady() {
	if l.batch.empty() { // else a function of it has called runtime.Goexit
		l.batch, l.ready = l.ready, mailQueue{}
	}
	for !l.batch.empty() {
		m := l.batch.pop()
		switch {
		case m.task != nil:
			l.resume(m.task)
		case l.exited:
			l.resume(&Task{loop: l, f: func(context.Context) { m.post() }})
		default:
			l.call(m.post)
		}
	}
}

// resume gives t the thread until it parks, yields or ends.
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
	l.held()
	t.coro.resume()
	l.held()
	l.current = nil
	if t.coro.task == nil {
		l.retire(t)
	}
}

// retire lets go of a task that has ended. Wakes of it do nothing from now on.
func (l *Loop) retire(t *Task) {
	t.state.Or(ended)
	l.living.remove(t)
	t.drop()
	c := t.coro
	t.coro = nil
	l.keep(c)
}

const (
	maxSpare = 256  // how many coroutines are kept for tasks to come
	maxExits = 1000 // how often runtime.Goexit may be called in one
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

// call runs a posted function as a task is run, but without a stack of its own.
//
//go:noinline
func (l *Loop) call(f func()) {
	l.held()
	defer l.held()
	defer func() {
		if v := recover(); v != nil {
			l.panicked(v, debug.Stack())
		}
	}()
	f()
}

// Go runs f as a task, under a context that has ctx's values and ends with it,
// or with the loop (cause [ErrClosed]). The context carries the task: whoever
// sleeps in it lets the loop run others. It is f's: once f has returned it may
// have ended. Go may be called from anywhere and never blocks. Its error is
// [ErrClosed].
func (l *Loop) Go(ctx context.Context, f func(ctx context.Context)) error {
	waitq.MustContext(ctx, "uringwake")
	if f == nil {
		panic("uringwake: Go of a nil function")
	}
	l.mustBeMade()
	if l.closing.Load() {
		return ErrClosed
	}
	t := newTask(l, ctx, f)
	t.state.Store(permit) // it is in the mailbox: a wake must not put it there again
	if !l.deliver(&t.mail) {
		t.drop()
		return ErrClosed
	}
	return nil
}

// Post runs f on the loop, as a plain callback: it must not wait. Calls from one
// goroutine run in their order. Post may be called from anywhere and never
// blocks. Its error is [ErrClosed]; after nil, f will run.
func (l *Loop) Post(f func()) error {
	if f == nil {
		panic("uringwake: Post of a nil function")
	}
	l.mustBeMade()
	if l.closing.Load() || !l.deliver(&mail{post: f}) {
		return ErrClosed
	}
	return nil
}

// FD is the ring's file descriptor, for messages from elsewhere: they come to
// LoopOptions.OnMessage. It is closed with the loop, and -1 then.
func (l *Loop) FD() int {
	l.mustBeMade()
	if l.end.reached() {
		return -1
	}
	return l.bell.ringFD
}

// Doorbell is how the loop is woken: [DoorbellEventFD] or [DoorbellMsgRing].
func (l *Loop) Doorbell() Doorbell { return l.bell.kind }

func (o *LoopOptions) check() error {
	const most = 1 << 20 // the kernel's own limits are below
	if o.Entries > most || o.CQEntries > most || o.Entries < 0 || o.CQEntries < 0 ||
		o.Doorbell < DoorbellAuto || o.Doorbell > DoorbellMsgRing || o.HoldLimit < 0 {
		return fmt.Errorf("uringwake: LoopOptions out of range: %d entries, %d completion entries, doorbell %d, hold limit %v",
			o.Entries, o.CQEntries, o.Doorbell, o.HoldLimit)
	}
	return nil
}
