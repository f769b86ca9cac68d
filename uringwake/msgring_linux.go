package uringwake

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// msgRingState is a MsgRing.
type msgRingState struct {
	*handle
	message ring.SQE
	sendMsg bool
	last    atomic.Pointer[error]
}

func newMsgRing(ringFD int, userData uint64, res int32) (*MsgRing, error) {
	noSend := HaveSendMsgRing()
	if err := inconclusive(noSend); err != nil {
		return nil, err
	}
	if noSend != nil {
		if err := HaveMsgRing(); err != nil {
			return nil, err
		}
	}
	if err := checkFD("msg_ring", ringFD); err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(uintptr(ringFD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &ring.Error{Call: "msg_ring", Errno: errnoOf(err)}
	}
	m := new(MsgRing)
	m.handle, m.sendMsg = &handle{fd: fd, closeFD: closer(fd)}, noSend == nil
	m.message.PrepMsgRing(fd, uint32(res), userData, 0)
	if !isRing(fd) {
		m.Close()
		return nil, &ring.Error{Call: "msg_ring", Errno: unix.EBADFD}
	}
	if userData&uint64(ours) != 0 && ownRing(fd) {
		m.Close()
		return nil, fmt.Errorf("uringwake: user data %#x is a name of a loop's own operations: %w", userData, unix.EINVAL)
	}
	runtime.AddCleanup(m, func(h *handle) { h.close() }, m.handle)
	return m, nil
}

// isRing reports whether fd is a ring, as far as /proc says.
func isRing(fd int) bool {
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	return err != nil || name == "anon_inode:[io_uring]"
}

func (m *MsgRing) sent(err error) {
	if err != nil {
		m.last.Store(&err)
	}
	m.release()
}

// messageOp is a message that goes by the goroutine driver.
type messageOp struct {
	m  *MsgRing
	op *op
}

func (s *messageOp) Wake() {
	var err error
	if s.op.res < 0 {
		err = s.op.err("msg_ring")
	}
	s.op.driver.release(s.op)
	s.m.sent(err)
}

func (m *MsgRing) err() error {
	if err := m.last.Load(); err != nil {
		return *err
	}
	return nil
}

func (m *MsgRing) wake() {
	if !m.acquire() {
		return
	}
	if m.sendMsg {
		m.sent(ring.SendMsgRing(&m.message))
		return
	}
	d, err := defaultGoroutineDriver()
	if err != nil {
		m.sent(err)
		return
	}
	o := d.newOp()
	o.sqe = m.message
	o.waker = &messageOp{m, o}
	d.launch(o)
}

func (m *MsgRing) shut() error { return m.handle.close() }
