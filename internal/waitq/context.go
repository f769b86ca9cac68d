package waitq

import (
	"context"
	"reflect"
)

// ContextError is the error of a wait whose context has ended, and never nil.
// It matches both ctx.Err() and context.Cause(ctx) by errors.Is. It calls the
// context's methods, which may panic: leave the line first.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil { // its Done is closed all the same
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

// ParkError is the error of a wait whose Park failed with err: its context's,
// or the parker's own, of a loop that closed. As ContextError it is never nil,
// and is made when the line has been left.
func ParkError(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil {
		return err
	}
	return ContextError(ctx)
}

// MustContext panics, with the package's name, if there is no context.
func MustContext(ctx context.Context, pkg string) {
	if ctx == nil {
		panic(pkg + ": nil context")
	}
}

type contextError struct{ err, cause error }

func (e *contextError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e *contextError) Unwrap() []error { return []error{e.err, e.cause} }
