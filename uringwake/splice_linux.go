package uringwake

import (
	"context"
	"math"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// A splicing is a call of Splice.
type splicing struct {
	in, out       heldFile
	offIn, offOut int64
	n             int
	flags         uint32
}

func splice(ctx context.Context, fdIn int, offIn int64, fdOut int, offOut int64, n int, flags uint32) (int, error) {
	const all = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MORE | unix.SPLICE_F_GIFT
	if n < 0 || flags&^uint32(all) != 0 {
		return 0, &ring.Error{Call: "splice", Errno: unix.EINVAL}
	}
	for _, fd := range []int{fdIn, fdOut} {
		if err := checkFD("splice", fd); err != nil {
			return 0, err
		}
	}
	s := splicing{heldFile{fd: fdIn}, heldFile{fd: fdOut}, offIn, offOut, min(n, math.MaxInt32&^4095), flags}
	defer s.in.closeDuplicate()
	defer s.out.closeDuplicate()
	return s.do(ctx)
}

func (s *splicing) do(ctx context.Context) (n int, err error) {
	here, err := inGoroutine(ctx)
	if err != nil {
		return 0, err
	}
	raceRelease()
	if here {
		n, err = s.bySystemCall(ctx)
	} else if n, err = s.onRing(ctx); isUnsupported(err) {
		n, err = s.bySystemCall(ctx)
	}
	raceAcquire()
	return n, err
}

// onRing has one of the kernel's workers move the bytes. Where it does not wait because a
// file has O_NONBLOCK, onRing waits.
func (s *splicing) onRing(ctx context.Context) (int, error) {
	for {
		o, err := newOp(ctx)
		if err != nil {
			return 0, err
		}
		o.sqe.PrepSplice(s.in.fd, s.offIn, s.out.fd, s.offOut, uint32(s.n), s.flags)
		n, err := o.finish(ctx, "splice")
		if kernelErrno(err) != unix.EAGAIN || s.flags&unix.SPLICE_F_NONBLOCK != 0 {
			return n, err
		}
		if err := s.wait(ctx); err != nil {
			return 0, err
		}
	}
}

// wait waits until the file that is not ready may be.
func (s *splicing) wait(ctx context.Context) error {
	s.in.duplicate()
	s.out.duplicate()
	fd, ready := s.in.fd, uint32(unix.POLLIN)
	if pollNow(fd, ready) != 0 {
		fd, ready = s.out.fd, unix.POLLOUT
	}
	_, err := poll(ctx, fd, ready)
	return err
}

// bySystemCall moves the bytes by splice(2) if that need not wait for others.
func (s *splicing) bySystemCall(ctx context.Context) (n int, err error) {
	for {
		switch {
		case ctx.Err() != nil:
			return 0, waitq.ContextError(ctx)
		case !s.in.splicesNow() || !s.out.splicesNow():
			return s.onRing(ctx)
		}
		var e unix.Errno
		Blocking(ctx, func() { n, e = s.now() })
		switch {
		case e == 0:
			return n, nil
		case e == unix.EAGAIN && s.flags&unix.SPLICE_F_NONBLOCK == 0:
			if err := s.wait(ctx); isUnsupported(err) {
				return s.onRing(ctx)
			} else if err != nil {
				return 0, err
			}
		case e != unix.EINTR:
			return 0, &ring.Error{Call: "splice", Errno: e}
		}
	}
}

// splicesNow reports whether SPLICE_F_NONBLOCK, which is for pipes, is enough for f not to
// wait for others, or O_NONBLOCK is set too.
func (f *heldFile) splicesNow() bool {
	switch kind(f.fd) {
	case unix.S_IFIFO, unix.S_IFREG, unix.S_IFBLK:
		return true
	}
	return f.isNonblocking()
}

// now makes the system call. It advances no offset: those of the caller are not changed.
func (s *splicing) now() (int, unix.Errno) {
	offset := func(off int64) *int64 {
		if off == -1 {
			return nil
		}
		return &off
	}
	n, err := unix.Splice(s.in.fd, offset(s.offIn), s.out.fd, offset(s.offOut), s.n, int(s.flags|unix.SPLICE_F_NONBLOCK))
	if err != nil {
		return 0, errnoOf(err)
	}
	return int(n), 0
}
