package uringwake

import "context"

// whyEnded returns the cause of the end of ctx, which has ended. It is never nil,
// whatever ctx returns: a waiter that gets nil would park again, without end.
func whyEnded(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Canceled
}

// isClosed reports whether done, a context's, is closed.
func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// tamed returns ctx for package context to derive from. Package context calls Err
// when Done is closed, in another goroutine if ctx is of a foreign type, and that
// goroutine panics if Err panics or returns nil.
func tamed(ctx context.Context) context.Context {
	if a, ok := ctx.(afterFuncer); ok {
		return tameAfterFuncer{tame{ctx}, a}
	}
	return tame{ctx}
}

// An afterFuncer is a context that package context does not watch by a goroutine.
type afterFuncer interface {
	AfterFunc(f func()) (stop func() bool)
}

type tameAfterFuncer struct {
	tame
	afterFuncer
}

type tame struct{ context.Context }

func (c tame) Err() (err error) {
	defer func() {
		if recover() != nil || err == nil && isClosed(c.Done()) {
			err = context.Canceled
		}
	}()
	return c.Context.Err()
}
