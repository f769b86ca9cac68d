package waitq

import "context"

// ContextError is the error of a wait whose context has ended. It matches
// both ctx.Err() and context.Cause(ctx) by errors.Is.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || cause == err {
		return err
	}
	return &contextError{err, cause}
}

// ParkError is the error of a wait whose Park failed with err: its context's,
// or the parker's own, of a loop that closed.
func ParkError(ctx context.Context, err error) error {
	if ctx.Err() == nil {
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
