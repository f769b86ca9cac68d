package uringfs

import (
	"context"
	"os"
	"syscall"
)

// SyscallConn returns access to the descriptor, which is kept open while a function uses
// it. Read and Write call their function until it returns true, and wait in between until
// the file is ready. There is no method Fd: its result could be another file's by the
// time that it is used.
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
	defer c.f.end(ctx)
	f(uintptr(c.f.fd))
	return nil
}

// What to poll for.
const (
	readable = 0x1 // POLLIN
	writable = 0x4 // POLLOUT
)

func (c rawConn) Read(f func(fd uintptr) bool) error {
	return c.call(current(), "raw-read", readable, f)
}

func (c rawConn) Write(f func(fd uintptr) bool) error {
	return c.call(current(), "raw-write", writable, f)
}

func (c rawConn) call(ctx context.Context, op string, events uint32, f func(fd uintptr) bool) error {
	if err := c.f.begin(ctx, op); err != nil {
		return err
	}
	defer c.f.end(ctx)
	for !f(uintptr(c.f.fd)) {
		if c.f.isClosing() {
			return c.f.fail(op, os.ErrClosed)
		}
		if err := c.f.poll(ctx, events); err != nil {
			return c.f.fail(op, err)
		}
	}
	return nil
}
