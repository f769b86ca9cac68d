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
// The networks are tcp, tcp4, tcp6, unix and unixpacket, with the addresses of package net;
// and udp, udp4, udp6 and unixgram for datagrams. A [PacketConn] exchanges datagrams with
// any address, or with one, if a [Dialer] has made it. [Dial] makes a Conn of the latter
// kind: Write sends p as one datagram, also if p is empty; Read receives one, of which it
// drops what p has no room for, and returns 0 and no error for an empty one. That nobody
// receives at the address may be the error of a later Read or Write, which matches
// syscall.ECONNREFUSED; the Conn works on.
//
// # Errors
//
// Errors are *net.OpError, as of package net: a deadline that has passed matches
// os.ErrDeadlineExceeded, a closed socket net.ErrClosed, a context that has ended its
// Err and its cause, and an error of the kernel is a *os.SyscallError.
//
// Where there is no io_uring, what makes a Conn, a Listener or a PacketConn returns the
// error of uringwake.Supported. Where the kernel refuses single operations on a ring, system
// calls do the same; what then cannot wait, since there is no poll or nothing can be
// canceled, returns an error that matches errors.ErrUnsupported.
//
// # Limits
//
// A Conn, Listener or PacketConn that is not closed keeps its descriptor for ever: there is
// no finalizer. In a function that was posted to a loop, a method that has to wait blocks
// the loop; Read, Close and File of a Conn that is read in tasks of that loop may do so for
// ever.
package uringnet
