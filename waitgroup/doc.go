// Package waitgroup provides [Group], a sync.WaitGroup whose Wait takes a context
// and which may be used again at any time.
//
//	var g waitgroup.Group
//	for _, job := range jobs {
//		g.Go(func() { work(job) })
//	}
//	if err := g.Wait(ctx); err != nil {
//		return err // the jobs go on; Wait may be called again
//	}
//
// # Order
//
// All calls on a Group have one total order: each takes effect at one instant
// between its start and its return. When the count reaches zero, all waiters that
// are in line at that instant are released, and no others: a Wait that begins after
// the next Add waits for the next zero. So Add may race with Wait, and a Group
// needs no pause between two uses. An await.Select with a case of OnZero is in line as
// a Wait is, until one of its cases happens.
//
// There is one exception. While an Add counts up from zero, the waiters of that zero may
// still be in line until the Add returns: a Wait whose context ends meanwhile may return
// an error, a Stop may return true, and Idle may return the channel that this zero
// closes.
//
// # Concurrency
//
// All methods may be called from any goroutine, and from a task of an event
// loop whose context carries its parker. Wakers are called with no lock held, in the
// goroutine whose Done or Add reached zero, or in one that counts up from zero or leaves
// the line at that moment, so they must not block. If one panics or calls
// runtime.Goexit, the others are called all the same.
//
// In the terminology of the Go memory model, the calls of Add and Done that led to a zero
// happen before the return of every Wait that this zero releases, and before the close
// of the channel of Idle.
//
// # Errors
//
// A Wait whose context ends returns an error that matches ctx.Err() and
// context.Cause(ctx) with errors.Is. Under a context that carries a parker it may also
// return an error of that parker's own. A negative count, a count above 2^31-1 and a
// nil context panic.
//
// # Limits
//
// A Group that was used outside of a testing/synctest bubble, for example a package
// variable, can be used in one. A Wait that sleeps in a bubble must be
// released in the same bubble. [Group.Idle] says where its channel may be used.
package waitgroup
