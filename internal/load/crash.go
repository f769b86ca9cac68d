package load

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// The errors of dedup and await that have the same meaning in both. A load of one may
// call the other, so its caller may get the error of either.
var (
	ErrGoexit    = errors.New("vigil: the function called runtime.Goexit")
	ErrAbandoned = errors.New("vigil: no caller waits for the function any more")
	ErrCycle     = errors.New("vigil: the function waits for itself")
)

// A PanicError is the error of a function that panicked or called runtime.Goexit.
type PanicError struct {
	Value any    // the argument of panic, or ErrGoexit
	Stack []byte // the stack of the goroutine that ran the function, as of debug.Stack
}

// Error returns a text that contains the value and the stack of the panic.
func (e *PanicError) Error() string {
	if e.Value == ErrGoexit {
		return ErrGoexit.Error()
	}
	return fmt.Sprintf("vigil: the function panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns Value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Panicked returns the error of a function that did not return. value is the result of
// recover, nil after a Goexit.
func Panicked(value any) *PanicError {
	if value == nil {
		value = ErrGoexit
	}
	return &PanicError{Value: value, Stack: debug.Stack()}
}

// Run calls f and then end: with nil if f has returned, else with the error that says
// what f did. After a Goexit in f the goroutine exits once end has returned.
func Run(f func(), end func(crash *PanicError)) {
	var crash *PanicError
	returned := false
	defer func() {
		if !returned {
			crash = Panicked(recover())
		}
		end(crash)
	}()
	f()
	returned = true
}
