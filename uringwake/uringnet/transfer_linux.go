package uringnet

import (
	"context"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// mostBytes is what one operation transfers at most. The kernel cuts longer ones.
const mostBytes = 1 << 30

// read reads into p what is there, and waits if there is nothing.
func (s *sock) read(ctx context.Context, p []byte) (n int, err error) {
	if len(p) == 0 { // whatever the deadline and the context, as in package net
		return 0, s.open()
	}
	if err := s.rd.enter(ctx); err != nil {
		return 0, err
	}
	defer s.rd.leave()
	n, err = s.receiveAnyhow(ctx, uringwake.TaskFrom(ctx), p[:min(len(p), mostBytes)])
	raceAcquire()
	if n == 0 && err == nil && s.kind != unix.SOCK_DGRAM {
		err = io.EOF
	}
	return n, err
}

// receiveAnyhow reads from the stream or, if there is none, has the kernel read. t is the
// task of ctx, or nil.
func (s *sock) receiveAnyhow(ctx context.Context, t *uringwake.Task, p []byte) (n int, err error) {
	if t != nil {
		s.in.start(ctx, t.Loop())
	}
	if n, ok, err := s.in.read(ctx, p); ok {
		return n, err
	}
	if t != nil {
		if n, err = s.receiveOnRing(ctx, t.Loop(), p); !unsupportedHere(ctx, err) {
			return n, err
		}
	}
	return s.receive(ctx, p)
}

// receive is read by system calls.
func (s *sock) receive(ctx context.Context, p []byte) (int, error) {
	return s.rd.transfer(ctx, recv, "read", p)
}

// receiveOnRing is read in a task of l. If the last such read left nothing, the kernel
// waits before its first attempt.
func (s *sock) receiveOnRing(ctx context.Context, l *uringwake.Loop, p []byte) (int, error) {
	for {
		s.rd.prepare()
		o, err := bridge.NewOp(ctx)
		if err != nil {
			return 0, err
		}
		o.Keep(unsafe.Pointer(unsafe.SliceData(p)))
		o.SQE().PrepRecv(s.fd, p, 0)
		later := s.drained && !noPollFirst.Load()
		if later {
			o.SQE().IOPrio = ring.RecvSendPollFirst
		}
		n, flags, err := o.Wait(ctx, &s.rd.interrupter, "read")
		if later && isErrno(err, unix.EINVAL) {
			noPollFirst.Store(true)
			continue
		}
		again, err := s.rd.retry(ctx, "read", err)
		if !again {
			s.drained = 0 < n && n < len(p) && flags&ring.CQESockNonempty == 0
			s.in.note(l, s.drained && n <= bridge.BufferSize)
			return n, err
		}
	}
}

func isErrno(err error, errno unix.Errno) bool {
	e, ok := err.(*ring.Error)
	return ok && e.Errno == errno
}

// write writes all of p, unless something goes wrong. It returns how much it has written.
func (s *sock) write(ctx context.Context, p []byte) (done int, err error) {
	if err := s.wr.enter(ctx); err != nil {
		return 0, err
	}
	defer s.wr.leave()
	raceRelease()
	send, onRing := (*sock).send, uringwake.TaskFrom(ctx) != nil
	if onRing {
		send = (*sock).sendOnRing
	}
	for {
		n, err := send(s, ctx, p[done:][:min(len(p)-done, mostBytes)]) // done+mostBytes may be too much for an int
		done += n
		switch {
		case onRing && unsupportedHere(ctx, err):
			send, onRing = (*sock).send, false
		case err != nil:
			return done, err
		case done == len(p):
			return done, nil
		case n == 0:
			return done, io.ErrUnexpectedEOF
		}
		if err := s.wr.mayGoOn(ctx); err != nil {
			return done, err
		}
	}
}

// send writes a part of p by system calls.
func (s *sock) send(ctx context.Context, p []byte) (int, error) {
	return s.wr.transfer(ctx, send, "write", p)
}

// sendOnRing writes p, or a part of it, in a task.
func (s *sock) sendOnRing(ctx context.Context, p []byte) (int, error) {
	for {
		s.wr.prepare()
		o, err := bridge.NewOp(ctx)
		if err != nil {
			return 0, err
		}
		o.Keep(unsafe.Pointer(unsafe.SliceData(p)))
		o.SQE().PrepSend(s.fd, p, s.sendFlags())
		n, _, err := o.Wait(ctx, &s.wr.interrupter, "write")
		again, err := s.wr.retry(ctx, "write", err)
		if !again {
			return n, err
		}
	}
}

// sendFlags are those of a send on the ring. A stream takes all that it is given. The
// kernel must not wait with a datagram: it may have consumed the data before it found out
// that it has to, and sends an empty one then (to a Unix socket with a full queue; Linux
// 6.18).
func (s *sock) sendFlags() uint32 {
	if s.kind == unix.SOCK_DGRAM {
		return unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT
	}
	return unix.MSG_NOSIGNAL | unix.MSG_WAITALL
}

// recv is recv(2) that does not wait.
func recv(fd int, p []byte) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	return result(n, e)
}

// send is send(2) that does not wait.
func send(fd int, p []byte) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return result(n, e)
}

func result(n uintptr, e syscall.Errno) (int, syscall.Errno) {
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}
