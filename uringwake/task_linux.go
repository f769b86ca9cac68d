package uringwake

import (
	"context"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/wake"
)

// A Task is straight-line code that a [Loop] runs in turns with others. It is
// the [wake.Parker] of its context, so every wait of this module suspends the
// task and not its loop's thread.
//
// Wake may be called from anywhere, and happens before the return of the Park
// that takes its permit; after the task has ended it does nothing.
type Task struct {
	mail // the task's place in its loop's mailbox

	// state says who may move the task on.
	//
	//	bit 0  permit   left by Wake, taken by Park
	//	bit 1  parked   it is not running; whoever sets permit beside it
	//	                puts it into the mailbox, and nobody else does
	//	bit 2  ended
	//
	// Always changed by read-modify-writes: a Wake that finds a permit must
	// still happen before the Park that takes it.
	state atomic.Uint32

	id   uint64
	loop *Loop
	coro *coroutine
	f    func(context.Context)
	ctx  context.Context
	done <-chan struct{} // ctx's: its end wakes the task, and cancels
	// flying is what the task waits for, if that ends with ctx. The loop's.
	flying *op
	// unlink ends ctx and takes it off its parent, if that can end.
	unlink func(cause error)

	prev, succ *Task // among the loop's living
}

const (
	permit uint32 = 1 << iota
	parked
	ended
)

var taskIDs atomic.Uint64

// TaskFrom returns the task that ctx belongs to, or nil: the code under it
// runs on a goroutine, or hides its task by wake.WithParker(ctx, nil).
func TaskFrom(ctx context.Context) *Task {
	p, _ := wake.Carried(ctx)
	t, _ := p.(*Task)
	return t
}

// newTask makes a task whose context ends with parent, and with its loop.
func newTask(l *Loop, parent context.Context, f func(context.Context)) *Task {
	t := &Task{id: taskIDs.Add(1), loop: l, f: f}
	t.mail.task = t
	var ctx context.Context
	if parent.Done() == nil {
		ctx = &taskContext{Context: l.base, values: parent}
	} else {
		own, cancel := context.WithCancelCause(tamed(parent))
		stop := context.AfterFunc(own, t.contextEnded)
		t.unlink = func(cause error) { stop(); cancel(cause) }
		ctx = own
	}
	t.ctx, t.done = wake.WithParker(ctx, t), ctx.Done()
	return t
}

// contextEnded wakes the task from its Park, or cancels its operation.
func (t *Task) contextEnded() {
	t.Wake()
	t.loop.deliver(&mail{post: t.land})
}

// land cancels what the task waits for under its own context. On the loop.
func (t *Task) land() {
	if o := t.flying; o != nil {
		t.loop.cancel(o, o.id)
	}
}

// taskContext ends with the loop, and has its values from a context that never
// ends: tasks without a deadline of their own need no link each.
type taskContext struct {
	context.Context
	values context.Context
}

// Value asks the loop's context first: the one key that it knows is package
// context's own, by which the canceler is found.
func (c *taskContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}

// drop takes the context of a task that has ended, or never ran, off its parent.
func (t *Task) drop() {
	if t.unlink != nil {
		t.unlink(context.Canceled)
	}
}

// Loop is the loop that runs t.
func (t *Task) Loop() *Loop { return t.loop }

// ID is t's number, which no other task of this process has.
func (t *Task) ID() uint64 { return t.id }

// Wake leaves a permit and, if t sleeps, has its loop resume it. It makes a
// system call only if the loop sleeps too and nobody else has rung.
func (t *Task) Wake() {
	if t.leavePermit() {
		yield.At(yield.TaskPermits)
		t.loop.deliver(&t.mail)
	}
}

// wakeHere is Wake on the loop's own thread.
func (t *Task) wakeHere() {
	if t.leavePermit() {
		t.loop.ready.push(&t.mail)
	}
}

// leavePermit reports whether the caller must see to it that t is resumed.
func (t *Task) leavePermit() bool { return t.state.Or(permit) == parked }

// Park implements [wake.Parker]. Only t itself may call it: it panics
// elsewhere, or ends the program if t runs meanwhile. A permit that is there is taken without a switch: a task that
// finds one each time lets nobody else run, unless it calls Yield.
func (t *Task) Park(ctx context.Context) error {
	waitq.MustContext(ctx, "uringwake")
	t.mustRun("Park")
	if t.state.Load()&permit != 0 {
		t.state.Swap(0)
		return nil
	}
	if ctx.Err() != nil {
		return whyEnded(ctx)
	}
	if done := ctx.Done(); done != nil && done != t.done {
		return t.parkUnder(ctx, done)
	}
	t.park()
	return nil
}

// parkUnder is Park under a context that is not the task's. It is apart so that
// most tasks sleep with a smaller stack.
func (t *Task) parkUnder(ctx context.Context, done <-chan struct{}) error {
	if over(done) {
		return whyEnded(ctx)
	}
	defer context.AfterFunc(tamed(ctx), t.Wake)()
	t.park()
	return nil
}

func (t *Task) park() {
	yield.At(yield.TaskParks)
	if t.state.CompareAndSwap(0, parked) { // else the permit has come
		t.coro.yield()
	}
	t.state.Swap(0)
}

// Yield lets the loop's other tasks run. It leaves a permit alone. Only t
// itself may call it, as Park.
func (t *Task) Yield() {
	t.mustRun("Yield")
	t.loop.ready.push(&t.mail)
	t.coro.yield()
}

// mustRun catches a context that was handed to a goroutine, or kept after the
// task's end.
func (t *Task) mustRun(call string) {
	if t.loop.current != t {
		panic("uringwake: " + call + " of a task outside of it: give a goroutine wake.WithParker(ctx, nil)")
	}
}

// taskList is a loop's living tasks.
type taskList struct {
	first, last *Task
	n           int
}

func (l *taskList) add(t *Task) {
	t.prev = l.last
	if l.last != nil {
		l.last.succ = t
	} else {
		l.first = t
	}
	l.last = t
	l.n++
}

func (l *taskList) remove(t *Task) {
	if t.succ != nil {
		t.succ.prev = t.prev
	} else {
		l.last = t.prev
	}
	if t.prev != nil {
		t.prev.succ = t.succ
	} else {
		l.first = t.succ
	}
	t.prev, t.succ = nil, nil
	l.n--
}
