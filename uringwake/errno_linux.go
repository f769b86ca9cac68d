package uringwake

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// kernelErrno returns the errno that the kernel returned, or 0. An errno that is the
// cause of a context's end is not one of the kernel's.
func kernelErrno(err error) unix.Errno {
	if e, ok := err.(*ring.Error); ok {
		return e.Errno
	}
	return 0
}

// checkFD refuses a number that would be another file's once it is cut to the
// kernel's 32 bits.
func checkFD(call string, fd int) error {
	if fd < 0 || fd > math.MaxInt32 {
		return &ring.Error{Call: call, Errno: unix.EBADF}
	}
	return nil
}

// errnoOf returns the errno in err, EINVAL if there is none, or 0 if err is nil: an
// error is never an errno of 0.
func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[unix.Errno](err); ok {
		return e
	}
	return unix.EINVAL
}
