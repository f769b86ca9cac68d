package ring

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Error is a call that the kernel refused. It matches its Errno by errors.Is,
// and errors.ErrUnsupported where the kernel, a sysctl or a seccomp filter does
// not let this process use io_uring or that part of it.
type Error struct {
	Call  string // the system call or, for a completion, the operation
	Errno unix.Errno
	// Unsupported is set where the errno alone does not tell that what was
	// asked for is not there.
	Unsupported bool
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Call, e.Errno) }

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Errno }

// Is reports whether target is errors.ErrUnsupported and what was asked for is
// not to be had here.
func (e *Error) Is(target error) bool { return target == errors.ErrUnsupported && e.Unsupported }

// wrap is the one gate that every errno of a system call goes through. Zero is
// no error.
func wrap(call string, e unix.Errno) error { return wrapIf(call, e, nil) }

// wrapIf asks unknown, if the errno does not tell, whether the kernel has never
// heard of what was asked for.
func wrapIf(call string, e unix.Errno, unknown func(unix.Errno) bool) error {
	if e == 0 {
		return nil
	}
	return &Error{Call: call, Errno: e, Unsupported: refused(call, e) || unknown != nil && unknown(e)}
}

// refused tells an errno that says "not here" from one that says "not so".
func refused(call string, e unix.Errno) bool {
	switch e {
	case unix.ENOSYS, unix.EOPNOTSUPP:
		return true
	case unix.EPERM: // the sysctl, for one; a filter may choose any
		return call == "io_uring_setup"
	}
	return false
}

// errClosed is what a ring answers after Close.
func errClosed() error { return wrap("ring is closed", unix.EBADF) }

// errnoOf undoes the boxing of an errno by package unix.
func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(*Error); ok {
		return e.Errno
	}
	if e, ok := errors.AsType[unix.Errno](err); ok {
		return e
	}
	return unix.EINVAL
}
