package uringnet

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

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

// sendMessage sends one datagram to an address, from a socket of that family.
func (s *sock) sendMessage(ctx context.Context, p, oob []byte, family int, to packetAddr) (n int, err error) {
	m := newMessage(p, oob)
	if err = m.name.setPacketAddr(family, to); err == nil {
		m.setName()
		n, err = s.transferMessage(ctx, &s.wr, m, &sending)
	}
	m.release()
	return n, err
}

// transferMessage sends or receives m. If it panics, m is not used again.
func (s *sock) transferMessage(ctx context.Context, on *side, m *message, d *direction) (n int, err error) {
	if err := on.enter(ctx); err != nil {
		return 0, err
	}
	defer on.leave()
	raceRelease()
	defer raceAcquire()
	if uringwake.TaskFrom(ctx) != nil {
		if n, err = on.messageOnRing(ctx, m, d); !unsupportedHere(err) {
			return n, err
		}
	}
	return on.messageBySystemCall(ctx, m, d)
}

// messageOnRing transfers m by the ring, which waits if it must.
func (s *side) messageOnRing(ctx context.Context, m *message, d *direction) (int, error) {
	for {
		s.prepare()
		o, err := bridge.NewOp(ctx)
		if err != nil {
			return 0, err
		}
		d.prepare(o.SQE(), s.sock.fd, &m.header, uint32(d.flags))
		o.Keep(unsafe.Pointer(m))
		n, _, err := o.Wait(ctx, &s.interrupter, d.call)
		if again, err := s.retry(ctx, d.call, err); !again {
			return n, err
		}
	}
}

// messageBySystemCall transfers m in a goroutine, and in a task where the ring does not.
//
// Nothing tells a sender that the full queue of a Unix socket has room again, unless the
// two are connected. So the kernel is to wait for that itself.
func (s *side) messageBySystemCall(ctx context.Context, m *message, d *direction) (int, error) {
	for {
		s.prepare()
		switch n, e := m.transfer(s.sock.fd, d); {
		case e == 0:
			return n, nil
		case e == unix.EINTR:
			continue
		case e != unix.EAGAIN:
			return 0, errnoError(d.call, e)
		case d == &sending && s.sock.network == unixgram:
			return s.messageOnRing(ctx, m, d)
		}
		if err := s.wait(ctx); err != nil {
			return 0, err
		}
	}
}
