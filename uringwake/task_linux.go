package uringwake

import (
	"context"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// taskState is a Task.
type taskState struct {
	mail // the task's place in its loop's mailbox

	// state says which goroutine may resume the task.
	//
	//	bit 0  permit   left by Wake, taken by Park
	//	bit 1  parked   the task is suspended in Park; the Wake that sets permit
	//	                then, and no other, puts the task into the mailbox
	//	bit 2  ended
	//
	// It is always changed by read-modify-writes: a Wake that finds a permit
	// must still happen before the Park that takes it.
	state atomic.Uint32

	id     uint64
	loop   *Loop
	coro   *coroutine
	f      func(context.Context) // nil when the task has ended
	parent context.Context       // ctx's
	ctx    context.Context
	done   <-chan struct{} // ctx's: its end wakes the task, and cancels
	// pending is the operation that the task waits for, if that ends with ctx.
	// Only the loop's thread touches it.
	pending *op
	// unlink ends ctx and removes it from its parent. It is nil if the parent
	// cannot end.
	unlink func(cause error)

	prev, succ *Task // among the loop's living
}

const (
	permit uint32 = 1 << iota
	parked
	ended
)

var taskIDs atomic.Uint64

// newTask makes a task whose context ends with parent, and with its loop.
func newTask(l *Loop, parent context.Context, f func(context.Context)) *Task {
	t := new(Task)
	t.id, t.loop, t.parent, t.f = taskIDs.Add(1), l, parent, f
	t.mail.item.task = t
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

// callOnTask makes a task without a context that calls f.
func callOnTask(l *Loop, f func()) *Task {
	t := new(Task)
	t.loop, t.f = l, func(context.Context) { f() }
	return t
}

// contextEnded wakes the task from its Park and cancels its operation.
func (t *Task) contextEnded() {
	t.Wake()
	t.loop.deliver(callTo(t.cancelOp))
}

// cancelOp cancels the operation that the task waits for under its own context. It
// runs on the loop's thread.
func (t *Task) cancelOp() {
	if o := t.pending; o != nil {
		t.loop.cancel(o, o.id)
	}
}

// taskContext ends with the loop, and has the values of a context that never ends: a
// task without a deadline of its own needs no link to its parent.
type taskContext struct {
	context.Context
	values context.Context
}

// Value asks the loop's context first: the one key that it knows is package context's
// own, which leads to the context that can be canceled.
func (c *taskContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}

// drop removes the context of a task that has ended, or never ran, from its parent.
func (t *Task) drop() {
	if t.unlink != nil {
		t.unlink(returned{t.id})
	}
}

// Wake leaves a permit and, if the task sleeps in Park, has its loop resume it. It makes
// a system call only if the loop sleeps too and no other waker has signaled the loop.
func (t *Task) Wake() {
	if t.leavePermit() {
		schedpoint.At(schedpoint.TaskPermits)
		t.loop.deliver(&t.mail)
	}
}

// wakeHere is Wake on the loop's own thread.
func (t *Task) wakeHere() {
	if t.leavePermit() {
		t.loop.ready.push(&t.mail)
	}
}

// leavePermit leaves a permit, and reports whether the caller must have t resumed.
func (t *Task) leavePermit() bool { return t.state.Or(permit) == parked }

// Park implements [wake.Parker]. Only the task itself may call it. Elsewhere it panics
// or, if the task runs at the same time, ends the program. If there is a permit, Park
// takes it without a switch to the loop, so a task that finds a permit each time must
// call Yield to let other tasks run.
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

// parkUnder is Park under a context that is not the task's. It is a function of its
// own so that most tasks sleep with a smaller stack.
func (t *Task) parkUnder(ctx context.Context, done <-chan struct{}) error {
	if isClosed(done) {
		return whyEnded(ctx)
	}
	defer context.AfterFunc(tamed(ctx), t.Wake)()
	t.park()
	return nil
}

func (t *Task) park() {
	schedpoint.At(schedpoint.TaskParks)
	if t.state.CompareAndSwap(0, parked) { // else the permit has come
		t.coro.yield()
	}
	t.state.Swap(0)
}

// Yield lets the loop's other tasks run. It does not take a permit. Only the task itself
// may call it, as with Park.
func (t *Task) Yield() {
	t.mustRun("Yield")
	t.loop.ready.push(&t.mail)
	t.coro.yield()
}

// mustRun panics if t does not run now: its context was passed to a goroutine, or used
// after the task's end.
func (t *Task) mustRun(call string) {
	if t.loop.current != t {
		panic("uringwake: " + call + " of a task outside of it: give a goroutine wake.WithParker(ctx, nil)")
	}
}

// taskList is the list of a loop's tasks that have not returned.
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
