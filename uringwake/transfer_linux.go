package uringwake

import (
	"context"
	"io"
	"math"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// A goroutine transfers what it can without waiting by an ordinary system call, on
// its own thread and with nothing locked: if a page has to be fetched, or to be filled
// by a process, only the caller is delayed. What cannot be transferred now waits on the
// ring until the file is ready, and is tried again. Files that are always ready, or
// cannot be polled, are left to one of the kernel's workers.

// A transfer is a read or a write.
type transfer struct {
	heldFile
	call     string
	p        []byte
	v        []unix.Iovec // if not nil, instead of p; on the heap
	off      int64        // or -1: the file's own position
	prepare  func(s *ring.SQE, fd int, p []byte, off uint64)
	preparev func(s *ring.SQE, fd int, v []unix.Iovec, off uint64, flags uint32)
	number   uintptr // of the system call that need not wait
	ready    uint32  // what to poll for
	retried  bool    // the file was ready at the last look
}

func read(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	t := reading(fd, p, off)
	return t.do(ctx)
}

func reading(fd int, p []byte, off int64) transfer {
	return transfer{heldFile: heldFile{fd: fd}, call: "read", p: p, off: off,
		prepare: (*ring.SQE).PrepRead, number: unix.SYS_PREADV2, ready: unix.POLLIN}
}

func write(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	t := writing(fd, p, off)
	return t.do(ctx)
}

func writing(fd int, p []byte, off int64) transfer {
	return transfer{heldFile: heldFile{fd: fd}, call: "write", p: p, off: off,
		prepare: (*ring.SQE).PrepWrite, number: unix.SYS_PWRITEV2, ready: unix.POLLOUT}
}

func (t *transfer) do(ctx context.Context) (n int, err error) {
	if err := checkFD(t.call, t.fd); err != nil {
		return 0, err
	}
	here, err := inGoroutine(ctx)
	if err != nil {
		return 0, err
	}
	defer t.closeDuplicate()
	raceRelease()
	if t.off == -1 && t.hasFlag(unix.O_DIRECT) {
		n, err = t.moving(ctx, here)
	} else {
		n, err = t.either(ctx, here)
	}
	raceAcquire()
	return n, err
}

// either transfers in a goroutine or in a task.
func (t *transfer) either(ctx context.Context, here bool) (int, error) {
	if !here {
		if n, err := t.onRing(ctx, 0); !isUnsupported(err) {
			return n, err
		}
	}
	return t.bySystemCall(ctx)
}

// moving transfers at the file's own position, and moves it. The ring does not, if the
// device completes the transfer later, as with O_DIRECT (Linux 6.18). The kernel ignores
// the offset of a write to a file with O_APPEND, which ends at the end.
func (t *transfer) moving(ctx context.Context, here bool) (int, error) {
	t.duplicate() // so that no other file's position is moved
	pos, err := unix.Seek(t.fd, 0, io.SeekCurrent)
	if err != nil { // a pipe
		return t.either(ctx, here)
	}
	t.off = pos
	n, err := t.either(ctx, here)
	switch {
	case err != nil:
		return 0, err
	case t.number == unix.SYS_PWRITEV2 && t.hasFlag(unix.O_APPEND):
		unix.Seek(t.fd, 0, io.SeekEnd)
	default:
		unix.Seek(t.fd, pos+int64(n), io.SeekStart)
	}
	return n, nil
}

// inGoroutine reports whether the code under ctx runs in a goroutine. If it does
// and there is no ring to wait with, inGoroutine returns an error too.
func inGoroutine(ctx context.Context) (bool, error) {
	waitq.MustContext(ctx, "uringwake")
	if TaskFrom(ctx) != nil {
		return false, nil
	}
	_, err := defaultGoroutineDriver()
	return true, err
}

// onRing transfers by the ring. Where the kernel does not wait because the file has
// O_NONBLOCK, onRing waits until it is ready, and repeats the transfer.
func (t *transfer) onRing(ctx context.Context, flags uint8) (int, error) {
	for {
		o, err := newOp(ctx)
		if err != nil {
			return 0, err
		}
		t.load(o)
		o.sqe.Flags |= flags
		n, _, err := o.Wait(ctx, t.interrupter, t.call)
		if kernelErrno(err) != unix.EAGAIN {
			return n, err
		}
		t.duplicate()
		if _, err := pollUntil(ctx, t.fd, t.ready, t.interrupter); err != nil {
			return 0, err
		}
	}
}

// load prepares o.
func (t *transfer) load(o *op) {
	if t.v != nil {
		o.keep = unsafe.Pointer(unsafe.SliceData(t.v))
		t.preparev(&o.sqe, t.fd, t.v, uint64(t.off), 0)
		return
	}
	var p []byte
	o.keep, p = memory(t.p)
	t.prepare(&o.sqe, t.fd, p, uint64(t.off))
}

// memory returns what p points at, and p cut to what the kernel takes at a time.
func memory(p []byte) (unsafe.Pointer, []byte) {
	const most = math.MaxInt32 &^ 4095
	if len(p) > most {
		p = p[:most]
	}
	return unsafe.Pointer(unsafe.SliceData(p)), p
}

// bySystemCall transfers in a goroutine, and in a task where the ring does not. What
// is done by the time that something goes wrong, or that ctx ends, is the result.
func (t *transfer) bySystemCall(ctx context.Context) (done int, err error) {
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
		case n == 0 || n == t.size() || !isRegular(t.fd):
			return done, nil
		}
		t.skip(n)
	}
}

// wait is called if the transfer cannot be done now, because of why. It waits until
// another try is worthwhile, or has the transfer done.
func (t *transfer) wait(ctx context.Context, why unix.Errno) (n int, again bool, err error) {
	if t.mayWaitHere(ctx, why) {
		if n, why = t.uninterrupted(0); why == 0 {
			return n, false, nil
		}
	}
	switch {
	case why == unix.EAGAIN || why == unix.EOPNOTSUPP:
		ready := pollNow(t.fd, t.ready) != 0
		if ready && !t.retried && why == unix.EAGAIN { // since just now, maybe
			t.retried = true
			return 0, true, nil
		}
		if t.retried = false; !ready && t.duplicate() {
			if _, err := pollUntil(ctx, t.fd, t.ready, t.interrupter); !isUnsupported(err) {
				return 0, err == nil, err
			}
		}
	case why == unix.ESPIPE && t.off >= 0: // it has no position
		t.off = -1
		return 0, true, nil
	case !ringMayDo(why):
		return 0, false, &ring.Error{Call: t.call, Errno: why}
	}
	n, err = t.onRing(ctx, t.worker(why))
	if isUnsupported(err) && isRegular(t.fd) {
		return t.blocking(ctx)
	}
	return n, false, err
}

// mayWaitHere reports whether the goroutine itself waits for a regular file, as package os
// does, which takes a fraction of the time of a worker's way. Writes need not be
// canceled, and many file systems cannot tell whether they have to wait (ext4 of Linux
// 6.18).
func (t *transfer) mayWaitHere(ctx context.Context, why unix.Errno) bool {
	if why != unix.EAGAIN && why != unix.EOPNOTSUPP || TaskFrom(ctx) != nil || t.interrupter != nil {
		return false
	}
	return (t.number == unix.SYS_PWRITEV2 || ctx.Done() == nil) && kind(t.fd) == unix.S_IFREG && !t.isDirect()
}

// uninterrupted makes the system call with these RWF flags, until no signal interrupts it.
func (t *transfer) uninterrupted(flags uintptr) (n int, e unix.Errno) {
	e = unix.EINTR
	for e == unix.EINTR {
		n, e = t.vector(flags)
	}
	return n, e
}

// ringMayDo reports whether the system call failed because of the way it was made,
// so that the ring may succeed.
func ringMayDo(e unix.Errno) bool {
	switch e {
	case unix.ENOSYS, unix.EPERM, unix.EINVAL, unix.ESPIPE, unix.EINTR:
		return true
	}
	return false
}

// blocking has the system call wait for the device, where the ring does not: such
// a wait need not be canceled.
func (t *transfer) blocking(ctx context.Context) (int, bool, error) {
	n, e := t.onGoroutine(ctx)
	if e != 0 {
		return 0, false, &ring.Error{Call: t.call, Errno: e}
	}
	return n, false, nil
}

// onGoroutine takes a copy of t, so that t stays on its caller's stack.
func (t transfer) onGoroutine(ctx context.Context) (n int, e unix.Errno) {
	Blocking(ctx, func() { n, e = t.vector(0) })
	return n, e
}

// now transfers what it can without waiting.
func (t *transfer) now() (int, unix.Errno) {
	switch {
	case t.size() == 0 && t.number == unix.SYS_PWRITEV2:
		return t.writeNothing()
	case t.isDirect():
		return 0, unix.EOPNOTSUPP
	}
	n, e := t.vector(nowait)
	if e == unix.EOPNOTSUPP {
		return t.nowWithoutFlag()
	}
	return n, e
}

const nowait = 8 // RWF_NOWAIT; Linux 4.14

// writeNothing is now for an empty buffer, which pwritev2 never sends. But a
// datagram may be empty, and a device may act on it. A pipe does not, and need not
// have room.
func (t *transfer) writeNothing() (int, unix.Errno) {
	switch kind(t.fd) {
	case unix.S_IFSOCK:
		return t.nowWithoutFlag()
	case unix.S_IFIFO:
		return t.vector(nowait)
	}
	return 0, unix.ENOSYS
}

// vector makes the system call with these RWF flags.
func (t *transfer) vector(flags uintptr) (int, unix.Errno) {
	var one unix.Iovec
	v, count := &one, 1
	if t.v != nil {
		v, count = unsafe.SliceData(t.v), len(t.v)
	} else {
		_, p := memory(t.p)
		one = iovec(p)
	}
	n, _, e := syscall.Syscall6(t.number, uintptr(t.fd), uintptr(unsafe.Pointer(v)), uintptr(count),
		uintptr(t.off), uintptr(uint64(t.off)>>32), flags)
	runtime.KeepAlive(t.p)
	runtime.KeepAlive(t.v)
	return result(n, e)
}

func result(n uintptr, e unix.Errno) (int, unix.Errno) {
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// skip moves t past the n bytes that are done.
func (t *transfer) skip(n int) {
	if t.v != nil {
		t.v = skipIovecs(t.v, n)
	} else {
		t.p = t.p[n:]
	}
	if t.off >= 0 {
		t.off += int64(n)
	}
}

// isDirect reports whether the file bypasses the page cache, for which the buffer
// must consist of blocks of this size: the system call would wait for the device.
func (t *transfer) isDirect() bool {
	const block = 512
	if t.off%block > 0 || len(t.p)%block != 0 {
		return false
	}
	for i := range t.v {
		if t.v[i].Len%block != 0 {
			return false
		}
	}
	return t.hasFlag(unix.O_DIRECT)
}

// isRegular reports whether a transfer continues until all is done or the file ends:
// what is not in memory is fetched.
func isRegular(fd int) bool {
	k := kind(fd)
	return k == unix.S_IFREG || k == unix.S_IFBLK
}

// kind returns the S_IF bits of a file's mode, or 0.
func kind(fd int) uint32 {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0
	}
	return uint32(st.Mode) & unix.S_IFMT
}
