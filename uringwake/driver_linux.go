package uringwake

import (
	"context"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// A driver submits operations to the kernel and takes their completions. The driver
// of a task is its [Loop], the driver of all goroutines is a [goroutineDriver].
type driver interface {
	// submitAndWait launches o and returns when the kernel no longer uses it. It
	// returns the parker's error if that is why o was canceled.
	submitAndWait(ctx context.Context, o *op) error
	// cannotCancel is why an operation that waits cannot be canceled, or nil.
	cannotCancel() error
	// retryCancel cancels o once more if it still is the operation of that name.
	// Any goroutine may call it.
	retryCancel(o *op, id userData)
	// begin launches a multishot operation, whose sink takes the completions.
	begin(o *op) bridge.Handle
	// cancelNamed cancels o if it still is the operation of that name. Any goroutine
	// may call it.
	cancelNamed(o *op, id userData)
	// release makes o idle, for its next use.
	release(o *op)
}

// newOp returns an idle operation of the driver that serves the code under ctx.
func newOp(ctx context.Context) (*op, error) {
	waitq.MustContext(ctx, "uringwake")
	if t := TaskFrom(ctx); t != nil {
		t.mustRun("operation")
		return t.loop.newOp(), nil
	}
	d, err := defaultGoroutineDriver()
	if err != nil {
		return nil, err
	}
	return d.newOp(), nil
}

// finish submits o, sleeps until the kernel no longer uses it, and returns its result.
// Then o belongs to its driver again.
//
// When ctx ends first, the kernel is asked to cancel. If the operation was done
// all the same, its result is returned.
func (o *op) finish(ctx context.Context, call string) (int, error) {
	n, _, err := o.Wait(ctx, nil, call)
	return n, err
}

// Wait is finish for an operation that i may interrupt. It implements bridge.Op.
func (o *op) Wait(ctx context.Context, i *bridge.Interrupter, call string) (n int, flags uint32, err error) {
	defer o.driver.release(o)
	if ctx.Err() != nil {
		return 0, 0, waitq.ContextError(ctx)
	}
	if err := o.mayWait(ctx, i, call); err != nil {
		return 0, 0, err
	}
	if i != nil {
		if i.Interrupted() {
			return 0, 0, bridge.ErrInterrupted
		}
		o.interrupter = i
		defer i.Detach()
	}
	failed := o.driver.submitAndWait(ctx, o)
	switch {
	case o.res >= 0:
		return o.take(), o.flags, nil
	case !o.canceling || !o.cameToNothing(o.res):
		return 0, o.flags, o.err(call)
	case failed == nil && ctx.Err() == nil && o.interrupted():
		return 0, 0, bridge.ErrInterrupted
	}
	return 0, 0, waitq.ParkError(ctx, failed)
}

// mayWait returns an error if o may have to wait, ctx may end or i interrupt it, and o
// could not be canceled then.
func (o *op) mayWait(ctx context.Context, i *bridge.Interrupter, call string) error {
	why := o.driver.cannotCancel()
	if why == nil || o.brief() || ctx.Done() == nil && i == nil {
		return nil
	}
	return &unsupported{call, "it may have to wait, and could not be canceled", why}
}

// submitAndWait launches o for the current task, and switches to the loop until o has
// completed. The entry goes to the kernel when the tasks that are ready have run. The
// error is nil.
//
// Nothing else resumes the task: a wake leaves its permit, and the end of ctx
// comes by mail, so that only the loop's thread touches o.
//
// ctx is called before the kernel has o: its methods may panic, or end the
// goroutine.
func (l *Loop) submitAndWait(ctx context.Context, o *op) error {
	t := l.current
	var c *canceler
	switch done := ctx.Done(); done {
	case nil:
	case t.done:
		t.pending = o
	default:
		c = &canceler{loop: l, o: o}
		defer context.AfterFunc(tamed(ctx), c.contextEnded)()
	}
	o.waker = t
	l.launch(o)
	if c != nil {
		c.id = o.id
	}
	if !o.attach() {
		l.cancel(o, o.id)
	}
	t.coro.yield()
	t.pending = nil
	return nil
}

// A canceler cancels an operation whose context is not its task's.
type canceler struct {
	loop *Loop
	o    *op
	id   userData // the loop's: set before it looks at its mail again
}

func (c *canceler) contextEnded() {
	c.loop.deliver(callTo(func() { c.loop.cancel(c.o, c.id) }))
}

// cancel cancels the operation of that name, if it still is in flight.
func (l *Loop) cancel(o *op, id userData) {
	if l.ops.find(id) == o {
		l.wake(l.abort(o))
		l.tell()
	}
}

func (l *Loop) retryCancel(o *op, id userData) {
	l.deliver(callTo(func() { l.cancelAgain(o, id) }))
}

// newOp returns an idle operation.
func (l *Loop) newOp() *op {
	n := l.idleOps
	if n == nil {
		return &op{driver: l}
	}
	l.idleOps, n.next = n.next, nil
	return n.item
}

func (l *Loop) release(o *op) {
	o.recycle()
	o.place = node[*op]{next: l.idleOps, item: o}
	l.idleOps = &o.place
}
