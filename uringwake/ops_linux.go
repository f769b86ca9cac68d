package uringwake

import (
	"context"
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// newOp returns an idle operation for the code under ctx: its task's loop
// flies it, or the goroutine driver.
func newOp(ctx context.Context) (*op, error) {
	waitq.MustContext(ctx, "uringwake")
	if t := TaskFrom(ctx); t != nil {
		t.mustRun("operation")
		return t.loop.newOp(), nil
	}
	d, err := goroutineDriver()
	if err != nil {
		return nil, err
	}
	return d.newOp(), nil
}

// Nop does nothing, by way of the kernel; io_uring_prep_nop, Linux 5.1.
func Nop(ctx context.Context) error {
	o, err := newOp(ctx)
	if err != nil {
		return err
	}
	o.sqe.PrepNop()
	_, err = o.finish(ctx, "nop")
	return err
}

// Read reads into p from offset off, or from the file's own position if off is
// -1, as pread(2) and read(2) do: 0 at the end of a file, less than len(p) if
// there is no more now. A file descriptor with O_NONBLOCK is waited for like
// any other. io_uring_prep_read, Linux 5.6.
//
// When ctx ends, Read returns as soon as the kernel has let go of p; what was
// read by then counts.
func Read(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	return transfer(ctx, "read", fd, p, off, (*ring.SQE).PrepRead, unix.POLLIN)
}

// Write writes p at offset off, or at the file's own position if off is -1, as
// pwrite(2) and write(2) do: it may write less than all. A file descriptor with
// O_NONBLOCK is waited for like any other. io_uring_prep_write, Linux 5.6.
//
// When ctx ends, Write returns as soon as the kernel has let go of p; what was
// written by then counts.
func Write(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	return transfer(ctx, "write", fd, p, off, (*ring.SQE).PrepWrite, unix.POLLOUT)
}

// transfer repeats what the kernel would not wait for since the file has
// O_NONBLOCK, once it is ready.
func transfer(ctx context.Context, call string, fd int, p []byte, off int64,
	prepare func(*ring.SQE, int, []byte, uint64), ready uint32) (int, error) {
	if err := checkFD(call, fd); err != nil {
		return 0, err
	}
	for {
		o, err := newOp(ctx)
		if err != nil {
			return 0, err
		}
		o.keep, p = memory(p)
		prepare(&o.sqe, fd, p, uint64(off))
		n, err := o.finish(ctx, call)
		if errnoOf(err) != unix.EAGAIN {
			return n, err
		}
		if _, err := PollFD(ctx, fd, ready); err != nil {
			return 0, err
		}
	}
}

// PollFD waits until fd is ready for one of events (unix.POLLIN and the like)
// and returns those it is ready for, errors and hang-ups among them; poll(2).
// io_uring_prep_poll_add, Linux 5.1.
func PollFD(ctx context.Context, fd int, events uint32) (uint32, error) {
	if err := checkFD("poll", fd); err != nil {
		return 0, err
	}
	o, err := newOp(ctx)
	if err != nil {
		return 0, err
	}
	o.sqe.PrepPollAdd(fd, events)
	n, err := o.finish(ctx, "poll")
	return uint32(n), err
}

// Close closes fd, whether ctx has ended or not; close(2). Operations in flight
// on it go on. After an error that matches ECANCELED, which the kernel gives when
// it could not begin, fd may be open still. io_uring_prep_close, Linux 5.6.
func Close(ctx context.Context, fd int) error {
	if err := checkFD("close", fd); err != nil {
		return err
	}
	o, err := newOp(ctx)
	if err != nil {
		return err
	}
	o.sqe.PrepClose(fd)
	_, err = o.finish(context.WithoutCancel(ctx), "close")
	if errnoOf(err) == unix.EINTR {
		return nil // the number is free all the same
	}
	return err
}

// Sleep returns nil when d has passed, by the monotonic clock, which stands
// still while the system is suspended; or an error when ctx ends before.
// io_uring_prep_timeout, Linux 5.4.
//
// The kernel looks for a timer that is to be canceled among all of its ring's:
// ten thousands of Sleeps that are canceled at once take seconds.
func Sleep(ctx context.Context, d time.Duration) error {
	o, err := newOp(ctx)
	if err != nil {
		return err
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return &ring.Error{Call: "clock_gettime", Errno: errnoOf(err)}
	}
	// A point in time, since the kernel may have to be asked again.
	end := now.Nano() + int64(max(d, 0))
	if end < 0 {
		end = 1<<63 - 1
	}
	o.time = ring.Timespec{Sec: end / 1e9, Nsec: end % 1e9}
	o.sqe.PrepTimeout(&o.time, 0, ring.TimeoutAbs)
	_, err = o.finish(ctx, "timeout")
	if errnoOf(err) == unix.ETIME {
		return nil
	}
	return err
}

// FutexWait sleeps until it is woken by [FutexWake], or any other futex wake of
// addr, as long as *addr is val; it returns nil at once if it is not. It may also
// return nil without cause: look again. addr may lie in memory that processes
// share. io_uring_prep_futex_wait, Linux 6.7.
func FutexWait(ctx context.Context, addr *atomic.Uint32, val uint32) error {
	_, err := futex(ctx, "futex wait", addr, func(s *ring.SQE, p *uint32) {
		s.PrepFutexWait(p, uint64(val), futexAny, futexU32, 0)
	})
	if errnoOf(err) == unix.EAGAIN {
		return nil
	}
	return err
}

// FutexWake wakes up to n of those who wait for addr by [FutexWait] or futex(2),
// and returns how many. io_uring_prep_futex_wake, Linux 6.7.
func FutexWake(ctx context.Context, addr *atomic.Uint32, n int) (int, error) {
	if n < 0 {
		panic("uringwake: FutexWake of a negative number")
	}
	return futex(ctx, "futex wake", addr, func(s *ring.SQE, p *uint32) {
		s.PrepFutexWake(p, uint64(min(n, math.MaxInt32)), futexAny, futexU32, 0)
	})
}

const (
	futexAny = 1<<32 - 1 // FUTEX_BITSET_MATCH_ANY
	futexU32 = 2         // FUTEX2_SIZE_U32; shared, so that it works across processes
)

func futex(ctx context.Context, call string, addr *atomic.Uint32, prepare func(*ring.SQE, *uint32)) (int, error) {
	if addr == nil {
		panic("uringwake: " + call + " of a nil address")
	}
	if err := HaveFutex(); err != nil {
		return 0, err
	}
	o, err := newOp(ctx)
	if err != nil {
		return 0, err
	}
	o.keep = unsafe.Pointer(addr)
	prepare(&o.sqe, (*uint32)(o.keep))
	return o.finish(ctx, call)
}
