// Package uringfs has files that tasks and goroutines read and write by package
// uringwake. The meaning of each call is that of package os: the errors are
// *fs.PathError, with os.ErrClosed after Close, and io.EOF at the end of a file.
//
//	f, err := uringfs.Open(ctx, "data")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	n, err := f.ReadAtContext(ctx, buf, 0)
//
// In a task, a call that waits suspends the task, and the loop runs others. In a
// goroutine, what need not wait is an ordinary system call, and a pipe, a terminal or a
// socket is waited for on the ring that all goroutines share. There a write to a regular
// file is a system call too, and so is a read if its context cannot end: for the device
// such a call waits as package os does. What io_uring cannot do (reading a directory,
// copying within the kernel) is a system call; a task has another goroutine make it.
//
// A [File] has the methods of os.File, so that it can be passed to other packages, and
// for each method that may wait one with a context. There are no deadlines: a context
// ends one call, and a deadline would end the calls of others too. Package os refuses
// deadlines for most files with os.ErrNoDeadline; here the methods do not exist.
//
// # Requirements
//
// Files need what package uringwake needs. Where that is missing, functions that take a
// name return the error of [uringwake.Supported], and so do methods of a File that
// [NewFile] made, as far as they need a ring.
//
// A task reads a page in memory by a system call that does not wait (RWF_NOWAIT, Linux
// 4.14); the ring reads a page that is not in memory, and files that were opened with
// O_DIRECT. So the ring pays off for reads that have to wait, and costs nothing for
// others. A write to a regular file is left to a worker of the kernel by most file
// systems, which takes a task longer than a goroutine, but does not block the loop.
//
// # Canceling
//
// When the context of a call ends, the call returns as soon as the kernel no longer uses
// its memory. What has been transferred by then is not lost: Read returns the number of
// bytes and no error, the calls that transfer all or fail return the number and the error.
// A transfer of a regular file ends when its device is done: the kernel can seldom cancel
// it.
//
// [File.Close] cancels what waits for others: reads of pipes, terminals and sockets. It
// lets transfers of regular files finish. Both see a descriptor that is closed only
// when nothing uses it, so that no call ever meets a file that got the number later.
//
// # Concurrency
//
// All functions and methods may be called from any goroutine or task at the same time.
// The position of a file is the kernel's, and shared with other processes and with
// descriptors that were duplicated. Calls on one File that use the position wait for each
// other, in the order in which they came, so that each Read gets bytes of its own. A file
// without a position has one such line for reads and one for writes. ReadAt and WriteAt
// wait for nobody.
//
// In the terminology of the Go memory model, what is written before the call of a method
// happens before the kernel reads it, and what the kernel writes happens before the return
// of the call. No lock is held while user code (a reader, a writer) runs.
package uringfs
