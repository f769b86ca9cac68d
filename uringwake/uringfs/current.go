package uringfs

import "context"

// current returns the context of the task that runs on this thread, or else
// context.Background(). Methods without a context use it.
func current() context.Context { return context.Background() }
