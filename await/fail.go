package await

import (
	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/waitq"
)

var (
	// ErrGoexit is the Value of the [PanicError] of a function that called
	// runtime.Goexit. Package dedup has the same error.
	ErrGoexit = load.ErrGoexit

	// ErrAbandoned is the cause with which the context of a [Once]'s function is canceled
	// when its last caller has left. Package dedup has the same error.
	ErrAbandoned = load.ErrAbandoned

	// ErrCycle is returned to a function that calls Do of its own [Once], with its own
	// context, or Do of one whose function waits for it: the function would wait for
	// itself. Package dedup has the same error, also for a function that waits for
	// itself through a dedup.Group or dedup.Cache.
	ErrCycle = load.ErrCycle
)

// A PanicError is the error of a function that panicked or called runtime.Goexit:
//
//	type PanicError struct {
//		Value any    // the argument of panic, or ErrGoexit
//		Stack []byte // the stack of the goroutine that ran the function, as of debug.Stack
//	}
//
// The text of the error contains the value and the stack of the panic. Its Unwrap method
// returns Value if that is an error, else nil. Package dedup has the same type.
type PanicError = load.PanicError

// wakeLine wakes the waiters of a line, which are those of functions. It drops the panic of
// a waker: the goroutine is that of a function, where no user code could recover it.
func wakeLine(line waitq.List[struct{}]) {
	defer func() { _ = recover() }()
	line.Release()
}
