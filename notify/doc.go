// Package notify provides [Notify], which wakes waiters one at a time or all
// together, and remembers one wake if there is no waiter. It does the work of
// sync.Cond, but the caller needs no lock, and each wait takes a context.
//
// If each change concerns one waiter, as with a queue of jobs, Wait and NotifyOne
// suffice:
//
//	var n notify.Notify
//
//	// The producer:
//	queue.Push(job)
//	n.NotifyOne()
//
//	// A worker:
//	for {
//		if job, ok := queue.Pop(); ok {
//			do(job)
//		} else if err := n.Wait(ctx); err != nil {
//			return err
//		}
//	}
//
// If the producer calls NotifyOne while no worker waits, the Notify keeps a permit,
// and the next Wait takes it and returns at once. So no job is left behind. There is at
// most one permit: if several jobs were pushed while no worker waited, one worker is
// woken and does them all.
//
// If a change concerns all waiters, a waiter looks at its condition, gets in line,
// and looks again before it sleeps. A [Listener] is in line when [Notify.Listen]
// returns it:
//
//	for !ready() {
//		l := n.Listen()
//		if ready() { // the second look
//			l.Stop()
//			break
//		}
//		if err := l.Wait(ctx); err != nil {
//			l.Stop()
//			return err
//		}
//	}
//
// The goroutine that makes ready return true calls [Notify.NotifyWaiters] after that.
//
// # Order
//
// All calls on a Notify have one total order: each takes effect at one instant
// between its start and its return. A Notify has a line of waiters and at most one
// permit, never both:
//
//   - NotifyOne picks the first waiter in line, and NotifyLast the last: it takes
//     the waiter out of the line and wakes it. If the line is empty, they keep a
//     permit instead.
//   - NotifyN picks the first k waiters, and NotifyWaiters all of them. They neither
//     keep nor take a permit, and do not reach waiters that get in line later.
//   - Wait, TryWait, Listen and Register take the permit if there is one.
//     Otherwise TryWait returns false, and the others get in line at the end.
//   - A Wait whose context ends leaves the line. If it was picked before, it
//     returns nil instead. A Listener leaves the line by Stop.
//   - An await.Select with a case of OnNotify takes the permit or gets in line as
//     Wait does, unless another of its cases happens. From then on it is not picked:
//     all notifications pass it over, and NotifyN and NotifyWaiters do not count it.
//   - A waiter that was picked can leave without consuming its wake: a Listener by
//     Stop, a Wait or a Select if its parker panics or ends the goroutine. A wake of
//     NotifyOne or NotifyLast, or the permit, then goes in the same instant to
//     the first waiter in line, or is kept as the permit. A wake of NotifyN or
//     NotifyWaiters is dropped, since these calls are for the waiters of one
//     instant.
//
// # Concurrency
//
// All methods may be called from any goroutine, and from a task of an event
// loop whose context carries its parker. Wakers are called in the goroutine whose call
// picked the waiter, with no lock held and before that call returns, so they must not
// block. If one panics or calls runtime.Goexit, the others are called all the same.
//
// In the terminology of the Go memory model, NotifyOne, NotifyLast, NotifyN and
// NotifyWaiters happen before the return of every wait that they release. If several
// calls of NotifyOne share a permit, all of them happen before the return of the wait
// that takes it.
//
// # Errors
//
// A wait whose context ends returns an error that matches ctx.Err() and
// context.Cause(ctx) with errors.Is. Under a context that carries a parker it may also
// return an error of that parker's own. The Wait of a Listener that was stopped
// returns [ErrStopped]. A nil context and a negative number panic.
//
// # Limits
//
// A Notify that was used outside of a testing/synctest bubble, for example a package
// variable, can be used in one. A Wait that sleeps in a bubble must be woken in
// the same bubble. [Listener.C] says where its channel may be used.
package notify
