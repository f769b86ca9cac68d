package uringfs

import (
	"context"
	"os"
	"syscall"

	"github.com/vigil-go/vigil/await"
)

// SyscallConn returns access to the descriptor, which stays open while a function uses it.
// Read and Write call their function until it returns true, and wait in between until the
// file is ready. In a task the function runs on the loop's thread, and must not block.
// There is no method Fd: the number could be another file's when it is used.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	if f.isClosing() {
		return nil, f.fail("SyscallConn", os.ErrClosed)
	}
	return rawConn{f}, nil
}

type rawConn struct{ f *File }

func (c rawConn) Control(f func(fd uintptr)) error {
	ctx := current()
	if err := c.f.begin(ctx, "raw-control"); err != nil {
		return err
	}
	defer c.f.end()
	f(uintptr(c.f.fd))
	return nil
}

func (c rawConn) Read(f func(fd uintptr) bool) error {
	return c.repeat("raw-read", f, c.f.reader, c.f.awaitReadable)
}

func (c rawConn) Write(f func(fd uintptr) bool) error {
	return c.repeat("raw-write", f, c.f.writer, c.f.awaitWritable)
}

// repeat calls f until it returns true, and waits in between for its turn in line and until
// the file is ready.
func (c rawConn) repeat(op string, f func(fd uintptr) bool, line *await.Mutex, ready func(context.Context) error) error {
	ctx := current()
	if err := c.f.begin(ctx, op); err != nil {
		return err
	}
	defer c.f.end()
	for !f(uintptr(c.f.fd)) {
		if err := c.await(ctx, line, ready); err != nil {
			return c.f.fail(op, err)
		}
	}
	return nil
}

func (c rawConn) await(ctx context.Context, line *await.Mutex, ready func(context.Context) error) error {
	if err := c.f.lock(ctx, line); err != nil {
		return err
	}
	defer line.Unlock()
	return ready(ctx)
}
