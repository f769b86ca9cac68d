// Package uringwake runs tasks on io_uring loops. A task is straight-line code
// that sleeps by switching back to its loop, and it awaits the same things as
// a goroutine does, by the same calls:
//
//	l, err := uringwake.NewLoop(nil)
//	if err != nil {
//		return err // Supported tells why; all else works without loops
//	}
//	defer l.Close(context.Background())
//
//	l.Go(ctx, func(ctx context.Context) {
//		v, err := m.Wait(ctx, "key")                  // a waitmap.Map
//		err = n.Wait(ctx)                             // a notify.Notify
//		c, err := uringwake.Read(ctx, fd, buf, -1)    // the kernel
//	})
//
// The context carries the task: its [wake.Parker] suspends the task, not the
// thread. Whoever wakes a task, from whatever goroutine, loop or callback,
// leaves it in its loop's mailbox, and makes a system call only if that loop
// sleeps: the doorbell, one per sleep however many wake it.
//
// Read, Write, Sleep and their kin work in goroutines too. There what can be done
// at once is done by an ordinary system call, and what has to wait by one ring
// for all, which a thread of its own submits to and Go's netpoller watches.
//
// # Where it works
//
// On Linux 5.13 and later, where io_uring is allowed; [Supported] says why it is
// not. Elsewhere every constructor and every operation returns that error,
// which matches errors.ErrUnsupported, and the map and its friends work as ever.
// What newer kernels have is used where it is there: deferred task work (6.1),
// messages between rings (5.18, 6.13), futex operations (6.7).
//
// Where the kernel allows io_uring and refuses single operations, each falls back
// on a system call or another operation, or fails by itself, with an error that
// matches errors.ErrUnsupported, too; docs/uringwake.md has the list.
//
// What restricts io_uring must be there before the first use. A seccomp filter
// that comes later takes no rings away; but if it refuses io_uring_enter, the
// program ends with a panic that says so, for the kernel then has memory of the
// program's that it does not give back. So it does if the kernel, out of memory,
// has lost completions.
//
// # Canceling
//
// An operation whose context ends asks the kernel to cancel it and returns when
// the kernel has let go: its buffer may be used again. If it was done all the
// same, its result is returned and not the context's error. Closing a loop ends
// the contexts of its tasks.
//
// # Concurrency
//
// All exported functions and methods may be called from any goroutine or task
// at the same time, but for Task.Park and Task.Yield, which are the task's own.
// Tasks of one loop run one at a time. What a task does before it parks happens
// before what the loop's next task does; a wake happens before the return of the
// Park that takes it; Go and Post happen before the function that they start.
//
// A task must not block its thread: see [Blocking]. A goroutine that a task
// starts must not sleep as the task: give it wake.WithParker(ctx, nil).
// Loops and the goroutine driver wait for the kernel, not for the clock of a
// testing/synctest bubble: they do not work in one.
package uringwake
