// Package notify has [Notify]: a condition without a lock, that remembers one
// wake.
//
// Who waits for something looks at it, gets in line, looks again, and sleeps.
// Without the second look a wake between the first look and the line would be
// lost; [Notify.Listen] is in line when it returns, so that is all there is to
// do:
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
// Where one waiter per wake is enough, as with a queue of jobs, the permit
// does the same: [Notify.NotifyOne] without anybody in line keeps it, and the
// next [Notify.Wait] takes it and returns at once.
//
//	for job, ok := take(); !ok; job, ok = take() {
//		if err := n.Wait(ctx); err != nil {
//			return err
//		}
//	}
//
// # Order
//
// There is one total order of all calls on a Notify: each takes effect at one
// instant between its start and its return. A Notify is a line of waiters and
// at most one permit, never both:
//
//   - NotifyOne takes the first out of line, NotifyLast the last. If nobody is
//     in line, they keep the permit; two kept permits are one.
//   - NotifyN takes the first k out of line, NotifyWaiters all. They keep
//     nothing, and leave a kept permit alone. Who gets in line later is not
//     reached.
//   - Wait, TryWait, Listen and Register take the permit if it is there. Else
//     TryWait fails and the others get in line, at the end.
//   - A Wait whose context ends leaves the line, if it is still in it: what it
//     was picked for wins. Stop leaves the line too.
//   - A waiter that was picked may still leave without having consumed its wake:
//     a Listener by Stop, a Wait if its parker panics or ends the goroutine. If
//     NotifyOne or NotifyLast picked it, or if it took the permit, it hands the
//     wake on in the same instant: the first in line is picked, or the permit
//     kept. If NotifyN or NotifyWaiters picked it, the wake is gone: these two
//     are for the waiters of one instant, and nobody takes the place of one of
//     them later.
//
// # Concurrency
//
// All methods may be called from any goroutine, and from a task of an event
// loop whose context carries its parker. Wakers run after a call took effect,
// with nothing locked; if one panics or calls runtime.Goexit, the others run all
// the same. NotifyOne, NotifyLast, NotifyN and NotifyWaiters happen
// before the return of every wait that they release; of two NotifyOne that
// share a permit, both do.
//
// A Notify that was used outside of a testing/synctest bubble, as a variable of a
// package may be, can be used in one. A Wait that sleeps in a bubble must be
// woken in the same bubble; [Listener.C] tells what else may not cross.
package notify
