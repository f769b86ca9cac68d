package dedup

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// A loadContext is the context of a load: the values of its first caller's, an
// end of its own. It is part of the flight, and costs nothing more until
// somebody asks for its end or it ends early.
//
// Then it has a real context, of which it is a face: Value gives that one's
// values first. By them package context finds out that Done and Cause are a
// context's of its own, and children need no goroutine.
type loadContext struct {
	values context.Context
	life   atomic.Pointer[life] // nil: nobody asked yet
	node   *node                // nil: it has to do with no other load; guarded by nesting
}

// A life is an end that may come.
type life struct {
	ctx context.Context
	end context.CancelCauseFunc
}

// over is the life of a context that nobody asked for before its load ended.
var over = newLife()

func init() { over.end(nil) }

func newLife() *life {
	l := new(life)
	l.ctx, l.end = context.WithCancelCause(context.Background())
	return l
}

// live returns the life, and makes it if there is none.
func (c *loadContext) live() *life {
	if l := c.life.Load(); l != nil {
		return l
	}
	c.life.CompareAndSwap(nil, newLife())
	return c.life.Load()
}

// cancel ends the context with a cause, unless it has ended.
func (c *loadContext) cancel(cause error) { c.live().end(cause) }

// finish ends the context because the load has.
func (c *loadContext) finish() {
	if !c.life.CompareAndSwap(nil, over) {
		c.cancel(nil)
	}
}

func (c *loadContext) Deadline() (deadline time.Time, ok bool) { return deadline, false }

func (c *loadContext) Done() <-chan struct{} { return c.live().ctx.Done() }

func (c *loadContext) Err() error {
	if l := c.life.Load(); l != nil {
		return l.ctx.Err()
	}
	return nil
}

func (c *loadContext) Value(key any) any {
	if key == (loadKey{}) {
		return c
	}
	if l := c.life.Load(); l != nil {
		if v := l.ctx.Value(key); v != nil {
			return v
		}
	}
	return c.values.Value(key)
}

func (c *loadContext) String() string { return "dedup.load" }

// valuesOf is ctx without its parker, which belongs to the caller alone.
func valuesOf(ctx context.Context) context.Context {
	if _, ok := wake.Carried(ctx); ok {
		return wake.WithParker(ctx, nil)
	}
	return ctx
}
