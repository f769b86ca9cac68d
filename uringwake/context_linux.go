package uringwake

import "context"

// whyEnded is why ctx, which has ended, has. It is never nil, whatever ctx says:
// a waiter that gets nil parks again, without end.
func whyEnded(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Canceled
}

// over reports whether done, a context's, is closed.
func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// tamed returns ctx for package context to derive from. That asks Err when Done is
// closed, in another goroutine if ctx is not one of its own, and panics there if
// Err does, or returns nil.
func tamed(ctx context.Context) context.Context {
	if a, ok := ctx.(afterFuncer); ok {
		return tameAfterFuncer{tame{ctx}, a}
	}
	return tame{ctx}
}

// An afterFuncer is a context that package context need not watch.
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
		if recover() != nil || err == nil && over(c.Done()) {
			err = context.Canceled
		}
	}()
	return c.Context.Err()
}
