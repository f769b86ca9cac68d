// Package waitgroup has [Group]: sync.WaitGroup, with a context for Wait, and
// without its rules for reuse.
//
//	var g waitgroup.Group
//	for _, job := range jobs {
//		g.Go(func() { work(job) })
//	}
//	if err := g.Wait(ctx); err != nil {
//		return err // the jobs go on; Wait again if you like
//	}
//
// # Order
//
// There is one total order of all calls on a Group: each takes effect at one
// instant between its start and its return. When the count reaches zero, all
// who are in line at that instant are released, and nobody else: a Wait that
// began after the next Add waits for the next zero. So a Group may be used
// again at any time, and Add may race with Wait.
//
// There is one exception, as short as the Add that counts up from zero: until
// that returns, a Wait whose context ends, and a Stop, may still leave the line
// though the zero has released it, and Idle may give the channel that this zero
// closes.
//
// # Concurrency
//
// All methods may be called from any goroutine, and from a task of an event
// loop whose context carries its parker. Wakers run after a call took effect,
// with nothing locked: in the goroutine whose Done or Add reached zero, as a
// rule, else in one that counts up from there or leaves the line at that
// moment. An Add or Done happens before the return of every Wait that it
// releases, and before the closing of the channel of Idle. If a waker panics or
// calls runtime.Goexit, the others run all the same.
//
// A Group that was used outside of a testing/synctest bubble, as a variable of a
// package may be, can be used in one. A Wait that sleeps in a bubble must be
// released in the same bubble; [Group.Idle] tells what else may not cross.
package waitgroup
