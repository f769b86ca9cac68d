package uringwake

import (
	"context"
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

func nop(ctx context.Context) error {
	o, err := newOp(ctx)
	if err != nil {
		return err
	}
	o.sqe.PrepNop()
	_, err = o.finish(ctx, "nop")
	return err
}

func pollFD(ctx context.Context, fd int, events uint32) (uint32, error) {
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

// poll waits on the ring until fd is ready for one of events.
func poll(ctx context.Context, fd int, events uint32) (uint32, error) {
	return pollUntil(ctx, fd, events, nil)
}

// pollUntil is poll until i is interrupted.
func pollUntil(ctx context.Context, fd int, events uint32, i *bridge.Interrupter) (uint32, error) {
	o, err := newOp(ctx)
	if err != nil {
		return 0, err
	}
	o.sqe.PrepPollAdd(fd, events)
	n, _, err := o.Wait(ctx, i, "poll")
	return uint32(n), err
}

func closeFD(ctx context.Context, fd int) error {
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
	if lingers(fd) {
		return tryBlocking(ctx, func() error { return closeNow(fd) })
	}
	err = closeOnRing(ctx, fd)
	switch {
	case declined(err) && declined(closeOnRing(ctx, -1)): // otherwise the second close fails with EBADF
		return tryBlocking(ctx, func() error { return closeNow(fd) })
	case kernelErrno(err) == unix.EINTR:
		return nil // the number is free nevertheless
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

func sleep(ctx context.Context, d time.Duration) error {
	if here, err := inGoroutine(ctx); err != nil {
		return err
	} else if here {
		return sleepOnTimer(ctx, d)
	}
	return TaskFrom(ctx).sleep(ctx, d)
}

// sleep is Sleep in t, whatever parker ctx carries.
func (t *Task) sleep(ctx context.Context, d time.Duration) error {
	waitq.MustContext(ctx, "uringwake")
	t.mustRun("Sleep")
	o := t.loop.newOp()
	o.setTimeout(d)
	_, err := o.finish(ctx, "timeout")
	if declined(err) {
		return sleepOnTimer(wake.WithParker(ctx, t), d)
	}
	if kernelErrno(err) == unix.ETIME {
		return nil
	}
	return err
}

func futexWait(ctx context.Context, addr *atomic.Uint32, val uint32) error {
	if err := mayFutex(ctx, "futex wait", addr, HaveFutex); err != nil {
		return err
	}
	if TaskFrom(ctx) == nil && ctx.Err() == nil && addr.Load() != val {
		return nil // if it is val, this has brought its page in
	}
	_, err := futex(ctx, "futex wait", addr, func(s *ring.SQE, p *uint32) {
		s.PrepFutexWait(p, uint64(val), futexAny, futexU32, 0)
	})
	if kernelErrno(err) == unix.EAGAIN {
		return nil
	}
	return err
}

func futexWake(ctx context.Context, addr *atomic.Uint32, n int) (int, error) {
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

// mayFutex panics on misuse, and returns the error of have.
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
