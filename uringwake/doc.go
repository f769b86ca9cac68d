// Package uringwake runs tasks on io_uring loops. A task is straight-line code that
// waits for keys, permits, counts and the kernel by the same calls as a goroutine,
// and suspends itself instead of blocking its thread.
//
//	l, err := uringwake.NewLoop(nil)
//	if err != nil {
//		return err // says why; the other packages work without loops
//	}
//	defer l.Close(context.Background())
//
//	l.Go(ctx, func(ctx context.Context) {
//		v, err := m.Wait(ctx, "key")               // a waitmap.Map
//		n, err := uringwake.Read(ctx, fd, buf, -1) // the kernel
//	})
//
// The context of a task carries the task: the [wake.Parker] of the context suspends
// the task, and the loop runs another one. A waker, in any goroutine, loop or
// callback, puts the task into the mailbox of its loop. It makes a system call, the
// doorbell, only if the loop sleeps, and then only one waker does, however many there
// are.
//
// Read, Write, Sleep and the other operations work in goroutines too. There an
// operation that need not wait is an ordinary system call. An operation that has to
// wait goes to a ring that all goroutines share. One thread submits all operations of
// that ring, and Go's netpoller watches it for completions.
//
// The operations are those of system calls, for any descriptor:
//
//	any file   Read, Write, Readv, Writev, Splice, PollFD, Close
//	files      Openat, Statx, Fsync, Fdatasync, Fallocate, Ftruncate
//	paths      Renameat, Unlinkat, Mkdirat, Linkat, Symlinkat
//	sockets    Socket, Bind, Listen, Accept, Connect, Shutdown,
//	           Recv, Send, Recvmsg, Sendmsg
//	others     Sleep, FutexWait, FutexWake, Nop
//
// Packages uringnet and uringfs, below this one, use them for connections and files like
// those of packages net and os.
//
// # Requirements
//
// Loops and operations need Linux 5.13 or later, and a process that may use io_uring.
// [Supported] returns nil if they work, and otherwise an error that says why not and
// matches errors.ErrUnsupported. Every operation and every constructor then returns
// that error, except that [NewEventFD] works on all of Linux. The packages waitmap,
// notify, waitgroup and dedup do not need io_uring.
//
// Loops use what newer kernels have: messages between rings (Linux 5.18 and 6.13),
// deferred task work (6.1) and futex operations (6.7).
//
// Where the kernel allows io_uring but refuses single operations, each of those falls
// back on a system call or another operation, or fails with an error that matches
// errors.ErrUnsupported. docs/uringwake.md has the list.
//
// # Canceling
//
// When the context of an operation ends, the kernel is asked to cancel the operation.
// The call returns when the kernel no longer uses the memory of the operation, so that
// the caller may use the buffer again. If the operation succeeded all the same, the
// call returns its result and not the context's error: a descriptor that [Openat],
// [Accept] or [Socket] has made is never lost. Closing a loop ends the contexts of its
// tasks.
//
// In a goroutine, operations on files and paths are system calls that wait for the
// device, and are not canceled once they have begun.
//
// [Start] hands an operation over with its buffer and does not wait: see [Submission].
//
// # Operations that repeat
//
// [AcceptAll], [RecvAll], [PollAll] and [Ticks] are for range loops. Where the kernel can, it
// completes one operation again and again (a multishot operation); elsewhere each item is an
// operation of its own. Such a loop begins the operation, waits as other operations under
// ctx do, and ends the operation before it returns, even if its body breaks, panics or calls
// runtime.Goexit. If the operation fails or ctx ends, the loop yields all that came before,
// then a zero value with the error, and ends. What comes while the body runs is kept for it,
// up to a limit; then the operation pauses until the body has taken that. In a task the loop
// must run in the task itself, and not in an iter.Pull.
//
// # Concurrency
//
// All exported functions and methods may be called from any goroutine or task at the
// same time, except Task.Park, Task.Yield and Task.Sleep, which only the task itself may
// call. Tasks of one loop run one at a time.
//
// In the terminology of the Go memory model, what a task does before it parks happens
// before what the next task of the loop does; Task.Wake synchronizes before the return
// of the Task.Park that takes its permit; Go, Spawn and Post synchronize before the start
// of the function that they are called with. What is written before the call of an
// operation happens before the kernel reads it, and what the kernel writes happens before
// the return of the call.
//
// A task must not block its thread: see [Blocking]. A goroutine that a task starts
// must not park the task: pass it the context wake.WithParker(ctx, nil).
//
// No lock of this package is held while user code runs. Tasks, posted functions and
// the functions of [LoopOptions] run on the loop's thread, so none of them may block
// it.
//
// # Errors
//
// A call that the kernel refuses returns a [*ring.Error], which wraps the errno. An
// operation that is canceled because its context has ended returns an error that
// matches both ctx.Err() and context.Cause(ctx). Go, Spawn and Post return
// [ErrClosed] if the loop is closing or closed.
//
// # Limits
//
// A process that restricts its own use of io_uring must do so before it uses this
// package. A seccomp filter that is installed later does not close rings. But if it
// refuses io_uring_enter, the program ends with a panic that says so, since the kernel
// then still uses memory of the program, and there is no way to make it stop. The
// program also ends with a panic if the kernel has lost completions for lack of
// memory.
//
// Loops and the goroutines' ring wait for the kernel, which does not know the clock of
// a testing/synctest bubble. So they do not work in a bubble.
package uringwake
