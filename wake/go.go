package wake

import "context"

// A Spawner starts code of its own kind. A [Parker] may also be a Spawner, as a
// uringwake.Task is: then [Go] starts code where the parker's code runs.
type Spawner interface {
	// Spawn runs f under a context that has the values of ctx, but for the parker,
	// which is that of the new code. It does not wait for f. It fails if no new code
	// can be started, and then f is not run. It may be called from any goroutine.
	//
	// The context of f ends with ctx, but not because the Spawner's own code has
	// returned. After that return it ends with the parent of the context that this
	// code ran under, or at the deadline of ctx.
	Spawn(ctx context.Context, f func(ctx context.Context)) error
}

// Go runs f where the code under ctx runs: as a task on the same loop if ctx is the
// context of a task, and otherwise in a new goroutine. Go does not wait for f. So a
// library can start code of its caller's kind and need not choose between the two.
//
// The context of f has the values of ctx and ends with ctx. In a task it also ends with
// the loop, and it does not end because the starting task has returned, which ends the
// context of that task: from then on it ends with the parent of that context, or at the
// deadline of ctx. If ctx carries a parker that is no [Spawner], f runs in a goroutine
// and its context carries no parker.
//
// Go returns an error if the task cannot be started, as when its loop is closed; f is
// not run then. The call of Go happens before the start of f. Go panics if ctx or f is
// nil.
func Go(ctx context.Context, f func(ctx context.Context)) error {
	p, ok := FromContext(ctx)
	if f == nil {
		panic("wake: Go of a nil function")
	}
	if s, isSpawner := p.(Spawner); isSpawner {
		return s.Spawn(ctx, f)
	}
	if ok {
		ctx = WithParker(ctx, nil)
	}
	go f(ctx)
	return nil
}
