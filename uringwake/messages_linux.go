package uringwake

import (
	"context"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// An exchange is a call of Recv, Send, Recvmsg or Sendmsg.
type exchange struct {
	heldFile
	call    string
	opcode  uint8
	p       []byte
	h       *header // if not nil, instead of p; on the heap
	flags   int
	ready   uint32 // what to poll for
	retried bool   // the socket was ready at the last look
	stream  bool   // it is known to be one
}

// A header is what the kernel reads and writes of a Message.
type header struct {
	unix.Msghdr
	v     []unix.Iovec // what is left of the buffers
	addr  SockAddr
	space int // of the control data
	// What the last receive wrote: one that fails after it leaves something else.
	name, control, flags int
}

func recv(ctx context.Context, fd int, p []byte, flags int) (int, error) {
	x := exchange{heldFile: heldFile{fd: fd}, call: "recv", opcode: ring.OpRecv, p: p}
	x.receive(flags)
	return x.do(ctx)
}

func send(ctx context.Context, fd int, p []byte, flags int) (int, error) {
	x := exchange{heldFile: heldFile{fd: fd}, call: "send", opcode: ring.OpSend, p: p}
	x.send(flags)
	return x.do(ctx)
}

func recvmsg(ctx context.Context, fd int, to *Message, flags int) (int, error) {
	to.Addr, to.Flags, to.ControlN = SockAddr{}, 0, 0
	h := &header{v: iovecs(to.Buffers), addr: SockAddr{n: maxSockAddr}, space: len(to.Control)}
	h.Control = unsafe.SliceData(to.Control)
	x := exchange{heldFile: heldFile{fd: fd}, call: "recvmsg", opcode: ring.OpRecvmsg, h: h}
	x.receive(flags | unix.MSG_CMSG_CLOEXEC)
	n, err := x.do(ctx)
	if err != nil {
		return 0, err
	}
	h.addr.n = uint32(min(h.name, maxSockAddr))
	to.Addr, to.Flags, to.ControlN = h.addr, h.flags, h.control
	return n, nil
}

func sendmsg(ctx context.Context, fd int, from *Message, flags int) (int, error) {
	h := &header{v: iovecs(from.Buffers), addr: from.Addr, space: len(from.Control)}
	h.Control = unsafe.SliceData(from.Control)
	x := exchange{heldFile: heldFile{fd: fd}, call: "sendmsg", opcode: ring.OpSendmsg, h: h}
	x.send(flags)
	return x.do(ctx)
}

func (x *exchange) receive(flags int) {
	x.flags, x.ready = flags, unix.POLLIN
	if flags&unix.MSG_ERRQUEUE != 0 {
		x.ready = unix.POLLERR
	}
	if flags&unix.MSG_PEEK != 0 {
		x.flags &^= unix.MSG_WAITALL // the kernel would peek at the same bytes again
	}
}

func (x *exchange) send(flags int) { x.flags, x.ready = flags|unix.MSG_NOSIGNAL, unix.POLLOUT }

// do transfers once or, with MSG_WAITALL, until all is done. What is done when something
// goes wrong is the result.
func (x *exchange) do(ctx context.Context) (done int, err error) {
	if err := checkFD(x.call, x.fd); err != nil {
		return 0, err
	}
	here, err := inGoroutine(ctx)
	if err != nil {
		return 0, err
	}
	if x.ready == unix.POLLOUT && x.flags&unix.MSG_ZEROCOPY != 0 {
		return 0, errorOf(x.call, unix.EINVAL)
	}
	defer x.closeDuplicate()
	raceRelease()
	for {
		n, err := x.once(ctx, here)
		if done += n; err != nil && done == 0 {
			return 0, err
		}
		if err == nil && x.opcode == ring.OpRecvmsg {
			x.h.note()
		}
		if err != nil || !x.wantsMore(n) {
			raceAcquire()
			return done, nil
		}
		x.skip(n)
	}
}

func (x *exchange) once(ctx context.Context, here bool) (int, error) {
	if !here {
		if n, err := x.onRing(ctx, 0); !isUnsupported(err) {
			return n, err
		}
	}
	return x.bySystemCall(ctx)
}

// wantsMore reports whether MSG_WAITALL asks for another transfer after one of n bytes. It
// does for streams only, whose messages have no ends.
func (x *exchange) wantsMore(n int) bool {
	if x.flags&unix.MSG_WAITALL == 0 || n <= 0 || n >= x.size() {
		return false
	}
	if x.opcode == ring.OpRecvmsg && (x.h.flags != 0 || x.h.control > 0) {
		return false
	}
	x.stream = x.stream || isType(x.fd, unix.SOCK_STREAM)
	return x.stream
}

func isType(fd, typ int) bool {
	is, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && is == typ
}

func (x *exchange) size() int {
	if x.h != nil {
		return sizeOf(x.h.v)
	}
	return len(x.p)
}

// skip moves x past the n bytes that are done. Control data went with them.
func (x *exchange) skip(n int) {
	if x.h == nil {
		x.p = x.p[n:]
		return
	}
	x.h.v = skipIovecs(x.h.v, n)
	if x.opcode == ring.OpSendmsg {
		x.h.space = 0
	}
}

// onRing transfers by the ring. It waits until the socket is ready, and repeats the
// transfer, where the kernel does not wait or must not.
func (x *exchange) onRing(ctx context.Context, flags uint8) (int, error) {
	for {
		o, err := newOp(ctx)
		if err != nil {
			return 0, err
		}
		x.load(o)
		o.sqe.Flags |= flags
		n, err := o.finish(ctx, x.call)
		if kernelErrno(err) != unix.EAGAIN || x.flags&unix.MSG_DONTWAIT != 0 {
			return n, err
		}
		if x.mustNotWait() && isType(x.fd, unix.SOCK_STREAM) {
			x.stream = true
			continue
		}
		if err := x.again(ctx); err != nil {
			return 0, err
		}
	}
}

// mustNotWait reports whether the kernel must not wait with the transfer. When it finds the
// queue of a unix datagram socket full, it has consumed the data already; it waits, and
// sends an empty message (SEND and SENDMSG of Linux 6.18). Streams are known to be safe.
func (x *exchange) mustNotWait() bool { return x.ready == unix.POLLOUT && !x.stream }

// again waits until another attempt on the ring is worthwhile. Where the kernel refuses to
// poll, it is so now and then.
func (x *exchange) again(ctx context.Context) error {
	err := x.heldFile.wait(ctx, x.ready)
	if isUnsupported(err) && x.mustNotWait() {
		return Sleep(ctx, time.Millisecond)
	}
	return err
}

// load prepares o.
func (x *exchange) load(o *op) {
	var p []byte
	flags := uint32(x.flags)
	if x.mustNotWait() {
		flags |= unix.MSG_DONTWAIT
	}
	if x.h != nil {
		x.h.load()
		o.keep = unsafe.Pointer(x.h)
	} else {
		o.keep, p = memory(x.p)
	}
	switch x.opcode {
	case ring.OpRecv:
		o.sqe.PrepRecv(x.fd, p, flags)
	case ring.OpSend:
		o.sqe.PrepSend(x.fd, p, flags)
	case ring.OpRecvmsg:
		o.sqe.PrepRecvmsg(x.fd, &x.h.Msghdr, flags)
	case ring.OpSendmsg:
		o.sqe.PrepSendmsg(x.fd, &x.h.Msghdr, flags)
	}
}

// load prepares h for another attempt.
func (h *header) load() {
	h.Iov = unsafe.SliceData(h.v)
	h.SetIovlen(len(h.v))
	h.SetControllen(h.space)
	if h.Namelen = h.addr.n; h.Namelen > 0 {
		h.Name = &h.addr.raw[0]
	}
}

// note takes what a receive wrote.
func (h *header) note() {
	h.name, h.control, h.flags = int(h.Namelen), int(h.Controllen), int(h.Flags)&^unix.MSG_CMSG_CLOEXEC
}

// bySystemCall transfers in a goroutine, and in a task where the ring does not.
func (x *exchange) bySystemCall(ctx context.Context) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, waitq.ContextError(ctx)
		}
		switch n, e := x.now(); {
		case e == 0:
			return n, nil
		case e == unix.EAGAIN && x.flags&unix.MSG_DONTWAIT == 0:
			n, again, err := x.await(ctx)
			if !again {
				return n, err
			}
		case e != unix.EINTR:
			return 0, errorOf(x.call, e)
		}
	}
}

// await waits until another try is worthwhile, or has the transfer done.
func (x *exchange) await(ctx context.Context) (n int, again bool, err error) {
	ready := pollNow(x.fd, x.ready) != 0
	if ready && !x.retried { // since just now, maybe
		x.retried = true
		return 0, true, nil
	}
	if x.retried = false; !ready && x.duplicate() {
		if _, err := poll(ctx, x.fd, x.ready); !isUnsupported(err) {
			return 0, err == nil, err
		}
	}
	n, err = x.onRing(ctx, ring.SQEAsync)
	return n, false, err
}

// now transfers what it can without waiting.
func (x *exchange) now() (int, unix.Errno) {
	flags := uintptr(x.flags | unix.MSG_DONTWAIT)
	if x.h != nil {
		x.h.load()
		number := uintptr(unix.SYS_RECVMSG)
		if x.opcode == ring.OpSendmsg {
			number = unix.SYS_SENDMSG
		}
		n, _, e := syscall.Syscall(number, uintptr(x.fd), uintptr(unsafe.Pointer(&x.h.Msghdr)), flags)
		return result(n, e)
	}
	number := uintptr(unix.SYS_RECVFROM)
	if x.opcode == ring.OpSend {
		number = unix.SYS_SENDTO
	}
	p, whole := memory(x.p)
	n, _, e := syscall.Syscall6(number, uintptr(x.fd), uintptr(p), uintptr(len(whole)), flags, 0, 0)
	runtime.KeepAlive(x.p)
	return result(n, e)
}
