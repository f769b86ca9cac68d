package ring

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// An Error is the error of a call that the kernel refused. With errors.Is it matches its
// Errno, and also errors.ErrUnsupported if the kernel, a sysctl or a seccomp filter does
// not let this process use io_uring or what was asked of it.
type Error struct {
	Call  string // the system call or, for a completion, the operation
	Errno unix.Errno
	// Unsupported is set where the errno alone does not show that what was asked for
	// is not supported.
	Unsupported bool
}

// Error returns Call and the text of Errno.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Call, e.Errno) }

// Unwrap returns Errno.
func (e *Error) Unwrap() error { return e.Errno }

// Is reports whether target is errors.ErrUnsupported and what was asked for is not
// supported here.
func (e *Error) Is(target error) bool { return target == errors.ErrUnsupported && e.Unsupported }

// wrap makes an error of every errno of a system call. Zero is no error.
func wrap(call string, e unix.Errno) error { return wrapIf(call, e, nil) }

// wrapIf is wrap. If the errno does not show it, it asks unknown whether the kernel
// does not know what was asked for.
func wrapIf(call string, e unix.Errno, unknown func(unix.Errno) bool) error {
	if e == 0 {
		return nil
	}
	return &Error{Call: call, Errno: e, Unsupported: refused(call, e) || unknown != nil && unknown(e)}
}

// refused reports whether the errno says that the call is not supported, rather than
// that its arguments are wrong.
func refused(call string, e unix.Errno) bool {
	switch e {
	case unix.ENOSYS, unix.EOPNOTSUPP:
		return true
	case unix.EPERM: // the sysctl, for one; a filter may choose any
		return call == "io_uring_setup"
	}
	return false
}

// errClosed is the error of a ring after Close.
func errClosed() error { return wrap("ring is closed", unix.EBADF) }

// errnoOf returns the errno in err, EINVAL if there is none, or 0 if err is nil: an
// error is never an errno of 0.
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
