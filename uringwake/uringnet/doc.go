// Package uringnet has the connections and listeners of package net, for tasks of package
// uringwake and for goroutines. A [Conn] is a net.Conn, and a [Listener] a net.Listener,
// so that code written for package net uses them as it is.
//
// In a task, reads, writes, accepts and connects are operations on the ring of the task's
// loop, and suspend the task. In a goroutine they are system calls, and what would block
// waits until the ring of all goroutines has told that the socket is ready. The methods
// without a context, such as [Conn.Read], find out by themselves which of the two calls
// them. A Conn may be used by any number of tasks of any loops, and by goroutines, at the
// same time.
//
// # Networks
//
// The networks are tcp, tcp4, tcp6, unix and unixpacket, with the addresses of package net.
//
// # Errors
//
// Errors are *net.OpError, as of package net: a deadline that has passed matches
// os.ErrDeadlineExceeded, a closed socket net.ErrClosed, a context that has ended its
// Err and its cause, and an error of the kernel is a *os.SyscallError.
//
// Where there is no io_uring, what makes a Conn or a Listener returns the error of
// uringwake.Supported.
//
// # Limits
//
// A Conn or Listener that is not closed keeps its descriptor for ever: there is no
// finalizer. In a function that was posted to a loop, a method that has to wait blocks the
// loop.
package uringnet
