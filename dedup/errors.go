package dedup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/waitq"
)

var (
	// ErrTooManyWaiters is returned at once to a caller that asks for a key for which
	// [CacheOptions].MaxWaiters callers wait already.
	ErrTooManyWaiters = errors.New("dedup: too many callers wait for this key")

	// ErrClosed is the error of calls of a closed Cache, and of calls that wait when it
	// is closed. It is also the cause with which [Cache.Close] cancels the contexts of
	// loads.
	ErrClosed = errors.New("dedup: cache closed")

	// ErrGoexit is the Value of the [PanicError] of a load that called runtime.Goexit.
	// Package await has the same error.
	ErrGoexit = load.ErrGoexit

	// ErrAbandoned is the cause with which the context of a load is canceled when its
	// last caller has left, or when [Cache.Put], [Cache.Invalidate], [Cache.InvalidateFunc]
	// or [Cache.InvalidateAll] makes a load in the background useless that has no callers.
	// Package await has the same error.
	ErrAbandoned = load.ErrAbandoned

	// ErrCycle is returned to a load that asks, with its own context, for its own key or
	// for a key whose load waits for it: the load would wait for itself. Package await
	// has the same error, also for a load that waits for itself through an await.Once.
	ErrCycle = load.ErrCycle

	// ErrGone is returned, or wrapped, by a load to say that there is no value for its key
	// any more. What is kept for the key is removed, whether the load was made for a
	// caller or in the background, and no old value is returned instead of the error. The
	// error itself is kept according to ErrorTTL and ErrorTTLOf.
	ErrGone = errors.New("dedup: gone")

	// ErrNotLoaded is the error for a key for which [CacheOptions].LoadMany returned
	// neither a value nor an error.
	ErrNotLoaded = errors.New("dedup: LoadMany returned no value for this key")
)

// A PanicError is the error of a load that panicked or called runtime.Goexit:
//
//	type PanicError struct {
//		Value any    // the argument of panic, or ErrGoexit
//		Stack []byte // the stack of the goroutine that ran the load, as of debug.Stack
//	}
//
// The text of the error contains the value and the stack of the panic. Its Unwrap method
// returns Value if that is an error, else nil. Package await has the same type.
type PanicError = load.PanicError

// A KeyErrors is what [CacheOptions].LoadMany may return as its error, also wrapped: the
// errors of some keys. Each reaches the callers of its key, even if there is a value for the
// key. The other keys without a value fail with [ErrNotLoaded].
type KeyErrors[K comparable] map[K]error

// Error returns a text that contains neither the keys nor their errors.
func (e KeyErrors[K]) Error() string { return fmt.Sprintf("dedup: %d keys failed", len(e)) }

// Unwrap returns the errors, in no particular order.
func (e KeyErrors[K]) Unwrap() []error { return slices.Collect(maps.Values(e)) }

// A KeyError is the error for one key of a call of [Cache.GetMany] or [Cache.RefreshMany].
// Its text does not contain the key, which may be secret.
type KeyError[K comparable] struct {
	Key K
	Err error
}

// Error returns the text of Err.
func (e *KeyError[K]) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *KeyError[K]) Unwrap() error { return e.Err }

func mustContext(ctx context.Context) { waitq.MustContext(ctx, "dedup") }
