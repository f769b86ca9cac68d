package wake

import (
	"context"
	"time"
)

// A Sleeper has a timer of its own. A [Parker] may also be a Sleeper, as a
// uringwake.Task is: then await.Sleep uses that timer, and otherwise one of Go's
// runtime.
type Sleeper interface {
	// Sleep waits until the duration d has passed and returns nil, or returns an error
	// that matches both ctx.Err() and context.Cause(ctx) if ctx ends first. A d of zero
	// or less has passed already, but if ctx has ended before, Sleep returns the error.
	// As with Park, only the code that the Sleeper belongs to may call it.
	Sleep(ctx context.Context, d time.Duration) error
}
