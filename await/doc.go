// Package await provides what goroutines and tasks wait for other than a key, a
// notification or a count: locks, a semaphore, a queue, a watched value, a result that
// is computed once, other tasks, the time, and the first of several of these.
//
// A task of a uringwake loop that meets a sync.Mutex or a channel blocks its whole loop,
// and a goroutine cannot give a sync.Mutex a deadline. Here each wait takes a context. It
// suspends the task or the goroutine that the context belongs to, and ends with the
// context:
//
//	var mu await.Mutex
//
//	func update(ctx context.Context) error {
//		if err := mu.Lock(ctx); err != nil {
//			return err // the context has ended; the lock is not held
//		}
//		defer mu.Unlock()
//		change()
//		return nil
//	}
//
// The parts:
//
//   - [Mutex] and [RWMutex] are locks, and [Semaphore] limits the sum of what its
//     holders have acquired. They are fair: first come, first served.
//   - [Queue] passes values on, and has room for a fixed number of them.
//   - [Value] is a variable whose changes can be waited for.
//   - [Once] computes a result once, for all that ask for it.
//   - [Tasks] starts goroutines or tasks, and waits for the end of all.
//   - [Select] waits for the first of several cases. Methods whose names begin with On
//     make a case, here and in packages waitmap, notify and waitgroup; [After] makes one
//     of a duration.
//   - [Sleep] waits for a duration.
//
// # Semantics
//
// A wait that fails leaves nothing behind: no waiter in line, and nothing taken. What was
// handed over to a waiter wins over the end of its context; what a waiter that has left
// would have got goes to the next in line.
//
// A wait that consumes something, such as a lock or a value of a Queue, fails under a
// context that was done before the call, even if it could be satisfied. A wait that
// consumes nothing, such as [Value.WaitNewer], returns at once if it is satisfied,
// whatever the context.
//
// # Concurrency
//
// All functions and methods may be called from any goroutine, and from a task of an event
// loop whose context carries its parker. Waiters are woken with no lock held, in the
// goroutine whose call serves them. A parker belongs to one waiter at a time: code that
// starts a goroutine with the context of a task hides the parker from it, by
// wake.WithParker(ctx, nil).
//
// Each type says which of its calls happen before which returns, in the terminology of
// the Go memory model.
//
// # Errors
//
// A wait whose context ends returns an error that matches ctx.Err() and
// context.Cause(ctx) with errors.Is. Under a context that carries a parker it may also
// return an error of that parker's own. Other errors are [ErrClosed], [ErrLimit],
// [ErrCycle], and those of the caller's functions, a *[PanicError] among them. A nil
// context panics.
//
// # Limits
//
// All but Sleep in a task works in testing/synctest bubbles: waits block durably there. A
// waiter that sleeps in a bubble must be woken in the same bubble.
//
// Only [Once] detects a deadlock. A holder that locks its lock again waits for itself. There is no queue
// without room for a value: two Selects that meet in it would have to choose each other at
// one instant.
package await
