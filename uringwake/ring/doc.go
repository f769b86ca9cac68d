// Package ring is the kernel's io_uring interface for Go, function for function as
// in liburing. It is for code that drives a ring by itself; package uringwake does that
// for its users. On systems other than Linux the package is empty.
//
//	r, err := ring.Setup(64, nil)  // the queues, shared with the kernel
//	defer r.Close()
//
//	s := r.SQ().GetSQE()           // nil if the queue is full: submit first
//	s.PrepRead(fd, p, 0)           // what to do; overwrites the whole entry
//	s.SetData(42)                  // comes back with the result
//
//	n, err := r.SQ().Submit()      // one system call for all that was prepared
//	c, err := r.CQ().Wait()        // or Peek, All, Blocking
//	fmt.Println(c.UserData, c.Res) // the result, or minus an errno: c.Err()
//	r.CQ().Seen()                  // returns the entry to the kernel
//
// Names follow liburing. The comment of each method and function says to which function
// of liburing it corresponds, and which Linux is the first that has it.
//
// # Memory
//
// The kernel uses addresses, and the garbage collector does not know which. What an
// entry points at (buffers, names, iovecs and what they point at, addresses, timespecs)
// must stay reachable until the last completion of the entry, whether it is canceled or
// not: keep it in a variable that outlives the wait, or call runtime.KeepAlive after
// the wait. The same holds for registered and provided buffers until they are
// unregistered. The Prep methods move their operands to the heap, since a goroutine's
// stack moves when it grows. The caller must keep on the heap what an operand itself
// points at.
//
// # Threads and processes
//
// An operation belongs to the thread that entered the kernel with it, not to the one
// that prepared it: it runs with that thread's credentials, current and root directory,
// namespaces and limits, and its workers belong to that thread's process. That also
// holds for an entry that is submitted again. [SQE.SetPersonality] chooses other
// credentials. With [SetupSQPoll] the credentials are always those of the thread that
// made the ring, and all else is as it was in the process of that thread at that time.
//
// An operation may fail because the thread that submitted it has exited. Then, at once
// or when it could continue, it completes with ECANCELED or EINTR, or with EFAULT if it
// is a buffered read of data that is not in memory, though it was not canceled. Go ends
// the thread of a goroutine that returns while it is locked to its thread. A goroutine
// that submits while it is locked must not return before its operations have completed,
// or other code must submit them again.
//
// # System calls
//
// All system calls tell the Go scheduler that they may block, since the kernel may have
// to wait for this process if it serves page faults, a file system or a seccomp filter.
//
// The wait methods of both queues return when the completions are there or the time is
// over. The signals that the Go runtime sends to its threads do not end a wait.
// [SubmissionQueue.Enter] is one system call, which any signal interrupts.
//
// # Concurrency
//
// One goroutine at a time may use a [SubmissionQueue], and one a [CompletionQueue];
// these may be different goroutines without a lock between them. Any number of
// goroutines may use a [Registrar]. Reading and preparing entries takes no lock, and no
// method calls user code while it holds one.
//
// What is written before an entry is submitted happens before the return of the Peek,
// or other call, that returns the completion of the entry. So does what the operation
// writes.
//
// The kernel has additional rules. With [SetupSingleIssuer] only one thread may enter
// and register. With [SetupDeferTaskrun] completions appear only when that thread
// enters. With [SetupRegisteredFDOnly] only that thread can use the ring. A goroutine
// that uses such a ring must call runtime.LockOSThread before [Setup].
//
// # Errors
//
// Methods return an [*Error], which wraps the errno. It matches errors.ErrUnsupported
// if this kernel does not have, or does not allow, what was asked for. The errno of a
// completion does not tell that; see [CQE.Err].
//
// # Limits
//
// Since Linux 5.5 ([FeatNoDrop]) no completion is lost if the completion queue is full:
// further completions wait in the kernel until there is room and an enter with
// [EnterGetEvents]. With the io_uring of Linux 5.15 such a completion may come after
// those of operations that completed later.
//
// A length is an int here, and has 32 bits in the kernel. A transfer uses the first
// 0x7ffff000 bytes of a longer buffer, as read(2) does, and its result is the number of
// bytes. Where using only a part would be wrong, the method panics. A count that does
// not fit into 32 bits becomes the largest one, which the kernel refuses, and a
// descriptor that does not fit becomes -1.
package ring
