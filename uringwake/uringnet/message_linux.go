package uringnet

import (
	"context"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// A message has what recvmsg(2) and sendmsg(2) take, in one piece: an operation that keeps
// it keeps all that the kernel reads and writes.
type message struct {
	header unix.Msghdr
	data   unix.Iovec
	name   sockaddr

	interrupter    bridge.Interrupter // of a task that transfers it
	next, previous *message           // in its messageList

	direction *direction // of now
	n         int        // of the last attempt
	errno     syscall.Errno
}

var messages = sync.Pool{New: func() any { return new(message) }}

// newMessage returns a message that transfers p and the control messages in oob.
func newMessage(p, oob []byte) *message {
	m := messages.Get().(*message)
	m.data.Base = unsafe.SliceData(p)
	m.data.SetLen(min(len(p), mostInMessage))
	m.header.Iov = &m.data
	m.header.SetIovlen(1)
	if len(oob) > 0 {
		m.header.Control = unsafe.SliceData(oob)
		m.header.SetControllen(len(oob))
	}
	return m
}

// mostInMessage is more than a datagram can have, and less than the kernel refuses.
const mostInMessage = 1 << 30

// release gives m to the next user. The kernel must no longer use it.
func (m *message) release() {
	m.header, m.data = unix.Msghdr{}, unix.Iovec{}
	messages.Put(m)
}

// wantName prepares for the sender's address.
func (m *message) wantName() {
	m.name.n = unix.SizeofSockaddrAny
	m.setName()
}

// setName has m go to the address in m.name.
func (m *message) setName() {
	m.header.Name = (*byte)(unsafe.Pointer(&m.name.raw))
	m.header.Namelen = m.name.n
}

// from returns where m, which was received, comes from.
func (m *message) from() packetAddr {
	m.name.n = m.header.Namelen
	return m.name.packetAddr()
}

// A direction is how messages are received, or sent.
type direction struct {
	call    string
	prepare func(s *ring.SQE, fd int, m *unix.Msghdr, flags uint32)
	number  uintptr // of the system call
	flags   int
}

// The kernel does not wait when it sends: it may have consumed the data before it found out
// that it has to, and sends an empty datagram then (to a Unix socket with a full queue; Linux
// 6.18).
var (
	receiving = direction{"recvmsg", (*ring.SQE).PrepRecvmsg, unix.SYS_RECVMSG, unix.MSG_CMSG_CLOEXEC}
	sending   = direction{"sendmsg", (*ring.SQE).PrepSendmsg, unix.SYS_SENDMSG, unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT}
)

// onRing transfers m by the ring.
func (m *message) onRing(ctx context.Context, fd int, d *direction) (int, error) {
	o, err := bridge.NewOp(ctx)
	if err != nil {
		return 0, err
	}
	d.prepare(o.SQE(), fd, &m.header, uint32(d.flags))
	o.Keep(unsafe.Pointer(m))
	n, _, err := o.Wait(ctx, &m.interrupter, d.call)
	return n, err
}

// poll waits on the ring until fd is ready.
func (m *message) poll(ctx context.Context, fd int, events uint32) error {
	o, err := bridge.NewOp(ctx)
	if err != nil {
		return err
	}
	o.SQE().PrepPollAdd(fd, events)
	_, _, err = o.Wait(ctx, &m.interrupter, "poll")
	return sysError("poll", err)
}

// bySystemCall transfers m without waiting.
func (m *message) bySystemCall(ctx context.Context, fd int, d *direction) (int, error) {
	if ctx.Err() != nil {
		return 0, waitq.ContextError(ctx)
	}
	n, e := m.transfer(fd, d)
	if e != 0 {
		return 0, &ring.Error{Call: d.call, Errno: e}
	}
	return n, nil
}

// now implements attempt.
func (m *message) now(fd uintptr) bool {
	m.n, m.errno = m.transfer(int(fd), m.direction)
	for m.errno == unix.EINTR {
		m.n, m.errno = m.transfer(int(fd), m.direction)
	}
	return m.errno != unix.EAGAIN
}

// transfer makes the system call, without waiting.
func (m *message) transfer(fd int, d *direction) (int, syscall.Errno) {
	n, _, e := syscall.Syscall(d.number, uintptr(fd), uintptr(unsafe.Pointer(&m.header)), uintptr(d.flags|unix.MSG_DONTWAIT))
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}
