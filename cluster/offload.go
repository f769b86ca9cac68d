package cluster

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/vigil-go/vigil/wake"
)

// offload calls f. In a task of an event loop it calls f in a goroutine, and the task
// sleeps, because f blocks its goroutine.
func offload[T any](ctx context.Context, f func(ctx context.Context) (T, error)) (T, error) {
	p, ok := wake.FromContext(ctx)
	if !ok {
		return f(ctx)
	}
	var call struct {
		result T
		err    error
		done   atomic.Bool
	}
	go func() {
		call.result, call.err = f(wake.WithParker(ctx, nil))
		call.done.Store(true)
		p.Wake()
	}()
	for asleep := context.WithoutCancel(ctx); !call.done.Load(); { // f ends when ctx does
		if err := p.Park(asleep); err != nil && !call.done.Load() {
			var zero T
			return zero, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
	}
	return call.result, call.err
}

// orUndo calls f. If a parker or a waker ends it by a panic or runtime.Goexit, the caller does not
// learn what it has taken, and undo is called in a goroutine.
func orUndo(f, undo func()) {
	returned := false
	defer func() {
		if !returned {
			go undo()
		}
	}()
	f()
	returned = true
}
