package uringnet

import (
	"context"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// vector is what a write of several buffers gives to the kernel. The write side has one,
// for the operation that has its lock.
type vector struct {
	header unix.Msghdr
	iovecs []unix.Iovec

	n     int // of the last attempt
	errno syscall.Errno
}

const (
	mostBuffers = 1024 // UIO_MAXIOV
	keptBuffers = 64   // of a vector that is kept
)

// fill has v consist of the buffers, without the first skip bytes of them.
func (v *vector) fill(buffers [][]byte, skip int) {
	v.iovecs = v.iovecs[:0]
	for room := mostBytes; len(buffers) > 0 && room > 0 && len(v.iovecs) < mostBuffers; buffers = buffers[1:] {
		p := buffers[0]
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		p = p[skip:]
		p, skip = p[:min(len(p), room)], 0
		room -= len(p)
		i := unix.Iovec{Base: unsafe.SliceData(p)}
		i.SetLen(len(p))
		v.iovecs = append(v.iovecs, i)
	}
	v.header = unix.Msghdr{Iov: unsafe.SliceData(v.iovecs)}
	v.header.SetIovlen(len(v.iovecs))
}

// clear drops the references to the buffers.
func (v *vector) clear() {
	clear(v.iovecs[:cap(v.iovecs)]) // an earlier part of the write had more
	v.header = unix.Msghdr{}
	if cap(v.iovecs) > keptBuffers {
		v.iovecs = nil
	}
}

// writev writes all buffers, one after the other, unless something goes wrong.
func (s *sock) writev(ctx context.Context, buffers [][]byte) (done int64, err error) {
	if err := s.wr.enter(ctx); err != nil {
		return 0, err
	}
	defer s.wr.leave()
	raceRelease()
	defer s.vector.clear()
	send, onRing := (*sock).sendVector, uringwake.TaskFrom(ctx) != nil
	if onRing {
		send = (*sock).sendVectorOnRing
	}
	skip := 0 // of the buffers that are left
	for {
		for len(buffers) > 0 && skip >= len(buffers[0]) {
			skip -= len(buffers[0])
			buffers = buffers[1:]
		}
		if len(buffers) == 0 {
			return done, nil
		}
		if err := s.wr.mayGoOn(ctx); done > 0 && err != nil {
			return done, err
		}
		s.vector.fill(buffers, skip)
		n, err := send(s, ctx)
		done += int64(n)
		skip += n
		switch {
		case onRing && unsupportedHere(ctx, err):
			send, onRing = (*sock).sendVector, false
		case err != nil:
			return done, err
		case n == 0:
			return done, io.ErrUnexpectedEOF
		}
	}
}

// sendVector writes a part of the vector by system calls.
func (s *sock) sendVector(ctx context.Context) (int, error) {
	v := &s.vector
	if err := s.wr.repeat(ctx, v); err != nil {
		return 0, err
	}
	return v.n, errnoError("write", v.errno)
}

// now calls sendmsg(2), without waiting. It implements attempt.
func (v *vector) now(fd uintptr) bool {
	for {
		n, _, e := syscall.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&v.header)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if e == unix.EINTR {
			continue
		}
		v.n, v.errno = result(n, e)
		return e != unix.EAGAIN
	}
}

// sendVectorOnRing writes the vector, or a part of it, in a task.
func (s *sock) sendVectorOnRing(ctx context.Context) (int, error) {
	for {
		s.wr.prepare()
		o, err := bridge.NewOp(ctx)
		if err != nil {
			return 0, err
		}
		o.Keep(unsafe.Pointer(s))
		o.SQE().PrepSendmsg(s.fd, &s.vector.header, s.sendFlags())
		n, _, err := o.Wait(ctx, &s.wr.interrupter, "write")
		again, err := s.wr.retry(ctx, "write", err)
		if !again {
			return n, err
		}
	}
}
