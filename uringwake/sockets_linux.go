package uringwake

import (
	"context"
	"math"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
)

func socket(ctx context.Context, domain, typ, protocol int) (int, error) {
	for _, n := range []int{domain, typ, protocol} {
		if n < 0 || n > math.MaxInt32 {
			return 0, &ring.Error{Call: "socket", Errno: unix.EINVAL}
		}
	}
	typ |= unix.SOCK_CLOEXEC
	return (&fileCall{call: "socket",
		prepare: func(s *ring.SQE) { s.PrepSocket(domain, typ, protocol, 0) },
		now:     func() (int, error) { return unix.Socket(domain, typ, protocol) },
	}).result(ctx, 0)
}

func bind(ctx context.Context, fd int, sa SockAddr) error {
	if err := checkAddr("bind", fd, &sa); err != nil {
		return err
	}
	return (&fileCall{call: "bind", keep: unsafe.Pointer(&sa),
		prepare: func(s *ring.SQE) { s.PrepBind(fd, sa.pointer(), sa.n) },
		now:     func() (int, error) { return 0, withAddr(unix.SYS_BIND, fd, &sa) },
	}).do(ctx)
}

func listen(ctx context.Context, fd, backlog int) error {
	if err := checkFD("listen", fd); err != nil {
		return err
	}
	backlog = max(min(backlog, math.MaxInt32), -1)
	return (&fileCall{call: "listen",
		prepare: func(s *ring.SQE) { s.PrepListen(fd, backlog) },
		now:     func() (int, error) { return 0, unix.Listen(fd, backlog) },
	}).do(ctx)
}

func shutdown(ctx context.Context, fd, how int) error {
	if err := checkFD("shutdown", fd); err != nil {
		return err
	}
	if how < 0 || how > unix.SHUT_RDWR {
		return &ring.Error{Call: "shutdown", Errno: unix.EINVAL}
	}
	return (&fileCall{call: "shutdown",
		prepare: func(s *ring.SQE) { s.PrepShutdown(fd, uint32(how)) },
		now:     func() (int, error) { return 0, unix.Shutdown(fd, how) },
	}).do(ctx)
}

func checkAddr(call string, fd int, sa *SockAddr) error {
	if err := checkFD(call, fd); err != nil {
		return err
	}
	if !sa.IsValid() {
		return &ring.Error{Call: call, Errno: unix.EINVAL}
	}
	return nil
}

func (s *SockAddr) pointer() *unix.RawSockaddrAny {
	return (*unix.RawSockaddrAny)(unsafe.Pointer(&s.raw))
}

var _ [unix.SizeofSockaddrAny]byte = [maxSockAddr]byte{}

// withAddr makes bind(2) or connect(2), neither of which waits for others: the socket of a
// connect is in nonblocking mode.
func withAddr(number uintptr, fd int, sa *SockAddr) error {
	_, _, e := syscall.Syscall(number, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), uintptr(sa.n))
	if e != 0 {
		return e
	}
	return nil
}

// An accepting is a call of Accept.
type accepting struct {
	heldFile
	flags int
	from  *SockAddr // on the heap
}

func accept(ctx context.Context, fd, flags int) (int, SockAddr, error) {
	if err := checkFD("accept", fd); err != nil {
		return 0, SockAddr{}, err
	}
	a := accepting{heldFile: heldFile{fd: fd}, flags: flags | unix.SOCK_CLOEXEC, from: new(SockAddr)}
	defer a.closeDuplicate()
	nfd, err := a.do(ctx)
	if err != nil {
		return 0, SockAddr{}, err
	}
	a.from.n = min(a.from.n, maxSockAddr)
	return nfd, *a.from, nil
}

func (a *accepting) do(ctx context.Context) (int, error) {
	here, err := inGoroutine(ctx)
	switch {
	case err != nil:
		return 0, err
	case ctx.Err() != nil:
		return 0, waitq.ContextError(ctx)
	case here && a.isNonblocking():
		if nfd, e := a.now(); e != unix.EAGAIN {
			return nfd, errorOf("accept", e)
		}
	}
	if here {
		a.duplicate() // the entry waits for the keeper
	}
	nfd, err := a.onRing(ctx)
	if isUnsupported(err) && a.isNonblocking() {
		if nfd, err := a.byPolling(ctx); !isUnsupported(err) {
			return nfd, err
		}
	}
	return nfd, err
}

// onRing accepts by the ring. A kernel that does not wait because the socket has
// O_NONBLOCK polls it.
func (a *accepting) onRing(ctx context.Context) (int, error) {
	for {
		o, err := newOp(ctx)
		if err != nil {
			return 0, err
		}
		a.from.n = maxSockAddr
		o.keep = unsafe.Pointer(a.from)
		o.sqe.PrepAccept(a.fd, a.from.pointer(), &a.from.n, uint32(a.flags))
		nfd, err := o.finish(ctx, "accept")
		if kernelErrno(err) != unix.EAGAIN {
			return nfd, err
		}
		if err := a.wait(ctx, unix.POLLIN); err != nil {
			return 0, err
		}
	}
}

func (a *accepting) byPolling(ctx context.Context) (int, error) {
	for {
		if nfd, e := a.now(); e != unix.EAGAIN {
			return nfd, errorOf("accept", e)
		}
		if err := a.wait(ctx, unix.POLLIN); err != nil {
			return 0, err
		}
	}
}

// now makes the system call, for a socket in nonblocking mode.
func (a *accepting) now() (int, unix.Errno) {
	for {
		a.from.n = maxSockAddr
		nfd, _, e := syscall.Syscall6(unix.SYS_ACCEPT4, uintptr(a.fd), uintptr(unsafe.Pointer(&a.from.raw)),
			uintptr(unsafe.Pointer(&a.from.n)), uintptr(a.flags), 0, 0)
		if e != unix.EINTR {
			return result(nfd, e)
		}
	}
}

// errorOf returns the error of a system call, or nil.
func errorOf(call string, e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return &ring.Error{Call: call, Errno: e}
}

// wait waits until the file may be ready, after an attempt has shown that it is not. If
// poll(2) says that it is, wait waits a moment: so it is with a unix datagram socket that
// sends to one which is full, and with connections to a unix socket.
func (f *heldFile) wait(ctx context.Context, ready uint32) error {
	f.duplicate()
	if pollNow(f.fd, ready) != 0 {
		return Sleep(ctx, time.Millisecond)
	}
	_, err := poll(ctx, f.fd, ready)
	return err
}

// A connecting is a call of Connect.
type connecting struct {
	heldFile
	to *SockAddr // on the heap
}

func connect(ctx context.Context, fd int, sa SockAddr) error {
	if err := checkAddr("connect", fd, &sa); err != nil {
		return err
	}
	c := connecting{heldFile{fd: fd}, &sa}
	defer c.closeDuplicate()
	return c.do(ctx)
}

func (c *connecting) do(ctx context.Context) error {
	here, err := inGoroutine(ctx)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return waitq.ContextError(ctx)
	case here && c.isNonblocking():
		switch err := c.now(ctx); kernelErrno(err) {
		case unix.EAGAIN:
		case unix.EINPROGRESS, unix.EINTR:
			return c.finish(ctx)
		default:
			return err
		}
	}
	if here {
		c.duplicate() // the entry waits for the keeper
	}
	if err = c.repeat(ctx, c.onRing); isUnsupported(err) && c.isNonblocking() {
		return c.repeat(ctx, c.now)
	}
	return err
}

// repeat connects by attempt, which it repeats if the line of a unix socket is full: the
// kernel may return EAGAIN then (6.18, on a loop's ring), and poll(2) does not wait for it.
func (c *connecting) repeat(ctx context.Context, attempt func(ctx context.Context) error) error {
	for {
		err := attempt(ctx)
		switch kernelErrno(err) {
		case unix.EINPROGRESS, unix.EINTR:
			return c.finish(ctx)
		case unix.EAGAIN:
			if err := c.wait(ctx, unix.POLLOUT); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (c *connecting) onRing(ctx context.Context) error {
	o, err := newOp(ctx)
	if err != nil {
		return err
	}
	o.keep = unsafe.Pointer(c.to)
	o.sqe.PrepConnect(c.fd, c.to.pointer(), c.to.n)
	_, err = o.finish(ctx, "connect")
	return err
}

// now makes the system call, for a socket in nonblocking mode.
func (c *connecting) now(context.Context) error {
	return errorOf("connect", errnoOf(withAddr(unix.SYS_CONNECT, c.fd, c.to)))
}

// finish waits until the attempt has ended that the kernel goes on with. Where the kernel
// refuses to poll, finish looks now and then.
func (c *connecting) finish(ctx context.Context) error {
	c.duplicate()
	_, err := poll(ctx, c.fd, unix.POLLOUT)
	for isUnsupported(err) && pollNow(c.fd, unix.POLLOUT) == 0 {
		if err := Sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	if err != nil && !isUnsupported(err) {
		return err
	}
	n, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return errorOf("connect", errnoOf(err))
	}
	return errorOf("connect", unix.Errno(n))
}
