package await

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A Once calls a function until it succeeds, and keeps its value. Unlike with sync.Once, a
// failure is not kept, and a caller need not wait for the function longer than its context
// lasts. The zero value is ready to use. A Once must not be copied after first use.
//
// In the terminology of the Go memory model, the return of the function synchronizes
// before the return of every call of Do that returns its value or error.
type Once[T any] struct {
	kept atomic.Pointer[T] // nil: no value yet; changes once

	// mu guards run, and the fields of a run that are said to be guarded by it. While
	// it is locked no user code runs.
	mu  sync.Mutex
	run *onceRun[T] // the run that callers join, or nil
}

// Do returns the value that is kept, whatever ctx is. If there is none, Do calls f, or
// waits for the call of f that another caller has started, and returns its result. A value
// is kept for all later calls. An error is returned to the callers that wait for it, with
// the zero value, and is not kept: the next caller starts a new call of its own f.
//
// f is called with nothing locked. It runs in the goroutine of the caller if ctx cannot
// end and has no parker, like context.Background(), and in a new goroutine otherwise. The
// context of f has the values of ctx, but does not end with it, and has no parker. It ends
// when f has returned or, with the cause [ErrAbandoned], when the last caller has left. A
// call of f that was canceled in that way is not joined: the next caller starts a new one,
// perhaps before the canceled one has returned, and the result of the canceled one is
// dropped.
//
// If f panics or calls runtime.Goexit, all callers get a *[PanicError], which matches
// [ErrGoexit] in the latter case, and nothing is kept. But if f calls Goexit in the
// goroutine of a caller, that goroutine exits after the other callers have the error. Do
// returns [ErrCycle] if ctx is the context of a function for which this call would wait:
// of f itself, or of one that waits for f.
//
// When ctx ends while Do waits, Do returns at once with an error that matches ctx.Err() and
// context.Cause(ctx), unless there is a result. If ctx has ended before and no value is
// kept, Do neither calls f nor waits. Do panics if ctx or f is nil.
func (o *Once[T]) Do(ctx context.Context, f func(ctx context.Context) (T, error)) (T, error) {
	if v := o.kept.Load(); v != nil && ctx != nil && f != nil {
		return *v, nil
	}
	return o.doSlow(ctx, f)
}

// doSlow is Do if no value was kept.
func (o *Once[T]) doSlow(ctx context.Context, f func(ctx context.Context) (T, error)) (v T, err error) {
	mustContext(ctx)
	if f == nil {
		panic("await: Do of a nil function")
	}
	if ctx.Err() != nil {
		return v, waitq.ContextError(ctx)
	}
	var caller load.Caller
	caller.Read(ctx) // without the lock: the methods of ctx may be user code
	c := &onceCall[T]{f: f}
	schedpoint.At(schedpoint.OnceMissed)
	if kept := o.join(&caller, c); kept != nil {
		return *kept, nil
	}
	if err := c.link(caller.Load); err != nil {
		return v, err
	}
	if err := c.fetch(ctx); err != nil {
		return v, err
	}
	return c.run.result()
}

// A onceRun is one call of a function. The result is written before the line is detached.
type onceRun[T any] struct {
	once *Once[T]
	ctx  load.Context
	v    *T // nil after an error
	err  error

	// once.mu guards the rest.
	line       waitq.Queue[struct{}]
	callerRuns bool // the first caller runs the function, and is in no line
	foreign    bool // there are wakers in line that are not of this package
}

// A onceCall is a call of Do that found no value: its run, and its place in line.
type onceCall[T any] struct {
	f      func(ctx context.Context) (T, error)
	run    *onceRun[T]
	runs   bool // this caller runs f
	starts bool // this caller starts f in a goroutine
	w      waitq.Waiter[struct{}]
	parker wake.Parker
	edge   *load.Edge // from the load that made the call, if one did, to the run
}

// join puts a caller in line for the run. If there is none, it makes one, unless there is
// a value by now, which it returns.
func (o *Once[T]) join(caller *load.Caller, c *onceCall[T]) *T {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v := o.kept.Load(); v != nil { // the second look
		return v
	}
	r := o.run
	if r == nil {
		r = &onceRun[T]{once: o, callerRuns: caller.Endless}
		r.ctx.Values = caller.Values()
		o.run = r
		c.runs, c.starts = r.callerRuns, !r.callerRuns
	}
	c.run = r
	if !c.runs {
		c.push(caller.Parker)
	}
	return nil
}

// push puts the caller in line, with the parker of its context or a new one.
func (c *onceCall[T]) push(parker wake.Parker) {
	c.run.foreign = c.run.foreign || parker != nil
	if parker == nil {
		parker = wake.NewParker()
	}
	c.parker, c.w.Waker = parker, parker
	c.run.line.Push(&c.w)
}

// link adds the edge of a call that was made by a load.
func (c *onceCall[T]) link(from *load.Context) (err error) {
	c.edge, err = load.WaitFor(from, &c.run.ctx) // a new run waits for no other yet
	if err == nil || !c.run.leave(&c.w) {        // or the result is there
		return nil
	}
	return err
}

// fetch runs the function, or waits for it. It fails if ctx ends first. The caller has
// then left the line.
func (c *onceCall[T]) fetch(ctx context.Context) error {
	defer c.end()
	switch {
	case c.runs:
		c.run.do(c.f)
		return nil
	case c.starts:
		go c.run.do(c.f)
	}
	for !c.w.Done() {
		err := c.parker.Park(ctx)
		schedpoint.At(schedpoint.OnceParked)
		if err != nil && c.run.leave(&c.w) {
			return waitq.ParkError(ctx, err)
		} else if err != nil {
			return nil // the result is there, and the wake is under way
		}
	}
	return nil
}

// end ends the call. If Park has panicked or ended the goroutine, it leaves the line.
func (c *onceCall[T]) end() {
	if !c.runs && !c.w.Done() {
		c.run.leave(&c.w)
	}
	if c.edge != nil {
		c.edge.End()
	}
}

// leave takes w out of line. It reports false if the result is there, or w has left
// before. When the last caller leaves, the run cannot be joined any more, and the function
// is canceled.
func (r *onceRun[T]) leave(w *waitq.Waiter[struct{}]) bool {
	o := r.once
	o.mu.Lock()
	left := r.line.Remove(w)
	last := left && r.line.Len() == 0 && !r.callerRuns
	if last {
		o.run = nil
	}
	o.mu.Unlock()
	schedpoint.At(schedpoint.OnceLeft)
	if last {
		r.ctx.Cancel(ErrAbandoned)
	}
	return left
}

// do calls f and ends the run, whatever f does.
func (r *onceRun[T]) do(f func(ctx context.Context) (T, error)) {
	var v T
	var err error
	load.Run(func() { v, err = f(&r.ctx) }, func(crash *PanicError) {
		if crash != nil {
			err = crash
		}
		r.end(&v, err)
	})
}

// end keeps the value, unless all callers have left, and wakes the callers.
func (r *onceRun[T]) end(v *T, err error) {
	if r.err = err; err == nil {
		r.v = v
	}
	schedpoint.At(schedpoint.OnceEnds)
	o := r.once
	o.mu.Lock()
	if o.run == r {
		o.kept.Store(r.v)
		o.run = nil
	}
	line := r.line.Detach()
	inGoroutine := r.callerRuns && r.foreign
	o.mu.Unlock()
	r.ctx.End()
	schedpoint.At(schedpoint.OnceWakes)
	if inGoroutine { // such wakers must not end the goroutine of a caller
		go wakeLine(line)
	} else {
		wakeLine(line)
	}
}

// result returns what the callers get. With an error they get no value.
func (r *onceRun[T]) result() (v T, err error) {
	if r.err != nil {
		return v, r.err
	}
	return *r.v, nil
}
