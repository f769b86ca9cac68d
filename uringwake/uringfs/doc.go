// Package uringfs has files that tasks and goroutines read and write by package
// uringwake. Each call does what that of package os does. Errors are *fs.PathError, and
// match os.ErrClosed after Close; at the end of a file the error is io.EOF.
//
//	f, err := uringfs.Open(ctx, "data")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	n, err := f.ReadAtContext(ctx, buf, 0)
//
// In a task, a call that waits suspends the task, and the loop runs others. In a
// goroutine, a call that need not wait is an ordinary system call, and one that waits for
// a pipe, a terminal or a socket does so on the ring that all goroutines share. A
// goroutine's write to a regular file is a system call that waits for the device, as in
// package os, and so is its read if the context cannot end. What io_uring cannot do
// (reading a directory, copying within the kernel) is a system call; a task has another
// goroutine make it.
//
// A [File] has the methods of os.File except Chdir, Chmod, Chown, Fd, Readdir, Readdirnames
// and those for deadlines, so that it can be passed to other packages. Most methods that
// may wait have a form with a context, such as [File.ReadContext]. There are no deadlines,
// which package os refuses for most files with os.ErrNoDeadline: a context ends one call,
// and a deadline would end the calls of others too.
//
// # Requirements
//
// Files need what package uringwake needs. Where that is missing, functions that take a
// name return the error of [uringwake.Supported], and so do methods of a File that
// [NewFile] made, as far as they need a ring.
//
// A task reads a page in memory by a system call that does not wait (RWF_NOWAIT, Linux
// 4.14). The ring reads a page that is not in memory, and files that were opened with
// O_DIRECT. So reads that have to wait gain from the ring, and others do not use it. When
// a task writes to a regular file, most file systems leave that to a worker of the kernel:
// it takes longer than the system call of a goroutine, but does not block the loop.
//
// # Canceling
//
// When the context of a call ends, the call returns as soon as the kernel no longer uses
// its buffer. What has been transferred by then is not lost: Read returns the number of
// bytes and no error; Write, WriteAt and ReadAt return the number and the error. The
// kernel can seldom cancel a transfer of a regular file: it ends when the device is done.
//
// [File.Close] cancels calls that wait for a pipe, a terminal or a socket, and lets
// transfers of regular files finish. The descriptor is closed when no call uses it, so
// that no call uses another file that gets the same number later.
//
// # Concurrency
//
// All functions and methods may be called from any goroutine or task at the same time.
// The kernel keeps the position of a file, and duplicates of the descriptor, also in other
// processes, share it. Calls on one File that use the position are done one at a time, in
// the order in which they were made, so that each Read gets bytes of its own. Of a pipe, a
// terminal or a socket, the reads are done one at a time, and so are the writes. ReadAt and
// WriteAt of a regular file wait for no other call.
//
// In the terminology of the Go memory model, what is written before the call of a method
// happens before the kernel reads it, and what the kernel writes happens before the return
// of the call. No lock is held while user code (a reader, a writer) runs.
package uringfs
