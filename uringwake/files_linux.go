package uringwake

import (
	"context"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// A fileCall is an operation that waits for devices at most, but for the opening of a
// FIFO: goroutines make its system call.
type fileCall struct {
	call    string
	keep    unsafe.Pointer      // what prepare points at
	prepare func(*ring.SQE)     // for the ring
	now     func() (int, error) // the system call
}

func (c *fileCall) do(ctx context.Context) error {
	_, err := c.result(ctx, 0)
	return err
}

func (c *fileCall) result(ctx context.Context, flags uint8) (n int, err error) {
	here, err := inGoroutine(ctx)
	switch {
	case err != nil:
		return 0, err
	case here && ctx.Err() != nil:
		return 0, waitq.ContextError(ctx)
	case here:
		return c.bySystemCall()
	}
	if n, err = c.onRing(ctx, flags); isUnsupported(err) {
		Blocking(ctx, func() { n, err = c.bySystemCall() })
	}
	return n, err
}

func (c *fileCall) onRing(ctx context.Context, flags uint8) (int, error) {
	o, err := newOp(ctx)
	if err != nil {
		return 0, err
	}
	o.keep = c.keep
	c.prepare(&o.sqe)
	o.sqe.Flags |= flags
	return o.finish(ctx, c.call)
}

// bySystemCall repeats what a signal interrupts, as package os does.
func (c *fileCall) bySystemCall() (int, error) {
	for {
		switch n, err := c.now(); errnoOf(err) {
		case 0:
			return n, nil
		case unix.EINTR:
		default:
			return 0, &ring.Error{Call: c.call, Errno: errnoOf(err)}
		}
	}
}

func fsync(ctx context.Context, fd int) error {
	return syncFile(ctx, "fsync", fd, 0, unix.Fsync)
}

func fdatasync(ctx context.Context, fd int) error {
	return syncFile(ctx, "fdatasync", fd, ring.FsyncDatasync, unix.Fdatasync)
}

func syncFile(ctx context.Context, call string, fd int, flags uint32, now func(fd int) error) error {
	if err := checkFD(call, fd); err != nil {
		return err
	}
	return (&fileCall{call: call,
		prepare: func(s *ring.SQE) { s.PrepFsync(fd, flags) },
		now:     func() (int, error) { return 0, now(fd) },
	}).do(ctx)
}

func fallocate(ctx context.Context, fd int, mode uint32, off, n int64) error {
	if err := checkFD("fallocate", fd); err != nil {
		return err
	}
	return (&fileCall{call: "fallocate",
		prepare: func(s *ring.SQE) { s.PrepFallocate(fd, mode, uint64(off), uint64(n)) },
		now:     func() (int, error) { return 0, unix.Fallocate(fd, mode, off, n) },
	}).do(ctx)
}

func ftruncate(ctx context.Context, fd int, size int64) error {
	if err := checkFD("ftruncate", fd); err != nil {
		return err
	}
	return (&fileCall{call: "ftruncate",
		prepare: func(s *ring.SQE) { s.PrepFtruncate(fd, size) },
		now:     func() (int, error) { return 0, unix.Ftruncate(fd, size) },
	}).do(ctx)
}

func openat(ctx context.Context, dirFD int, path string, flags int, mode uint32) (int, error) {
	p, err := checkPath("openat", dirFD, path)
	if err != nil {
		return 0, err
	}
	flags |= unix.O_CLOEXEC | unix.O_LARGEFILE
	c := &fileCall{call: "openat", keep: unsafe.Pointer(p),
		prepare: func(s *ring.SQE) { s.PrepOpenat(dirFD, p, uint32(flags), mode) },
		now:     func() (int, error) { return unix.Openat(dirFD, path, flags, mode) },
	}
	fd, err := c.result(ctx, 0)
	if kernelErrno(err) == unix.ENXIO && flags&unix.O_NONBLOCK == 0 && TaskFrom(ctx) != nil {
		return c.result(ctx, ring.SQEAsync) // a FIFO: a worker waits for its reader
	}
	return fd, err
}

func statx(ctx context.Context, dirFD int, path string, flags int, mask uint32, st *FileStat) error {
	p, err := checkPath("statx", dirFD, path)
	if err != nil {
		return err
	}
	to := (*unix.Statx_t)(unsafe.Pointer(st))
	return (&fileCall{call: "statx", keep: both(unsafe.Pointer(p), unsafe.Pointer(st)),
		prepare: func(s *ring.SQE) { s.PrepStatx(dirFD, p, uint32(flags), mask, to) },
		now:     func() (int, error) { return 0, unix.Statx(dirFD, path, flags, int(mask), to) },
	}).do(ctx)
}

// A FileStat is what the kernel writes.
var _ [unsafe.Sizeof(unix.Statx_t{})]byte = [unsafe.Sizeof(FileStat{})]byte{}

func renameat(ctx context.Context, oldDirFD int, oldPath string, newDirFD int, newPath string, flags uint32) error {
	p, q, err := checkPaths("renameat", oldDirFD, oldPath, newDirFD, newPath)
	if err != nil {
		return err
	}
	return (&fileCall{call: "renameat", keep: both(unsafe.Pointer(p), unsafe.Pointer(q)),
		prepare: func(s *ring.SQE) { s.PrepRenameat(oldDirFD, p, newDirFD, q, flags) },
		now:     func() (int, error) { return 0, unix.Renameat2(oldDirFD, oldPath, newDirFD, newPath, uint(flags)) },
	}).do(ctx)
}

func unlinkat(ctx context.Context, dirFD int, path string, flags int) error {
	p, err := checkPath("unlinkat", dirFD, path)
	if err != nil {
		return err
	}
	return (&fileCall{call: "unlinkat", keep: unsafe.Pointer(p),
		prepare: func(s *ring.SQE) { s.PrepUnlinkat(dirFD, p, uint32(flags)) },
		now:     func() (int, error) { return 0, unix.Unlinkat(dirFD, path, flags) },
	}).do(ctx)
}

func mkdirat(ctx context.Context, dirFD int, path string, mode uint32) error {
	p, err := checkPath("mkdirat", dirFD, path)
	if err != nil {
		return err
	}
	return (&fileCall{call: "mkdirat", keep: unsafe.Pointer(p),
		prepare: func(s *ring.SQE) { s.PrepMkdirat(dirFD, p, mode) },
		now:     func() (int, error) { return 0, unix.Mkdirat(dirFD, path, mode) },
	}).do(ctx)
}

func linkat(ctx context.Context, oldDirFD int, oldPath string, newDirFD int, newPath string, flags int) error {
	p, q, err := checkPaths("linkat", oldDirFD, oldPath, newDirFD, newPath)
	if err != nil {
		return err
	}
	return (&fileCall{call: "linkat", keep: both(unsafe.Pointer(p), unsafe.Pointer(q)),
		prepare: func(s *ring.SQE) { s.PrepLinkat(oldDirFD, p, newDirFD, q, uint32(flags)) },
		now:     func() (int, error) { return 0, unix.Linkat(oldDirFD, oldPath, newDirFD, newPath, flags) },
	}).do(ctx)
}

func symlinkat(ctx context.Context, target string, dirFD int, path string) error {
	p, q, err := checkPaths("symlinkat", unix.AT_FDCWD, target, dirFD, path)
	if err != nil {
		return err
	}
	return (&fileCall{call: "symlinkat", keep: both(unsafe.Pointer(p), unsafe.Pointer(q)),
		prepare: func(s *ring.SQE) { s.PrepSymlinkat(p, dirFD, q) },
		now:     func() (int, error) { return 0, unix.Symlinkat(target, dirFD, path) },
	}).do(ctx)
}

// both keeps two things.
func both(p, q unsafe.Pointer) unsafe.Pointer { return unsafe.Pointer(&[2]unsafe.Pointer{p, q}) }

// checkPath returns path as the kernel takes it. It refuses one with a NUL byte, and a
// number that would be another file's once it is cut to the kernel's 32 bits. A negative
// one is left to the kernel, which does not look at it if path is absolute.
func checkPath(call string, dirFD int, path string) (*byte, error) {
	if dirFD > math.MaxInt32 || dirFD < math.MinInt32 {
		return nil, &ring.Error{Call: call, Errno: unix.EBADF}
	}
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return nil, &ring.Error{Call: call, Errno: unix.EINVAL}
	}
	return p, nil
}

func checkPaths(call string, oldDirFD int, oldPath string, newDirFD int, newPath string) (p, q *byte, err error) {
	if p, err = checkPath(call, oldDirFD, oldPath); err != nil {
		return nil, nil, err
	}
	if q, err = checkPath(call, newDirFD, newPath); err != nil {
		return nil, nil, err
	}
	return p, q, nil
}
