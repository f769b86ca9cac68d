package engine

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrConflict is matched by the error of a Write whose key was not as expected.
	ErrConflict = errors.New("cluster: the key has another revision")

	// ErrUnknown is matched by the error of a Write of which nobody can tell whether it
	// was applied.
	ErrUnknown = errors.New("cluster: outcome unknown")

	// ErrNoTTL is matched by the error of a Write with a TTL to a bucket in which the end
	// of a value is not told to watchers.
	ErrNoTTL = errors.New("cluster: the bucket cannot have TTLs")

	// ErrClosed is matched by the errors of a closed Engine.
	ErrClosed = errors.New("cluster: engine closed")

	// ErrKey is matched by the error for a key that the store cannot have, as one that is
	// too long.
	ErrKey = errors.New("cluster: invalid key")
)

// A ConflictError is the error of a [Write] whose key was not as expected.
type ConflictError struct {
	Key string
	// Revision is one at which the key was not as expected: that of its entry or
	// its deletion, or the newest of the bucket if there is no trace of the key.
	Revision uint64
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v: %q, at revision %d", ErrConflict, e.Key, e.Revision)
}

// Is reports whether target is [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Check returns an error if w can never be applied.
func (w *Write) Check() error {
	switch {
	case w.Delete && w.Expected == 0 && !w.Unconditional:
		return fmt.Errorf("cluster: a deletion of %q that expects it to be absent", w.Key)
	case w.Delete && (w.TTL != 0 || len(w.Value) > 0):
		return fmt.Errorf("cluster: a deletion of %q with a TTL or a value", w.Key)
	case w.TTL < 0:
		return fmt.Errorf("cluster: a negative TTL for %q", w.Key)
	}
	return nil
}

// ContextError returns an error that matches ctx.Err() and context.Cause(ctx). ctx has
// ended.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
