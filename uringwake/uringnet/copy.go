package uringnet

import (
	"context"
	"io"
	"syscall"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// ReadFrom writes to c what r has until its end, and returns the number of bytes written.
// It implements io.ReaderFrom, which io.Copy uses.
//
// If c is a stream, and r one of these or an *io.LimitedReader of one, the bytes stay in
// the kernel: a regular file goes by sendfile(2), and another stream, of this package or
// package net, or a pipe that does not block, by splice(2). Other writes to c may come in
// between. A reader of another package embedded in a type of the caller's is read by Read.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	return c.ReadFromContext(bridge.Current(), r)
}

// ReadFromContext is ReadFrom that ends with ctx. If r is not a *[Conn], a wait for r ends
// only as Read of r does. In a task, regular files, and what r has of other packages, are
// read in another goroutine, since they may block.
func (c *Conn) ReadFromContext(ctx context.Context, r io.Reader) (int64, error) {
	waitq.MustContext(ctx, "uringnet")
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, handled, err := c.s.readFrom(ctx, r)
	if !handled && err == nil {
		var m int64
		m, err = io.Copy(onlyWriter{ctx, c}, r)
		n += m
	}
	if err != nil && err != io.EOF {
		err = c.s.opError("readfrom", err)
	}
	return n, err
}

// WriteTo writes to w what c reads until its end, and returns the number of bytes written.
// It implements io.WriterTo. If w is a *[Conn], it does what ReadFrom of w does.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	return c.WriteToContext(bridge.Current(), w)
}

// WriteToContext is WriteTo that ends with ctx. If w is not a *[Conn], a wait for w ends
// only as Write of w does.
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
