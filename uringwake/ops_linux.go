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
// there is no more now. What has no position, as a pipe, ignores off. A file
// descriptor with O_NONBLOCK is waited for like any other. io_uring_prep_read,
// Linux 5.6.
//
// Only one call at a time may use a file's own position: of several the kernel
// may have some read the same bytes, and skip others.
//
// A Read that waits keeps the file, and may use another descriptor for that.
// When ctx ends, Read returns as soon as the kernel has let go of p; what was
// read by then counts. Where the kernel refuses to read by the ring, what can be
// had by poll(2) and preadv2(2) is, and a Read of a terminal or the like fails.
func Read(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	t := transfer{call: "read", fd: fd, p: p, off: off,
		prepare: (*ring.SQE).PrepRead, number: unix.SYS_PREADV2, ready: unix.POLLIN}
	return t.do(ctx)
}

// Write writes p at offset off, or at the file's own position if off is -1, as
// pwrite(2) and write(2) do: it may write less than all. What has no position,
// as a pipe, ignores off. A file descriptor with O_NONBLOCK is waited for like
// any other. io_uring_prep_write, Linux 5.6.
//
// Only one call at a time may use a file's own position: of several the kernel
// may have some overwrite each other. With O_APPEND there is no such position.
//
// A Write that waits keeps the file, and may use another descriptor for that.
// When ctx ends, Write returns as soon as the kernel has let go of p; what was
// written by then counts. Where the kernel refuses to write by the ring, it is as
// with [Read].
func Write(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	t := transfer{call: "write", fd: fd, p: p, off: off,
		prepare: (*ring.SQE).PrepWrite, number: unix.SYS_PWRITEV2, ready: unix.POLLOUT}
	return t.do(ctx)
}

// PollFD waits until fd is ready for one of events (unix.POLLIN and the like)
// and returns those it is ready for, errors and hang-ups among them; poll(2).
// Where the kernel refuses that, it fails. io_uring_prep_poll_add, Linux 5.1.
func PollFD(ctx context.Context, fd int, events uint32) (uint32, error) {
	if err := checkFD("poll", fd); err != nil {
		return 0, err
	}
	here, err := inGoroutine(ctx)
	if err != nil {
		return 0, err
	}
	if here && ctx.Err() == nil {
		if ready := pollNow(fd, events); ready != 0 {
			return ready, nil
		}
	}
	return poll(ctx, fd, events)
}

// Close closes fd, whether ctx has ended or not; close(2). Operations in flight
// on it go on, with the file that it was. After an error that matches ECANCELED,
// which the kernel gives when it could not begin, fd may be open still. It is by
// close(2) where the kernel refuses to close by the ring. io_uring_prep_close,
// Linux 5.6.
func Close(ctx context.Context, fd int) error {
	if err := checkFD("close", fd); err != nil {
		return err
	}
	here, err := inGoroutine(ctx)
	if err != nil {
		return err
	}
	if here {
		return closeNow(fd)
	}
	err = closeOnRing(ctx, fd)
	switch {
	case declined(err) && declined(closeOnRing(ctx, -1)): // else that is EBADF
		return tryBlocking(ctx, func() error { return closeNow(fd) })
	case answer(err) == unix.EINTR:
		return nil // the number is free all the same
	}
	return err
}

func closeOnRing(ctx context.Context, fd int) error {
	o, err := newOp(ctx)
	if err != nil {
		return err
	}
	o.sqe.PrepClose(fd)
	_, err = o.finish(context.WithoutCancel(ctx), "close")
	return err
}

// Sleep returns nil when d has passed, by the monotonic clock, which stands
// still while the system is suspended; or an error when ctx ends before. In a
// goroutine, and where the kernel refuses its own, it is a timer of Go's.
// io_uring_prep_timeout, Linux 5.4.
//
// In a task, the kernel looks for a timer that is to be canceled among all of its
// ring's: ten thousands of Sleeps that are canceled at once take seconds.
func Sleep(ctx context.Context, d time.Duration) error {
	here, err := inGoroutine(ctx)
	if err != nil {
		return err
	}
	if here {
		return sleepHere(ctx, d)
	}
	o, err := newOp(ctx)
	if err != nil {
		return err
	}
	o.until = monotonic() + max(d, 0)
	if o.until < 0 {
		o.until = math.MaxInt64
	}
	o.sqe.PrepTimeout(&o.time, 0, 0)
	_, err = o.finish(ctx, "timeout")
	if declined(err) {
		return sleepHere(ctx, d)
	}
	if answer(err) == unix.ETIME {
		return nil
	}
	return err
}

// FutexWait sleeps until it is woken by [FutexWake], or any other futex wake of
// addr, as long as *addr is val; it returns nil at once if it is not. It may also
// return nil without cause: look again. addr may lie in memory that processes
// share; private futexes, as those of C libraries' locks and of Go's runtime,
// neither wake it nor are woken. io_uring_prep_futex_wait, Linux 6.7.
func FutexWait(ctx context.Context, addr *atomic.Uint32, val uint32) error {
	if err := mayFutex(ctx, "futex wait", addr, HaveFutex); err != nil {
		return err
	}
	if TaskFrom(ctx) == nil && ctx.Err() == nil && addr.Load() != val {
		return nil // and if it is, it has been paged in
	}
	_, err := futex(ctx, "futex wait", addr, func(s *ring.SQE, p *uint32) {
		s.PrepFutexWait(p, uint64(val), futexAny, futexU32, 0)
	})
	if answer(err) == unix.EAGAIN {
		return nil
	}
	return err
}

// FutexWake wakes up to n of those who wait for addr by [FutexWait] or futex(2),
// and returns how many. In a goroutine, and where the kernel refuses the
// operation or does not know it, it is futex(2). io_uring_prep_futex_wake, Linux 6.7.
func FutexWake(ctx context.Context, addr *atomic.Uint32, n int) (int, error) {
	if n < 0 {
		panic("uringwake: FutexWake of a negative number")
	}
	n = min(n, math.MaxInt32)
	if err := mayFutex(ctx, "futex wake", addr, Supported); err != nil {
		return 0, err
	}
	if here, err := inGoroutine(ctx); here {
		if err == nil && ctx.Err() != nil {
			err = waitq.ContextError(ctx)
		}
		if err != nil {
			return 0, err
		}
		return futexWakeNow(addr, n)
	}
	woken, err := futex(ctx, "futex wake", addr, func(s *ring.SQE, p *uint32) {
		s.PrepFutexWake(p, uint64(n), futexAny, futexU32, 0)
	})
	if declined(err) {
		return futexWakeNow(addr, n)
	}
	return woken, err
}

const (
	futexAny = 1<<32 - 1 // FUTEX_BITSET_MATCH_ANY
	futexU32 = 2         // FUTEX2_SIZE_U32; shared, so that it works across processes
)

// mayFutex panics on misuse, and returns what have does.
func mayFutex(ctx context.Context, call string, addr *atomic.Uint32, have func() error) error {
	waitq.MustContext(ctx, "uringwake")
	if addr == nil {
		panic("uringwake: " + call + " of a nil address")
	}
	return have()
}

func futex(ctx context.Context, call string, addr *atomic.Uint32, prepare func(*ring.SQE, *uint32)) (int, error) {
	o, err := newOp(ctx)
	if err != nil {
		return 0, err
	}
	o.keep = unsafe.Pointer(addr)
	prepare(&o.sqe, (*uint32)(o.keep))
	return o.finish(ctx, call)
}
