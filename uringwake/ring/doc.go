// Package ring is the kernel's io_uring interface, one to one (Linux; elsewhere
// it is empty).
//
// One operation, from one end to the other:
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
//	r.CQ().Seen()                  // its room goes back to the kernel
//
// Names follow liburing, and each comment names the function that it stands for
// and the first kernel that has it. Package uringwake is the comfortable way;
// this one hides nothing.
//
// # Concurrency
//
// A [SubmissionQueue] is for one goroutine at a time, a [CompletionQueue] for
// one at a time, and the two may be different ones without a lock between them.
// A [Registrar] is for any number. What was written before an entry was
// submitted happens before the return of the Peek, or other call, that yields
// its completion; so does what the operation wrote.
//
// The kernel has its own rules beside: with [SetupSingleIssuer] one thread
// enters and registers, with [SetupDeferTaskrun] completions appear only when it
// enters, with [SetupRegisteredFDOnly] the ring is that thread's. Such a
// goroutine calls runtime.LockOSThread before [Setup].
//
// # Memory
//
// The kernel knows addresses, and the garbage collector knows nothing of the
// kernel. What an entry points at (buffers, names, iovecs and what they point
// at, addresses, timespecs) must stay reachable until its last completion,
// canceled or not: keep it in a variable that outlives the wait, or call
// runtime.KeepAlive after it. The same goes for registered and provided
// buffers, until they are unregistered. The Prep methods move their operands to
// the heap, for a goroutine's stack moves when it grows; what an operand points
// at in turn is the caller's to keep there.
//
// Package uringwake keeps all that; here it is the caller's business.
//
// # Whose operations they are
//
// An operation belongs to the thread that entered the kernel with it, not to
// the one that prepared it: it runs with that thread's credentials, current and
// root directory, namespaces and limits, and its workers are that process's. That
// holds for an entry that is submitted again too. [SQE.SetPersonality] chooses
// other credentials; with [SetupSQPoll] they are those of the thread that made
// the ring, for good, and all else is of its process at that time.
//
// An operation may die with the thread that submitted it: when it can go on, or
// at once, it completes with ECANCELED or EINTR, and a buffered read whose data
// is not in memory with EFAULT, though nobody asked for it and nothing is wrong.
// Go ends the thread of a goroutine that returns while it is locked to it. Who
// submits from such a thread outlives the operations, or submits them again.
//
// # System calls
//
// All tell the Go scheduler: the kernel may wait for this very process, if it
// serves page faults, a file system or a seccomp filter.
//
// The wait methods of both queues wait until the completions are there or the
// time is over; the signals that the Go runtime sends its threads are not seen.
// [SubmissionQueue.Enter] is the call as it is, which any signal interrupts.
//
// # Hazards
//
// A full completion queue loses nothing since Linux 5.5 ([FeatNoDrop]): the rest
// waits in the kernel until there is room and an enter with [EnterGetEvents]. With
// the io_uring of Linux 5.15 it may come after what completed later.
//
// Lengths are an int here and 32 bits in the kernel. Of a longer buffer a
// transfer uses the first 0x7ffff000 bytes, as read(2) does, and its result says
// so; a count that does not fit is too many for the kernel; where a part would be
// wrong, the method panics and says so. A descriptor that does not fit is -1.
//
// Errors are an [*Error] with the errno inside; one that says that this kernel
// does not have, or does not allow, what was asked for matches
// errors.ErrUnsupported. A completion's errno does not say so, see [CQE.Err].
package ring
