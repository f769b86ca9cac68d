package uringwake

import (
	"context"
	"iter"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// Each of these loops is over a stream of its own.

func acceptAll(ctx context.Context, fd int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		err := acceptStream(ctx, fd).run(func(nfd int32, _ []byte) bool { return yield(int(nfd), nil) })
		if err != nil {
			yield(0, err)
		}
	}
}

func acceptStream(ctx context.Context, fd int) *stream {
	s := &stream{ctx: ctx, call: "accept", fd: fd, most: 64}
	s.prepare = func(o *op) {
		if s.again {
			o.sqe.PrepAccept(fd, nil, nil, acceptFlags)
		} else {
			o.sqe.PrepAcceptMultishot(fd, acceptFlags)
		}
	}
	s.discard = func(nfd int32) { closeAside(int(nfd)) }
	return s
}

func recvAll(ctx context.Context, fd int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s, ends := recvStream(ctx, fd), !isDatagram(fd)
		if missesEnd(fd) || haveBuffers(ctx) != nil {
			s.repeat()
		}
		err := s.run(func(n int32, data []byte) bool { return !(n == 0 && ends) && yield(data, nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

func recvStream(ctx context.Context, fd int) *stream {
	s := &stream{ctx: ctx, call: "recv", fd: fd, most: 1 << 16}
	s.prepare = func(o *op) {
		if s.again {
			o.keep = unsafe.Pointer(&s.buffer[0])
			o.sqe.PrepRecv(fd, s.buffer, 0)
		} else {
			o.prepareReceive(fd, 0)
		}
	}
	return s
}

// missesEnd reports whether a multishot receive may wait for ever though the peer has shut
// down. The kernel (6.18) does not look again after data if nothing is left in the socket,
// and what is left of a unix stream does not count its end, as TCP's does.
func missesEnd(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_UNIX
}

// isDatagram reports whether a receive of zero bytes is a datagram, and not the end.
func isDatagram(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind != unix.SOCK_STREAM && kind != unix.SOCK_SEQPACKET
}

func pollAll(ctx context.Context, fd int, events uint32) iter.Seq2[uint32, error] {
	return func(yield func(uint32, error) bool) {
		s := &stream{ctx: ctx, call: "poll", fd: fd}
		s.prepare = func(o *op) { o.sqe.PrepPollMultishot(fd, events) } // as old as loops are
		s.merge = func(a, b int32) int32 { return a | b }
		err := s.run(func(events int32, _ []byte) bool { return yield(uint32(events), nil) })
		if err != nil {
			yield(0, err)
		}
	}
}

func ticks(ctx context.Context, d time.Duration) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		err := tickStream(ctx, d).run(func(n int32, _ []byte) bool { return yield(int(n), nil) })
		if err != nil {
			yield(0, err)
		}
	}
}

func tickStream(ctx context.Context, d time.Duration) *stream {
	s := &stream{ctx: ctx, call: "timeout", ticks: true}
	s.prepare = func(o *op) {
		if s.again {
			o.setTimeout(d)
		} else {
			o.time = ring.TimespecOf(d)
			o.sqe.PrepTimeout(&o.time, 0, ring.TimeoutMultishot)
		}
	}
	s.merge = func(a, b int32) int32 { return a + b }
	return s
}

// repeat has the stream use an operation for each item, where the kernel has no multishot
// form.
func (s *stream) repeat() {
	s.again = true
	if s.call == "recv" && s.buffer == nil {
		s.buffer = make([]byte, bridge.BufferSize)
	}
}
