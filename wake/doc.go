// Package wake is the contract between those who wait and those who wake.
//
// A waiter leaves a [Waker] behind; whoever makes its condition true calls it.
// The protocol is always the same three steps, and the second look is what
// makes a lost wake impossible:
//
//	p := wake.ParkerFrom(ctx)
//	register(p)                        // 1. be in line
//	for !condition() {                 // 2. look again
//		if err := p.Park(ctx); err != nil {
//			unregister(p)      // 3. leave no trace
//			return err
//		}
//	}
//
// How the code under a context sleeps is the context's business: a goroutine
// receives from a channel, a task of an event loop switches back to its loop.
// [WithParker] puts that knowledge into a context, [ParkerFrom] takes it out.
// Every blocking call of this module sleeps through ParkerFrom, so the same
// line of code serves goroutines and tasks.
//
// # Concurrency
//
// Wakers are called from any goroutine, with no lock of this module held, and
// must not block. A wake happens before the return of the Park that takes its
// permit.
package wake
