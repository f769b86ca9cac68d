package cluster

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/vigil-go/vigil/cluster/engine"
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
	call.err = fmt.Errorf("%w: an engine or a context has ended the goroutine", ErrUnknown)
	go func() {
		defer func() {
			call.done.Store(true)
			p.Wake()
		}()
		call.result, call.err = f(wake.WithParker(ctx, nil))
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
// learn what it has taken, and undo is called in a goroutine. Close waits for that as for a lease.
func (b *Bucket) orUndo(f, undo func()) {
	returned := false
	defer func() {
		if !returned {
			b.leases.Add(1)
			go func() {
				defer b.leases.Done()
				undo()
			}()
		}
	}()
	f()
	returned = true
}

// take removes the entry that has a revision. If a parker ends it by a panic or runtime.Goexit
// when the write has begun, undo is called with the write's error when it is over.
func (b *Bucket) take(ctx context.Context, key string, revision uint64, undo func(err error)) (err error) {
	var begun atomic.Bool
	over, removed := make(chan struct{}), ErrUnknown // unless the write returns
	remove := func(ctx context.Context) (struct{}, error) {
		if begun.Swap(true) {
			return struct{}{}, ErrUnknown // nobody gets it
		}
		defer close(over)
		_, removed = b.write(ctx, engine.Write{Key: key, Delete: true, Expected: revision})
		return struct{}{}, removed
	}
	b.orUndo(func() { _, err = offload(ctx, remove) }, func() {
		if begun.Swap(true) {
			<-over
			undo(removed)
		}
	})
	return err
}
