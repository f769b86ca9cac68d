package waitmap

import (
	"context"

	"github.com/vigil-go/vigil/internal/waitq"
)

var (
	// ErrCanceled is returned by a wait that [Map.Cancel], [Map.CancelCause]
	// or [Map.CancelAll] ended, and by a [Future] that [Future.Stop] ended.
	ErrCanceled error = canceled

	// ErrClosed is returned by a wait that [Map.Close] ended, and by a wait
	// for an absent key after Close. It does not match [ErrCanceled].
	ErrClosed error = closed
)

var (
	canceled = &stopError{text: "waitmap: wait canceled"}
	closed   = &stopError{text: "waitmap: map closed"}
)

// A stopError is the reason why a wait ended without a value.
type stopError struct {
	text  string
	kind  *stopError
	cause error
}

// canceledBy returns an error that matches ErrCanceled and cause.
func canceledBy(cause error) *stopError {
	if cause == nil || cause == ErrCanceled {
		return canceled
	}
	return &stopError{text: canceled.text + ": " + cause.Error(), kind: canceled, cause: cause}
}

func (e *stopError) Error() string { return e.text }

func (e *stopError) Unwrap() []error {
	if e.kind == nil {
		return nil
	}
	return []error{e.kind, e.cause}
}

func mustContext(ctx context.Context) { waitq.MustContext(ctx, "waitmap") }
