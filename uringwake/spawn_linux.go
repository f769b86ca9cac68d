package uringwake

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

func (t *Task) spawn(ctx context.Context, f func(ctx context.Context)) error {
	waitq.MustContext(ctx, "uringwake")
	if f == nil {
		panic("uringwake: Spawn of a nil function")
	}
	return t.loop.start(t.parentFor(ctx), f)
}

// parentFor returns the parent for the context of a task that t starts under ctx. It
// has the values of ctx, and ends with ctx, but not because t has returned.
func (t *Task) parentFor(ctx context.Context) context.Context {
	done, endless := ctx.Done(), t.unlink == nil
	switch {
	case ctx == t.ctx:
		return t.parent // so a task that starts its own successor adds no layer
	case done == t.done && endless:
		return context.WithoutCancel(ctx) // the loop's end is its only one
	case done == t.done:
		return withValues(t.parent, ctx)
	case done == nil || endless: // it does not end with t
		return ctx
	}
	return &spawnContext{
		Context: tamed(ctx), returned: returned{t.id}, outer: tamed(t.parent), done: make(chan struct{}),
	}
}

// returned is the cause of the end of a task's context when the task has returned. The
// number of the task tells it from the end of another task that ctx depends on.
type returned struct{ id uint64 }

func (r returned) Error() string {
	return "uringwake: task " + strconv.FormatUint(r.id, 10) + " has returned"
}

// Is reports whether target is what the Err of the context returns.
func (returned) Is(target error) bool { return target == context.Canceled }

// withValues returns a context that ends with ctx and has the values of another one.
func withValues(ctx, values context.Context) context.Context {
	// WithoutCancel hides the key by which package context finds what can be canceled.
	v := valuesContext{ctx, context.WithoutCancel(values)}
	if a, ok := ctx.(afterFuncer); ok {
		return valuesAfterFuncer{v, a}
	}
	return v
}

type valuesContext struct {
	context.Context
	values context.Context
}

// Value takes from the context that ends only what package context keeps there, which
// is a context. It may have other values, which a nil hides in c.values.
func (c valuesContext) Value(key any) any {
	if v := c.values.Value(key); v != nil {
		return v
	}
	if v, ok := c.Context.Value(key).(context.Context); ok {
		return v
	}
	return nil
}

type valuesAfterFuncer struct {
	valuesContext
	afterFuncer
}

// A spawnContext is the parent for the context of a task that was started under a
// context which ends when the starter returns. It ends with that context, except that
// after the return of the starter it ends with the parent of the starter's context, or
// at its deadline.
//
// It is registered with these contexts while a context is derived from it by package
// context, which uses AfterFunc for that. Its Done is of use to package context only:
// if nothing is derived, its end is seen when Done is called.
type spawnContext struct {
	context.Context                 // that Spawn was called with
	returned        error           // its cause if the starter has returned
	outer           context.Context // the parent of the starter's context
	done            chan struct{}
	end             atomic.Pointer[contextEnd]
}

// contextEnd is how a spawnContext has ended.
type contextEnd struct {
	err   error
	cause context.Context // knows the one key by which package context finds the cause
}

// Done is closed if c has ended before its call, even if no goroutine has seen the end
// yet. So a task that is started under an ended context finds its own ended.
func (c *spawnContext) Done() <-chan struct{} {
	if c.end.Load() == nil && isClosed(c.Context.Done()) {
		source, release := c.source()
		defer release()
		if isClosed(source.Done()) {
			c.endWith(source)
		}
	}
	return c.done
}

func (c *spawnContext) Err() error {
	if e := c.end.Load(); e != nil {
		return e.err
	}
	return nil
}

func (c *spawnContext) Value(key any) any {
	if e := c.end.Load(); e != nil {
		if v := e.cause.Value(key); v != nil {
			return v
		}
	}
	return c.Context.Value(key)
}

// source returns the context with which c ends, when the one that Spawn was called with
// has ended: that one or, if the starter has returned, what is left of it. The caller
// calls release when it does not need source any more.
func (c *spawnContext) source() (source context.Context, release context.CancelFunc) {
	if context.Cause(c.Context) != c.returned {
		return c.Context, func() {}
	}
	if d, ok := c.Deadline(); ok {
		return context.WithDeadline(c.outer, d)
	}
	return c.outer, func() {}
}

// endWith ends c with the error and the cause of source, which has ended.
func (c *spawnContext) endWith(source context.Context) {
	cause, cancel := context.WithCancelCause(context.Background())
	cancel(whyEnded(source))
	if c.end.CompareAndSwap(nil, &contextEnd{source.Err(), cause}) {
		close(c.done)
	}
}

// AfterFunc is what package context calls to derive from c.
func (c *spawnContext) AfterFunc(f func()) (stop func() bool) {
	w := &spawnWatch{c: c, f: f}
	w.watch(c.Context, w.firstEnded)
	return w.stop
}

// A spawnWatch calls f when c has ended.
type spawnWatch struct {
	c *spawnContext
	f func()

	mu      sync.Mutex
	stopped bool
	undo    []func() // unregisters from what was watched
}

// firstEnded runs in a goroutine of its own, when the context that Spawn was called
// with has ended.
func (w *spawnWatch) firstEnded() {
	source, release := w.c.source()
	schedpoint.At(schedpoint.TaskFollows)
	w.keep(release)
	w.watch(source, func() { w.ended(source) })
}

func (w *spawnWatch) watch(source context.Context, f func()) {
	stop := context.AfterFunc(source, f)
	w.keep(func() { stop() })
}

// keep has undo called by stop. If stop was called before, by the task's end, keep calls
// undo.
func (w *spawnWatch) keep(undo func()) {
	w.mu.Lock()
	stopped := w.stopped
	if !stopped {
		w.undo = append(w.undo, undo)
	}
	w.mu.Unlock()
	if stopped {
		undo()
	}
}

func (w *spawnWatch) ended(source context.Context) {
	if w.stop() {
		w.c.endWith(source)
		w.f()
	}
}

// stop unregisters w. It reports whether it prevented the call of f.
func (w *spawnWatch) stop() bool {
	w.mu.Lock()
	first, undo := !w.stopped, w.undo
	w.stopped, w.undo = true, nil
	w.mu.Unlock()
	for _, f := range undo {
		f()
	}
	return first
}
