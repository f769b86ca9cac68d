package dedup

import (
	"context"
	"errors"
	"fmt"

	"github.com/vigil-go/vigil/internal/waitq"
)

var (
	// ErrTooManyWaiters is what a caller gets at once whose key has
	// [CacheOptions].MaxWaiters callers already.
	ErrTooManyWaiters = errors.New("dedup: too many callers wait for this key")

	// ErrClosed is what the callers of a closed Cache get. It is also the
	// cause that the contexts of loads end with which Close canceled.
	ErrClosed = errors.New("dedup: cache closed")

	// ErrGoexit is the Value of the [PanicError] of a load that called
	// runtime.Goexit.
	ErrGoexit = errors.New("dedup: the load called runtime.Goexit")

	// ErrAbandoned is the cause that the context of a load ends with when
	// its last caller has left.
	ErrAbandoned = errors.New("dedup: nobody waits for this load any more")

	// ErrCycle is what a load gets that asks, under its context, for its own
	// key or for one whose load waits for it: it would wait for itself.
	ErrCycle = errors.New("dedup: a load waits for itself")

	// ErrNotLoaded is what a key of [Cache.GetMany] gets that
	// [CacheOptions].LoadMany left out of its answer.
	ErrNotLoaded = errors.New("dedup: LoadMany returned no value for this key")
)

// A PanicError is what every caller gets of a load that panicked or, with
// [ErrGoexit] as its Value, called runtime.Goexit.
type PanicError struct {
	Value any    // what the load panicked with
	Stack []byte // of the load's goroutine
}

// Error says what the load panicked with, and where.
func (e *PanicError) Error() string {
	if e.Value == ErrGoexit {
		return ErrGoexit.Error()
	}
	return fmt.Sprintf("dedup: the load panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns Value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// A KeyError is the error of one key among those of [Cache.GetMany]. Its text
// leaves the key out, which may be a secret; find it by errors.As.
type KeyError[K comparable] struct {
	Key K
	Err error
}

// Error is Err's text.
func (e *KeyError[K]) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *KeyError[K]) Unwrap() error { return e.Err }

func mustContext(ctx context.Context) { waitq.MustContext(ctx, "dedup") }
