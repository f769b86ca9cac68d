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
// A server has a task for each connection, started by one that accepts:
//
//	l, err := uringnet.Listen(ctx, "tcp", ":8080")
//	...
//	loop.Go(ctx, func(ctx context.Context) {
//		for {
//			c, err := l.AcceptContext(ctx)
//			if err != nil {
//				return
//			}
//			wake.Go(ctx, func(ctx context.Context) { serve(ctx, c) })
//		}
//	})
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
// # Concurrency
//
// All methods may be called at the same time. Of the reads of a Conn one at a time is done,
// in the order in which they came, and so of its writes; a read and a write do not wait for
// each other. Close, a deadline and the end of a context end also those in line. What was
// canceled has let go of its buffer when it returns, and what it had transferred by then is
// its result.
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
// The errors are those of package net in the same situation, but for these: Accept waits
// while there are too many open files, and ends as other waits do; and the error of a dial
// that took too long matches both os.ErrDeadlineExceeded and context.DeadlineExceeded.
//
// # Limits
//
// What is unreachable and was not closed is closed by the garbage collector at some time. A
// Conn is no *os.File and no *net.TCPConn: packages that ask for those do not find them.
// Package io and net/http use its ReadFrom and WriteTo; net.Buffers writes each buffer by
// itself, so use Writev.
//
// In a function that was posted to a loop, a method that has to wait blocks the loop; Read,
// Close and File of a Conn that is read in tasks of that loop may do so for ever.
package uringnet
