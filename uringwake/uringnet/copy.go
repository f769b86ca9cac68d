package uringnet

import (
	"context"
	"io"
	"syscall"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// ReadFrom reads r to its end and writes that to c. It returns the number of bytes written.
// It implements io.ReaderFrom, which io.Copy uses.
//
// If c is a stream socket, the kernel copies some readers by itself: by sendfile(2) a regular
// file of package os or uringfs, and by splice(2) a stream socket of this package or package
// net, or a pipe in nonblocking mode. r may also be an *io.LimitedReader of one of these. All
// other readers are read by their method Read, also a type that embeds one of these.
//
// Except with sendfile(2), other writes to c may come in between. With splice(2), bytes that
// were taken from r before a write fails are lost, as in package net.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	return c.ReadFromContext(bridge.Current(), r)
}

// ReadFromContext is ReadFrom that ends with ctx. If r is not a *[Conn], a wait for r ends
// only when a Read of r would. In a task, sendfile(2), and splice(2) from what is not of
// this package, run in another goroutine, since they may block. Read of any other r is
// called in the task.
func (c *Conn) ReadFromContext(ctx context.Context, r io.Reader) (int64, error) {
	waitq.MustContext(ctx, "uringnet")
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, handled, err := c.s.readFrom(ctx, r)
	if !handled && err == nil {
		var m int64
		m, err = io.Copy(onlyWriter{ctx, c}, under(ctx, r))
		n += m
	}
	if err != nil && err != io.EOF {
		err = c.s.opError("readfrom", err)
	}
	return n, err
}

// WriteTo reads c to its end and writes that to w. It returns the number of bytes written.
// It implements io.WriterTo. If w is a *[Conn], WriteTo does what ReadFrom of w does.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	return c.WriteToContext(bridge.Current(), w)
}

// WriteToContext is WriteTo that ends with ctx. If w is not a *[Conn], a wait for w ends
// only when a Write of w would.
func (c *Conn) WriteToContext(ctx context.Context, w io.Writer) (n int64, err error) {
	waitq.MustContext(ctx, "uringnet")
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if to, ok := w.(*Conn); ok {
		n, err = to.ReadFromContext(ctx, c)
	} else {
		n, err = io.Copy(w, onlyReader{ctx, c})
	}
	if err != nil && err != io.EOF {
		err = c.s.opError("writeto", err)
	}
	return n, err
}

// under is r or, if r is a Conn, its reads under ctx: its WriteTo would read under the
// context of the task.
func under(ctx context.Context, r io.Reader) io.Reader {
	if c, ok := r.(*Conn); ok {
		return onlyReader{ctx, c}
	}
	return r
}

// onlyWriter is a Conn without ReadFrom, and with a context.
type onlyWriter struct {
	ctx context.Context
	c   *Conn
}

func (w onlyWriter) Write(p []byte) (int, error) { return w.c.WriteContext(w.ctx, p) }

// onlyReader is a Conn without WriteTo, and with a context.
type onlyReader struct {
	ctx context.Context
	c   *Conn
}

func (r onlyReader) Read(p []byte) (int, error) { return r.c.ReadContext(r.ctx, p) }
