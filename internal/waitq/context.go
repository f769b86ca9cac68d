package waitq

import (
	"context"
	"reflect"
)

// ContextError returns the error of a wait whose context has ended. It is never nil,
// and matches both ctx.Err() and context.Cause(ctx) with errors.Is. ContextError calls
// the context's methods, which may panic, so the caller has left its line before.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil { // although Done is closed
		err = context.Canceled
	}
	if cause == nil || same(cause, err) {
		return err
	}
	return &contextError{err, cause}
}

// same is ==, also for errors of types for which == panics.
func same(a, b error) bool {
	if !reflect.ValueOf(a).Comparable() {
		return reflect.DeepEqual(a, b)
	}
	return a == b
}

// ParkError returns the error of a wait whose Park failed with err: the context's, or
// the parker's own if the context has not ended, as of a loop that was closed. The
// caller has left its line before. The error is never nil.
func ParkError(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil {
		return err
	}
	return ContextError(ctx)
}

// MustContext panics with the package's name if ctx is nil.
func MustContext(ctx context.Context, pkg string) {
	if ctx == nil {
		panic(pkg + ": nil context")
	}
}

type contextError struct{ err, cause error }

func (e *contextError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e *contextError) Unwrap() []error { return []error{e.err, e.cause} }
