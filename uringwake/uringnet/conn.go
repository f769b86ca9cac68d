package uringnet

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// A Conn is a connection: a net.Conn with most methods of net.TCPConn and net.UnixConn, and
// with forms of them that take a context. [Dial], [Listener.Accept] and [FileConn] make a
// Conn. All methods may be called at the same time from any goroutines and tasks. Reads are
// done one at a time, and so are writes.
type Conn struct{ s *sock }

var _ net.Conn = (*Conn)(nil)

func (c *Conn) ok() bool { return c != nil && c.s != nil }

// Read reads what has come into p, at most 1 GiB, and waits if nothing has. It returns 0 and
// io.EOF at the end of the stream, and 0 and nil if p is empty. In a task it is ReadContext
// under the task's context. It corresponds to io_uring_prep_recv; Linux 5.6.
//
// If tasks of one loop read a TCP connection message by message, so that each Read takes all
// that has come, the Conn receives in advance: at most about 64 KiB and what comes in one
// turn of that loop. That corresponds to io_uring_prep_recv_multishot; Linux 6.0. It ends
// with that loop, and for good when File, or Read of SyscallConn, is called.
func (c *Conn) Read(p []byte) (int, error) { return c.ReadContext(bridge.Current(), p) }

// ReadContext is Read that ends with ctx. It returns when the kernel no longer uses p. If
// bytes were read by then, it returns their number and no error.
func (c *Conn) ReadContext(ctx context.Context, p []byte) (int, error) {
	waitq.MustContext(ctx, "uringnet")
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.s.read(ctx, p)
	if err != nil && err != io.EOF {
		err = c.s.opError("read", err)
	}
	return n, err
}

// Write writes all of p. If it fails, it returns how many bytes it has written. In a task
// it is WriteContext under the task's context. It corresponds to io_uring_prep_send; Linux
// 5.6.
func (c *Conn) Write(p []byte) (int, error) { return c.WriteContext(bridge.Current(), p) }

// WriteContext is Write that ends with ctx. It returns when the kernel no longer uses p,
// with the number of bytes that were written by then.
func (c *Conn) WriteContext(ctx context.Context, p []byte) (int, error) {
	waitq.MustContext(ctx, "uringnet")
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.s.write(ctx, p)
	if err != nil {
		err = c.s.opError("write", err)
	}
	return n, err
}

// Writev writes all buffers, one after the other, by one operation if the kernel takes them
// at once. It does not change the buffers or their slice, and returns the number of bytes
// written.
// It corresponds to io_uring_prep_sendmsg; Linux 5.3.
func (c *Conn) Writev(buffers [][]byte) (int64, error) {
	return c.WritevContext(bridge.Current(), buffers)
}

// WritevContext is Writev that ends with ctx, as WriteContext does.
func (c *Conn) WritevContext(ctx context.Context, buffers [][]byte) (int64, error) {
	waitq.MustContext(ctx, "uringnet")
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.s.writev(ctx, buffers)
	if err != nil {
		err = c.s.opError("write", err)
	}
	return n, err
}

// Close closes the connection. Reads and writes that wait return errors that match
// net.ErrClosed. Close returns when the kernel no longer uses their buffers and the
// descriptor is closed. A second Close returns an error that matches net.ErrClosed, at
// once.
func (c *Conn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failed("close", c.s.close())
}

// failed is err as package net returns it, or nil.
func (c *Conn) failed(op string, err error) error {
	if err != nil {
		return c.s.opError(op, err)
	}
	return nil
}

// failedHere is failed for what concerns this end only.
func (c *Conn) failedHere(op string, err error) error {
	if err != nil {
		return c.s.localError(op, err)
	}
	return nil
}

// LocalAddr returns a *net.TCPAddr, a *net.UDPAddr or a *net.UnixAddr, which must not be
// changed.
func (c *Conn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.s.local
}

// RemoteAddr returns the address of the other end, as LocalAddr does.
func (c *Conn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.s.remote
}

// SetDeadline sets the deadlines of reads and writes. From t on, those in progress and
// those to come fail with an error that matches os.ErrDeadlineExceeded, until another
// deadline is set. A zero t is no deadline.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline is SetDeadline for reads.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline is SetDeadline for writes. The Write that fails returns how many bytes
// it had written.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failedHere("set", c.s.setDeadlines(t, read, write))
}

// CloseRead shuts down reading: when what has come has been read, reads return io.EOF.
func (c *Conn) CloseRead() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failed("close", c.s.closeRead())
}

// CloseWrite shuts down writing: when the other end has read the rest, its reads return
// io.EOF.
func (c *Conn) CloseWrite() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failed("close", c.s.closeWrite())
}

// File returns a file with a duplicate of the descriptor, which the caller closes. The
// deadlines of the Conn do not apply to the file. Bytes that the Conn has received in
// advance, see [Conn.Read], stay with the Conn.
func (c *Conn) File() (*os.File, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	f, err := c.s.file()
	return f, c.failed("file", err)
}

// SyscallConn returns access to the descriptor. Its Read and Write call their function
// again when the socket is ready, until it returns true; meanwhile other reads, or writes,
// wait. In a task the function runs on the loop's thread, and must not block. If the Conn
// has received bytes in advance, Read fails, and does not call its function, until
// [Conn.Read] has read them. The function of Control must not read.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	return c.s.raw(c, false), nil
}
