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
// # Hazards
//
// EINTR from an enter that waits is routine: the Go runtime signals its threads.
// The Wait methods of the completion queue do not show it;
// [SubmissionQueue.SubmitAndWait] does. A full completion queue loses nothing
// since Linux 5.5 ([FeatNoDrop]): the rest waits in the kernel until there is
// room and an enter with [EnterGetEvents].
//
// Errors are an [*Error] with the errno inside; one that says that this kernel
// does not have, or does not allow, what was asked for matches
// errors.ErrUnsupported.
package ring
