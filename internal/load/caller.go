package load

import (
	"context"

	"github.com/vigil-go/vigil/wake"
)

var background = context.Background()

// A Caller is what the context of a call says about the caller.
type Caller struct {
	Ctx     context.Context
	Load    *Context    // the load that makes the call, or nil
	Parker  wake.Parker // of the context, or nil
	Endless bool        // the caller is a goroutine that cannot leave
}

// Read calls the methods of ctx, which may be user code.
func (c *Caller) Read(ctx context.Context) {
	c.Ctx = ctx
	if ctx == background {
		c.Endless = true
		return
	}
	c.Load = Of(ctx)
	c.Parker, _ = wake.FromContext(ctx)
	c.Endless = c.Parker == nil && ctx.Done() == nil
}

// Values returns the context without its parker, which belongs to the caller alone.
func (c *Caller) Values() context.Context {
	if c.Parker != nil {
		return wake.WithParker(c.Ctx, nil)
	}
	return c.Ctx
}
