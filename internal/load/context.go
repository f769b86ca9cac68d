package load

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// A Context is the context of a load. It has the values of its first caller's context
// and an end of its own. It is part of what describes the load, and costs nothing more
// until it is asked for its end, or ends early.
//
// From then on it forwards to a real context, and Value looks there first. That is how
// package context recognizes Done and Cause as those of a context of its own, so that
// children need no goroutine.
type Context struct {
	Values context.Context            // of the first caller, without the parker; set before use
	lazy   atomic.Pointer[lazyCancel] // nil: not asked for yet
	node   *node                      // nil: not related to another load; guarded by nesting
}

// A lazyCancel is the cancelable context behind a Context.
type lazyCancel struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  atomic.Bool // set when the load has ended; its partner is WaitFor
}

// alreadyEnded is shared by the contexts that had no lazyCancel when their load ended.
var alreadyEnded = newLazyCancel()

func init() {
	alreadyEnded.ended.Store(true)
	alreadyEnded.cancel(nil)
}

func newLazyCancel() *lazyCancel {
	l := new(lazyCancel)
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// init returns the lazyCancel. The first call makes it.
func (c *Context) init() *lazyCancel {
	if l := c.lazy.Load(); l != nil {
		return l
	}
	c.lazy.CompareAndSwap(nil, newLazyCancel())
	return c.lazy.Load()
}

// Cancel ends the context with a cause, unless it has ended.
func (c *Context) Cancel(cause error) { c.init().cancel(cause) }

// End ends the context when the load has ended.
func (c *Context) End() {
	if !c.lazy.CompareAndSwap(nil, alreadyEnded) {
		c.init().ended.Store(true)
		c.Cancel(nil)
	}
}

// Ended reports whether the load has ended.
func (c *Context) Ended() bool {
	l := c.lazy.Load()
	return l != nil && l.ended.Load()
}

func (c *Context) Deadline() (deadline time.Time, ok bool) { return deadline, false }

func (c *Context) Done() <-chan struct{} { return c.init().ctx.Done() }

func (c *Context) Err() error {
	if l := c.lazy.Load(); l != nil {
		return l.ctx.Err()
	}
	return nil
}

func (c *Context) Value(key any) any {
	if key == (loadKey{}) {
		return c
	}
	if l := c.lazy.Load(); l != nil {
		if v := l.ctx.Value(key); v != nil {
			return v
		}
	}
	return c.Values.Value(key)
}

func (c *Context) String() string { return "vigil.load" }

// ValuesOf returns ctx without its parker, which belongs to the caller alone.
func ValuesOf(ctx context.Context) context.Context {
	if _, ok := wake.FromContext(ctx); ok {
		return wake.WithParker(ctx, nil)
	}
	return ctx
}
