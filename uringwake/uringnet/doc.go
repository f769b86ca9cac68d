// Package uringnet has connections and listeners like those of package net, for tasks of
// package uringwake and for goroutines. A [Conn] is a net.Conn, and a [Listener] a
// net.Listener, so that code written for package net can use them.
//
// In a task, reads, writes, accepts and connects wait on the ring of the task's loop, and
// suspend the task. In a goroutine they are system calls, and one that would block waits as
// those of package net do, in Go's netpoller. A method without a context, such as
// [Conn.Read], finds out whether a task or a goroutine calls it. A Conn may be used by any
// number of tasks of any loops, and by goroutines, at the same time.
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
// The networks of connections are tcp, tcp4, tcp6, unix and unixpacket, and those of
// datagrams udp, udp4, udp6 and unixgram, with the addresses of package net. A [PacketConn]
// from [ListenPacket] exchanges datagrams with any address, and one from a [Dialer] with the
// address that was dialed.
//
// [Dial] to a network of datagrams returns a Conn. Its Write sends p as one datagram, even
// if p is empty. Its Read receives one datagram, drops what does not fit in p, and returns 0
// and no error for an empty one. If nobody receives at the address, a later Read or Write
// may fail with an error that matches syscall.ECONNREFUSED; the Conn keeps working.
//
// # Concurrency
//
// All methods may be called at the same time. The reads of a Conn are done one at a time, in
// the order of the calls, and so are its writes; reads and writes do not wait for each
// other. Close, a deadline and the end of a context also end calls that wait for their turn.
// A call that is canceled returns when the kernel no longer uses its buffer, and its result
// is what it has transferred by then.
//
// In the terminology of the Go memory model, a Write synchronizes before the return of the
// Read that returns its bytes.
//
// # Errors
//
// Errors are *net.OpError, as in package net. They match os.ErrDeadlineExceeded after a
// deadline, net.ErrClosed after Close, and the Err and the cause of a context that has
// ended. An error of the kernel is a *os.SyscallError.
//
// Where there is no io_uring, the functions that make a Conn, a Listener or a PacketConn
// return the error of uringwake.Supported. Where the kernel refuses single operations on a
// ring, system calls do the same. If such a call of a task would have to wait, and the kernel
// refuses polls or cancels too, it returns an error that matches errors.ErrUnsupported.
//
// Errors differ from those of package net in two cases. While there are too many open files,
// Accept waits instead of failing. The error of a dial that took too long matches both
// os.ErrDeadlineExceeded and context.DeadlineExceeded.
//
// # Limits
//
// A Conn, Listener or PacketConn that is no longer reachable is closed by the garbage
// collector. A Conn is not a *net.TCPConn or a *net.UnixConn, so packages that look for one
// of these do not find it. Package io and net/http use ReadFrom and WriteTo of a Conn.
// net.Buffers writes each buffer by itself, so use [Conn.Writev].
//
// In a function that was posted to a loop, a method that has to wait blocks the loop. If
// tasks of that loop read the Conn, its Read, Close and File may wait there for ever.
package uringnet
