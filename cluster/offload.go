package cluster

import (
	"context"
	"errors"
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

// offloadOr is offload. If a parker or a method of ctx ends it by a panic or runtime.Goexit before f has
// begun, f is not called, and orElse is.
func (b *Bucket) offloadOr(ctx context.Context, f func(ctx context.Context) error, orElse func()) (err error) {
	var begun atomic.Bool
	b.orUndo(func() {
		_, err = offload(ctx, func(ctx context.Context) (struct{}, error) {
			if begun.Swap(true) {
				return struct{}{}, ErrUnknown // nobody gets it
			}
			return struct{}{}, f(ctx)
		})
	}, func() {
		if !begun.Swap(true) {
			orElse()
		}
	})
	return err
}

// take removes the entry that has a revision. If a parker or a method of ctx ends it by a panic or
// runtime.Goexit, undo is called with the error of the write when that is over.
func (b *Bucket) take(ctx context.Context, key string, revision uint64, undo func(err error)) (err error) {
	over, removed := make(chan struct{}), ErrUnknown // unless the write returns
	b.orUndo(func() {
		err = b.offloadOr(ctx, func(ctx context.Context) error {
			defer close(over)
			_, removed = b.write(ctx, engine.Write{Key: key, Delete: true, Expected: revision})
			return removed
		}, func() {
			removed = errNotBegun
			close(over)
		})
	}, func() {
		<-over
		undo(removed)
	})
	return err
}

// errNotBegun is the error of a write that will not be made.
var errNotBegun = errors.New("cluster: the write has not begun")
