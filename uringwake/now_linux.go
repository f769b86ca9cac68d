package uringwake

import (
	"context"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// What a goroutine wants done now is done by an ordinary system call, on its own
// thread and with nothing locked: memory that has to be paged in, whoever does
// that, holds up the caller only. What cannot be done now waits on the ring:
// for the file to be ready, and then it is tried again. Files that are always
// ready, or do not tell, are left to a worker of the kernel's.

// A transfer is a read or a write.
type transfer struct {
	call    string
	fd      int
	p       []byte
	off     int64 // or -1: the file's own position
	prepare func(s *ring.SQE, fd int, p []byte, off uint64)
	number  uintptr // of the system call that need not wait
	ready   uint32  // what to poll for
	held    bool    // fd is a duplicate
	hasty   bool    // it was ready at the last look
}

func (t *transfer) do(ctx context.Context) (n int, err error) {
	if err := checkFD(t.call, t.fd); err != nil {
		return 0, err
	}
	here, err := inGoroutine(ctx)
	if err != nil {
		return 0, err
	}
	defer t.letGo()
	raceRelease()
	if here {
		n, err = t.here(ctx)
	} else if n, err = t.onRing(ctx, 0); isUnsupported(err) {
		n, err = t.here(ctx)
	}
	raceAcquire()
	return n, err
}

// inGoroutine reports whether the code under ctx runs in a goroutine, and why
// there is nothing to wait with if there is not.
func inGoroutine(ctx context.Context) (bool, error) {
	waitq.MustContext(ctx, "uringwake")
	if TaskFrom(ctx) != nil {
		return false, nil
	}
	_, err := goroutineDriver()
	return true, err
}

// here transfers in a goroutine, and in a task where the ring does not. What is
// done by the time that something goes wrong counts; and so does what has become
// possible by the time that ctx ends.
func (t *transfer) here(ctx context.Context) (done int, err error) {
	if ctx.Err() != nil {
		return 0, waitq.ContextError(ctx)
	}
	defer func() {
		if done > 0 {
			err = nil
		}
	}()
	for {
		n, e := t.now()
		done += n
		switch {
		case e != 0:
			n, again, err := t.wait(ctx, e)
			if !again {
				return done + n, err
			}
		case n == 0 || n == len(t.p) || !isRegular(t.fd):
			return done, nil
		}
		t.skip(n)
	}
}

// wait is for what cannot be done now, and why. It waits until it is worthwhile
// to try again, or has it done.
func (t *transfer) wait(ctx context.Context, why unix.Errno) (n int, again bool, err error) {
	switch {
	case why == unix.EAGAIN || why == unix.EOPNOTSUPP:
		ready := pollNow(t.fd, t.ready) != 0
		if ready && !t.hasty && why == unix.EAGAIN { // since just now, maybe
			t.hasty = true
			return 0, true, nil
		}
		if t.hasty = false; !ready && t.hold() {
			if _, err := poll(ctx, t.fd, t.ready); !isUnsupported(err) {
				return 0, err == nil, err
			}
		}
	case why == unix.ESPIPE && t.off >= 0: // it has no position
		t.off = -1
		return 0, true, nil
	case !elsewhere(why):
		return 0, false, &ring.Error{Call: t.call, Errno: why}
	}
	n, err = t.onRing(ctx, t.worker(why))
	if isUnsupported(err) && isRegular(t.fd) {
		return t.blocking(ctx)
	}
	return n, false, err
}

// blocking has the system call wait for the device, where the ring does not:
// nobody has to cancel that.
func (t *transfer) blocking(ctx context.Context) (int, bool, error) {
	n, e := t.onGoroutine(ctx)
	if e != 0 {
		return 0, false, &ring.Error{Call: t.call, Errno: e}
	}
	return n, false, nil
}

// onGoroutine takes a copy of t, which is to stay on the stack of who reads.
func (t transfer) onGoroutine(ctx context.Context) (n int, e unix.Errno) {
	Blocking(ctx, func() { n, e = t.vector(0) })
	return n, e
}

// hold has t go on with its file, whoever closes the descriptor while it waits:
// the number may be another file's by then. It reports false if there are no
// more descriptors.
func (t *transfer) hold() bool {
	if !t.held {
		fd, err := unix.FcntlInt(uintptr(t.fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return false
		}
		t.fd, t.held = fd, true
	}
	return true
}

func (t *transfer) letGo() {
	if t.held {
		unix.Close(t.fd)
	}
}

// now transfers what can be without waiting.
func (t *transfer) now() (int, unix.Errno) {
	switch {
	case len(t.p) == 0 && t.number == unix.SYS_PWRITEV2:
		return t.nothing()
	case t.isDirect():
		return 0, unix.EOPNOTSUPP
	}
	n, e := t.vector(nowait)
	if e == unix.EOPNOTSUPP {
		return t.nowUntold()
	}
	return n, e
}

const nowait = 8 // RWF_NOWAIT; Linux 4.14

// nothing writes nothing. pwritev2 never sends that, but a datagram may be empty,
// and a device may make something of it. No pipe does, nor has it to have room.
func (t *transfer) nothing() (int, unix.Errno) {
	switch kind(t.fd) {
	case unix.S_IFSOCK:
		return t.nowUntold()
	case unix.S_IFIFO:
		return t.vector(nowait)
	}
	return 0, unix.ENOSYS
}

// vector makes the system call with these RWF flags.
func (t *transfer) vector(flags uintptr) (int, unix.Errno) {
	var v unix.Iovec
	_, p := memory(t.p)
	v.Base = unsafe.SliceData(p)
	v.SetLen(len(p))
	n, _, e := syscall.Syscall6(t.number, uintptr(t.fd), uintptr(unsafe.Pointer(&v)), 1,
		uintptr(t.off), uintptr(uint64(t.off)>>32), flags)
	runtime.KeepAlive(t.p)
	return result(n, e)
}

func result(n uintptr, e unix.Errno) (int, unix.Errno) {
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// skip goes on behind what is done.
func (t *transfer) skip(n int) {
	t.p = t.p[n:]
	if t.off >= 0 {
		t.off += int64(n)
	}
}

// isDirect reports whether the file bypasses the page cache: the system call
// would wait for the device. That needs blocks of this size.
func (t *transfer) isDirect() bool {
	const block = 512
	if len(t.p)%block != 0 || t.off%block > 0 {
		return false
	}
	flags, err := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_DIRECT != 0
}

// isRegular reports whether a transfer goes on until all is done or the file
// ends: what is not in memory is fetched.
func isRegular(fd int) bool {
	k := kind(fd)
	return k == unix.S_IFREG || k == unix.S_IFBLK
}

// kind is the S_IF bits of a file's mode, or 0.
func kind(fd int) uint32 {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0
	}
	return uint32(st.Mode) & unix.S_IFMT
}

// elsewhere reports whether an error is of the way to ask, so that the ring may
// do what the system call did not.
func elsewhere(e unix.Errno) bool {
	switch e {
	case unix.ENOSYS, unix.EPERM, unix.EINVAL, unix.ESPIPE, unix.EINTR:
		return true
	}
	return false
}

// onRing transfers by way of the ring. It repeats what the kernel would not wait
// for since the file has O_NONBLOCK, once that is ready.
func (t *transfer) onRing(ctx context.Context, flags uint8) (int, error) {
	for {
		o, err := newOp(ctx)
		if err != nil {
			return 0, err
		}
		var p []byte
		o.keep, p = memory(t.p)
		t.prepare(&o.sqe, t.fd, p, uint64(t.off))
		o.sqe.Flags |= flags
		n, err := o.finish(ctx, t.call)
		if answer(err) != unix.EAGAIN {
			return n, err
		}
		t.hold()
		if _, err := PollFD(ctx, t.fd, t.ready); err != nil {
			return 0, err
		}
	}
}

// poll waits on the ring until fd is ready for one of events.
func poll(ctx context.Context, fd int, events uint32) (uint32, error) {
	o, err := newOp(ctx)
	if err != nil {
		return 0, err
	}
	o.sqe.PrepPollAdd(fd, events)
	n, err := o.finish(ctx, "poll")
	return uint32(n), err
}

// pollNow is what fd is ready for, or 0; what only the ring can tell is for it.
func pollNow(fd int, events uint32) uint32 {
	const plain = 0x3fff // what poll(2) and the ring have in common
	if events&^plain != 0 {
		return 0
	}
	f := [1]unix.PollFd{{Fd: int32(fd), Events: int16(events)}}
	if n, err := unix.Poll(f[:], 0); n != 1 || err != nil || f[0].Revents&unix.POLLNVAL != 0 {
		return 0
	}
	return uint32(f[0].Revents)
}

// closeNow closes fd. Its number is free even if that was interrupted.
func closeNow(fd int) error {
	if e := errnoOf(unix.Close(fd)); e != 0 && e != unix.EINTR {
		return &ring.Error{Call: "close", Errno: e}
	}
	return nil
}

// sleepHere is Sleep in a goroutine: the runtime has the timer.
func sleepHere(ctx context.Context, d time.Duration) error {
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

// futexWakeNow wakes those who share addr, in this process and others. The system
// call would wake one where none is asked for.
func futexWakeNow(addr *atomic.Uint32, n int) (int, error) {
	if n == 0 {
		return 0, nil
	}
	const wake = 1 // FUTEX_WAKE
	woken, _, e := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), wake, uintptr(n), 0, 0, 0)
	if e != 0 {
		return 0, &ring.Error{Call: "futex wake", Errno: e}
	}
	return int(woken), nil
}
