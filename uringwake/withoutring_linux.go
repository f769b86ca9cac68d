package uringwake

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// This file has what is done without a ring, in goroutines and where the kernel
// refuses the operation.

// pollNow returns what fd is ready for now, or 0. Events that poll(2) does not know
// are left to the ring.
func pollNow(fd int, events uint32) uint32 {
	const plain = 0x3fff // the events that poll(2) and the ring have in common
	if events&^plain != 0 {
		return 0
	}
	f := [1]unix.PollFd{{Fd: int32(fd), Events: int16(events)}}
	if n, err := unix.Poll(f[:], 0); n != 1 || err != nil || f[0].Revents&unix.POLLNVAL != 0 {
		return 0
	}
	return uint32(f[0].Revents)
}

// closeNow closes fd. Its number is free even if the call was interrupted.
func closeNow(fd int) error {
	if e := errnoOf(unix.Close(fd)); e != 0 && e != unix.EINTR {
		return &ring.Error{Call: "close", Errno: e}
	}
	return nil
}

// lingers reports whether close of fd may wait for the other end of a connection (SO_LINGER),
// and would block a loop's thread. The option belongs to the socket, and others may have set
// it: whoever has a duplicate, and a listener for what it accepts.
func lingers(fd int) bool {
	l, err := unix.GetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER)
	return err == nil && l.Onoff != 0 && l.Linger > 0
}

// closeAside closes fd, without making the caller wait.
func closeAside(fd int) {
	if lingers(fd) {
		go unix.Close(fd)
	} else {
		unix.Close(fd)
	}
}

// sleepOnTimer is Sleep by a timer of Go's runtime.
func sleepOnTimer(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	var passed atomic.Bool
	p := wake.ParkerFrom(ctx)
	t := time.AfterFunc(d, func() {
		passed.Store(true)
		p.Wake()
	})
	defer t.Stop()
	for !passed.Load() {
		if err := p.Park(ctx); err != nil && !passed.Load() {
			return waitq.ParkError(ctx, err)
		}
	}
	return nil
}

// futexWakeNow is FutexWake by futex(2), which would wake one waiter where none is
// asked for.
func futexWakeNow(addr *atomic.Uint32, n int) (int, error) {
	if n == 0 {
		return 0, nil
	}
	const futexWake = 1 // FUTEX_WAKE, not private: addr may be shared between processes
	woken, _, e := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), futexWake, uintptr(n), 0, 0, 0)
	if e != 0 {
		return 0, &ring.Error{Call: "futex wake", Errno: e}
	}
	return int(woken), nil
}
