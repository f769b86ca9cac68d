package await

import (
	"context"
	"math"
	"sync"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// Tasks are functions that run at the same time, its children, and end together: the first
// that fails cancels the others, and [Tasks.Wait] returns when all have ended. [NewTasks]
// makes Tasks; the zero value panics. Tasks must not be copied.
//
// Unlike the functions of an errgroup.Group, they run where the code runs that called
// NewTasks: as tasks on the same loop if it is a task, and otherwise in goroutines. No
// other goroutine is needed.
//
// In the terminology of the Go memory model, a call of Go synchronizes before the start of
// its function, and the end of each function before the return, or the panic, of every
// Wait that has seen the end of all.
type Tasks struct {
	parent context.Context // of NewTasks
	ctx    context.Context // of the children
	cancel context.CancelCauseFunc

	mu       sync.Mutex // guards the rest; while it is locked no user code runs
	limit    int        // of running
	running  int        // children that were started, or are about to be
	queue    []func(ctx context.Context) error
	err      error                 // the first
	crash    *PanicError           // of the first child that panicked
	finished bool                  // a Wait has seen the end of all
	line     waitq.Queue[struct{}] // of Wait
}

// NewTasks returns Tasks without children, and the context under which they run. It has
// the values of ctx, also the parker. It ends with ctx, with the first child that fails,
// whose error is its cause, and when a Wait has seen the end of all. So Wait must be
// called, as the cancel function of context.WithCancel must. A task calls it before it
// returns: its context ends then, and that of NewTasks with it, while the children go on.
// NewTasks panics if ctx is nil.
func NewTasks(ctx context.Context) (*Tasks, context.Context) {
	mustContext(ctx)
	t := &Tasks{parent: ctx, limit: math.MaxInt}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	return t, t.ctx
}

// Go makes f a child. It does not wait for f, nor for others. If as many children run as
// [Tasks.SetLimit] allows, f is queued, and starts in its turn when others have ended.
//
// f runs with nothing locked, as wake.Go runs it under the context of NewTasks. Its own
// context has the values of that one, and ends with it. If wake.Go fails, as when the loop
// is closed, f is not run, and the error is that of a child.
//
// Each function that can be started is started, even if the context has ended by its turn:
// f may have to release what its caller handed it, and a nil from Wait means that every
// function did its work. A function that need not begin then looks at its context first.
//
// Children may call Go. Go panics after a Wait that has seen the end of all, and if f is
// nil.
func (t *Tasks) Go(f func(ctx context.Context) error) {
	if f == nil {
		panic("await: Go of a nil function")
	}
	t.mustBeMade()
	t.mu.Lock()
	finished := t.finished
	if !finished {
		t.queue = append(t.queue, f)
	}
	t.mu.Unlock()
	if finished {
		panic("await: Go of Tasks whose Wait has returned")
	}
	t.startQueued()
}

// SetLimit lets at most n children run at the same time. A negative n means no limit, as
// at the beginning. If more run than n, they go on, and none starts until fewer run. Zero
// is a pause: nothing starts until SetLimit is called again, and a Wait for functions in
// the queue lasts until then or until its context ends.
func (t *Tasks) SetLimit(n int) {
	t.mustBeMade()
	if n < 0 {
		n = math.MaxInt
	}
	t.mu.Lock()
	t.limit = n
	t.mu.Unlock()
	t.startQueued()
}

// Wait waits until all children have ended, also those in the queue, and returns the first
// error. If one of them has panicked, Wait panics instead with the first *[PanicError],
// which has the value and the stack of that panic. A child that calls runtime.Goexit has
// failed with an error that matches [ErrGoexit]. If all have ended at the call, the
// context is not looked at.
//
// If ctx ends first, Wait returns an error that matches ctx.Err() and context.Cause(ctx).
// The children go on, and Wait may be called again. To see the end of all, whatever ends
// their context, as Wait of an errgroup.Group does, use context.WithoutCancel(ctx): what
// the children write is safe to read only then.
//
// Wait of the context that NewTasks has returned waits under the one that NewTasks was
// given: under its own it would return the first error at once, and not see the end of
// the other children. Wait of a context derived from it does that.
//
// Several goroutines may call Wait, and all get the same result. A child must not: it
// would wait for itself. Wait panics if ctx is nil.
func (t *Tasks) Wait(ctx context.Context) error {
	mustContext(ctx)
	t.mustBeMade()
	if ctx == t.ctx {
		ctx = t.parent
	}
	if !t.enter(nil) {
		return t.result()
	}
	p := wake.ParkerFrom(ctx)
	w := &waitq.Waiter[struct{}]{Waker: p}
	schedpoint.At(schedpoint.TasksLooked)
	if t.enter(w) {
		if err := t.park(ctx, p, w); err != nil {
			return err
		}
	}
	return t.result()
}

func (t *Tasks) mustBeMade() {
	if t.ctx == nil {
		panic("await: Tasks that NewTasks has not made")
	}
}

// enter reports whether there are children, and then puts w in line if it is not nil. If
// there are none, the caller has seen the end of all.
func (t *Tasks) enter(w *waitq.Waiter[struct{}]) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle() {
		t.finished = true
		return false
	}
	if w != nil {
		t.line.Push(w)
	}
	return true
}

// idle reports whether all children have ended. mu is locked.
func (t *Tasks) idle() bool { return t.running == 0 && len(t.queue) == 0 }

// park waits until w is taken out of line. If it fails, w has left the line.
func (t *Tasks) park(ctx context.Context, p wake.Parker, w *waitq.Waiter[struct{}]) error {
	defer t.leave(w) // if Park panics or ends the goroutine
	for !w.Done() {
		err := p.Park(ctx)
		schedpoint.At(schedpoint.TasksParked)
		if err != nil && t.leave(w) {
			return waitq.ParkError(ctx, err)
		} else if err != nil {
			return nil // all have ended, and the wake is under way
		}
	}
	return nil
}

// leave takes w out of line. It reports false if w is not there.
func (t *Tasks) leave(w *waitq.Waiter[struct{}]) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.Remove(w)
}

// result is the end of a Wait that has seen the end of all: nothing changes any more.
func (t *Tasks) result() error {
	t.cancel(nil)
	if t.crash != nil {
		panic(t.crash)
	}
	return t.err
}

// startQueued starts what may start. It does so for all even if a Spawner ends the
// goroutine.
func (t *Tasks) startQueued() {
	finished := false
	defer func() {
		if !finished {
			t.startQueued()
		}
	}()
	for f := t.next(); f != nil; f = t.next() {
		t.start(f)
	}
	finished = true
}

// next takes the first function out of the queue and counts it as running. It returns nil
// if none may start.
func (t *Tasks) next() (f func(ctx context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 || t.running >= t.limit {
		return nil
	}
	f, t.queue[0] = t.queue[0], nil // which the array would keep in memory
	t.queue = t.queue[1:]
	t.running++
	return f
}

// start starts f. A Spawner that fails or panics has made f a child that did so.
func (t *Tasks) start(f func(ctx context.Context) error) {
	var err error
	load.Run(func() {
		err = wake.Go(t.ctx, func(ctx context.Context) { t.run(ctx, f) })
	}, func(crash *PanicError) {
		if err != nil || crash != nil {
			t.end(err, crash)
		}
	})
}

// run is a child. It ends whatever f does, and then starts the next one.
func (t *Tasks) run(ctx context.Context, f func(ctx context.Context) error) {
	var err error
	load.Run(func() { err = f(ctx) }, func(crash *PanicError) {
		t.end(err, crash)
		t.startQueued()
	})
}

// end counts a child as ended. If it has failed, the context ends before that.
func (t *Tasks) end(err error, crash *PanicError) {
	defer t.discount()
	if crash != nil {
		err = crash
	}
	if err != nil && t.fail(err, crash) {
		schedpoint.At(schedpoint.TasksFails)
		t.cancel(err)
	}
}

// fail records an error and a panic. It reports whether the error is the first.
func (t *Tasks) fail(err error, crash *PanicError) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if crash != nil && crash.Value != ErrGoexit && t.crash == nil {
		t.crash = crash
	}
	if first = t.err == nil; first {
		t.err = err
	}
	return first
}

// discount counts a child as ended. If it was the last, the waiters in line have seen the
// end of all.
func (t *Tasks) discount() {
	t.mu.Lock()
	t.running--
	var line waitq.List[struct{}]
	if t.idle() {
		line = t.line.Detach()
	}
	seen := line.Front() != nil
	t.finished = t.finished || seen
	t.mu.Unlock()
	if !seen {
		return
	}
	defer wakeLine(line)
	schedpoint.At(schedpoint.TasksWakes)
	t.cancel(nil)
}
