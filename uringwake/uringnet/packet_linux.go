package uringnet

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// Datagrams are independent of each other, so many may be on their way at the same time:
// those of a loop's turn go to the kernel together. Only goroutines that receive take turns,
// since one poll serves them all.

// receiveMessage receives one datagram.
func (s *sock) receiveMessage(ctx context.Context, p, oob []byte) (r received, err error) {
	m := newMessage(p, oob)
	m.wantName()
	if r.n, err = s.transferMessage(ctx, &s.rd, m, &receiving); err == nil {
		r.oobn, r.flags, r.from = int(m.header.Controllen), int(m.header.Flags), m.from()
	}
	m.release()
	return r, err
}

// sendMessage sends one datagram to an address, from a socket of that family. A connected
// socket needs none.
func (s *sock) sendMessage(ctx context.Context, p, oob []byte, family int, to packetAddr) (n int, err error) {
	m := newMessage(p, oob)
	if s.remote == nil {
		err = m.name.setPacketAddr(family, to)
		m.setName()
	}
	if err == nil {
		n, err = s.transferMessage(ctx, &s.wr, m, &sending)
	}
	m.release()
	return n, err
}

// transferMessage sends or receives m. If it panics, m is not used again.
func (s *sock) transferMessage(ctx context.Context, on *side, m *message, d *direction) (n int, err error) {
	raceRelease()
	defer raceAcquire()
	if uringwake.TaskFrom(ctx) != nil {
		if n, err = on.joined(ctx, m, d, (*message).onRing); !unsupportedHere(ctx, err) {
			return n, err
		}
	}
	if d == &sending {
		return on.joined(ctx, m, d, (*message).bySystemCall)
	}
	return on.inTurn(ctx, m, d)
}

// joined transfers m beside others.
func (s *side) joined(ctx context.Context, m *message, d *direction, try func(*message, context.Context, int, *direction) (int, error)) (int, error) {
	if err := s.join(m); err != nil {
		return 0, err
	}
	defer s.part(m)
	for {
		n, err := try(m, ctx, s.sock.fd, d)
		if again, err := s.again(ctx, m, d, err); !again {
			return n, err
		}
	}
}

// again reports whether a transfer that has ended with err is to be tried again, and waits
// until that is worthwhile. Otherwise it returns the error of the call.
func (s *side) again(ctx context.Context, m *message, d *direction, err error) (bool, error) {
	if err == nil {
		return false, nil
	}
	e, ok := err.(*ring.Error)
	switch {
	case ok && e.Errno == unix.EINTR:
		return true, nil
	case ok && e.Errno == unix.EAGAIN && d == &sending:
		err = s.awaitRoom(ctx, m)
	case ok && e.Errno == unix.EAGAIN:
		err = m.poll(ctx, s.sock.fd, s.events)
	case err != bridge.ErrInterrupted:
		return false, sysError(d.call, err)
	}
	if err == bridge.ErrInterrupted {
		err = s.goOn(m)
	}
	return err == nil, err
}

// goOn is called after m was interrupted. It returns why; or nil, if the deadline was
// changed meanwhile, or if another message was meant, which m was before.
func (s *side) goOn(m *message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ended(); err != nil {
		return err
	}
	m.interrupter.Reset()
	return nil
}

// inTurn transfers m by system calls, when those that came earlier are done.
func (s *side) inTurn(ctx context.Context, m *message, d *direction) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	m.direction = d
	if err := s.repeat(ctx, m); err != nil {
		return 0, err
	}
	return m.n, errnoError(d.call, m.errno)
}

// awaitRoom waits until there may be room for m, in the socket's own buffer, or in the
// queue of the Unix socket that m is for. The kernel tells of the latter only those that
// are connected to it; so another socket is, for as long as that takes.
func (s *side) awaitRoom(ctx context.Context, m *message) error {
	if s.sock.network != unixgram || m.header.Name == nil {
		return m.poll(ctx, s.sock.fd, s.events)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return sysError("socket", err)
	}
	defer unix.Close(fd)
	if m.name.connect(fd) != 0 || writable(fd) {
		return m.poll(ctx, s.sock.fd, s.events)
	}
	return m.poll(ctx, fd, s.events)
}

func writable(fd int) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(p[:], 0)
	return n == 1 && err == nil
}
