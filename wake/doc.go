// Package wake is the contract between goroutines that wait and goroutines that
// wake them. The other packages of the module implement it. A program needs it to
// write a wait of its own, or to run the module's waits on an event loop of its
// own.
//
// A waiter registers a [Waker], and the goroutine that makes the waiter's condition
// true calls it. A wait gets in line, and then looks at its condition before each
// sleep:
//
//	p := wake.ParkerFrom(ctx)
//	register(p)         // get in line
//	defer unregister(p) // leave the line
//	for !condition() {
//		if err := p.Park(ctx); err != nil {
//			return err
//		}
//	}
//	return nil
//
// The look after getting in line is what prevents a lost wake: a condition that
// became true before it is seen, and one that becomes true later wakes the waiter.
//
// The context decides how the code that runs under it sleeps. In an ordinary
// goroutine, Park receives from a channel. In a task of an event loop, such as one of
// package uringwake, Park switches back to the loop. [WithParker] puts a [Parker] into
// a context, and [ParkerFrom] returns it. Every blocking call of the module sleeps
// through the Parker that its context carries, so the same code serves goroutines and
// tasks.
//
// [Go] starts code where the code under a context runs: as a task of the same loop, or in
// a new goroutine. So a library that starts code for its caller need not know which of the
// two its caller is. The new code has a parker of its own.
//
// # Concurrency
//
// A Waker may be called from any goroutine. It is called with no lock of this
// module held, and must not block. In the terminology of the Go memory model, a Wake
// that stores a permit happens before the return of the Park that takes the permit.
//
// # Errors
//
// Park returns context.Cause(ctx) if ctx ends first. A nil context panics.
//
// # Limits
//
// A Parker belongs to one sleeper at a time. [NewParker] allocates a channel, which
// belongs to the testing/synctest bubble in which it was made, if any.
package wake
