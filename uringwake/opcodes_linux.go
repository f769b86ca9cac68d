package uringwake

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// The kernel may refuse single operations: it is older, or the process is restricted.
// A refused operation completes with an errno that may as well be the file's own, so
// the operation is tried once in a form that has no effect. The call then takes
// another way, or fails with an error that says so; docs/uringwake.md has the list.
// Nothing is tried before an operation fails, except canceling.

// trials has all operations that this package submits, in a form that has no effect,
// with the result of that.
var trials = map[uint8]*probe{
	ring.OpNop:         trial("nop", 0, (*ring.SQE).PrepNop),
	ring.OpRead:        trial("read", unix.EBADF, func(s *ring.SQE) { s.PrepRead(-1, nil, 0) }),
	ring.OpWrite:       trial("write", unix.EBADF, func(s *ring.SQE) { s.PrepWrite(-1, nil, 0) }),
	ring.OpPollAdd:     trial("poll", unix.EBADF, func(s *ring.SQE) { s.PrepPollAdd(-1, unix.POLLIN) }),
	ring.OpClose:       trial("close", unix.EBADF, func(s *ring.SQE) { s.PrepClose(-1) }),
	ring.OpMsgRing:     trial("msg_ring", unix.EBADF, func(s *ring.SQE) { s.PrepMsgRing(-1, 0, 0, 0) }),
	ring.OpTimeout:     trial("timeout", unix.ETIME, func(s *ring.SQE) { s.PrepTimeout(&trialTime, 0, 0) }),
	ring.OpAsyncCancel: trial("cancel", unix.ENOENT, func(s *ring.SQE) { s.PrepCancel64(0, 0) }),
	ring.OpReadv:       trial("readv", unix.EBADF, func(s *ring.SQE) { s.PrepReadv(-1, nil, 0, 0) }),
	ring.OpWritev:      trial("writev", unix.EBADF, func(s *ring.SQE) { s.PrepWritev(-1, nil, 0, 0) }),
	ring.OpFsync:       trial("fsync", unix.EBADF, func(s *ring.SQE) { s.PrepFsync(-1, 0) }),
	ring.OpFallocate:   trial("fallocate", unix.EBADF, func(s *ring.SQE) { s.PrepFallocate(-1, 0, 0, 1) }),
	ring.OpFtruncate:   trial("ftruncate", unix.EBADF, func(s *ring.SQE) { s.PrepFtruncate(-1, 0) }),
	ring.OpSplice:      trial("splice", unix.EBADF, func(s *ring.SQE) { s.PrepSplice(-1, -1, -1, -1, 1, 0) }),
	ring.OpOpenat:      trial("openat", unix.EBADF, func(s *ring.SQE) { s.PrepOpenat(-1, &trialPath[0], 0, 0) }),
	ring.OpStatx:       trial("statx", unix.EBADF, func(s *ring.SQE) { s.PrepStatx(-1, &trialPath[0], 0, 0, &trialStat) }),
	ring.OpRenameat:    trial("renameat", unix.EBADF, func(s *ring.SQE) { s.PrepRenameat(-1, &trialPath[0], -1, &trialPath[0], 0) }),
	ring.OpUnlinkat:    trial("unlinkat", unix.EBADF, func(s *ring.SQE) { s.PrepUnlinkat(-1, &trialPath[0], 0) }),
	ring.OpMkdirat:     trial("mkdirat", unix.EBADF, func(s *ring.SQE) { s.PrepMkdirat(-1, &trialPath[0], 0) }),
	ring.OpLinkat:      trial("linkat", unix.EBADF, func(s *ring.SQE) { s.PrepLinkat(-1, &trialPath[0], -1, &trialPath[0], 0) }),
	ring.OpSymlinkat:   trial("symlinkat", unix.EBADF, func(s *ring.SQE) { s.PrepSymlinkat(&trialPath[0], -1, &trialPath[0]) }),
	ring.OpSocket:      trial("socket", unix.EAFNOSUPPORT, func(s *ring.SQE) { s.PrepSocket(-1, 0, 0, 0) }),
	ring.OpBind:        trial("bind", unix.EBADF, func(s *ring.SQE) { s.PrepBind(-1, nil, 0) }),
	ring.OpListen:      trial("listen", unix.EBADF, func(s *ring.SQE) { s.PrepListen(-1, 0) }),
	ring.OpAccept:      trial("accept", unix.EBADF, func(s *ring.SQE) { s.PrepAccept(-1, nil, nil, 0) }),
	ring.OpConnect:     trial("connect", unix.EBADF, func(s *ring.SQE) { s.PrepConnect(-1, nil, 0) }),
	ring.OpShutdown:    trial("shutdown", unix.EBADF, func(s *ring.SQE) { s.PrepShutdown(-1, 0) }),
	ring.OpRecv:        trial("recv", unix.EBADF, func(s *ring.SQE) { s.PrepRecv(-1, nil, 0) }),
	ring.OpSend:        trial("send", unix.EBADF, func(s *ring.SQE) { s.PrepSend(-1, nil, 0) }),
	ring.OpRecvmsg:     trial("recvmsg", unix.EBADF, func(s *ring.SQE) { s.PrepRecvmsg(-1, &trialMessage, 0) }),
	ring.OpSendmsg:     trial("sendmsg", unix.EBADF, func(s *ring.SQE) { s.PrepSendmsg(-1, &trialMessage, 0) }),
	ring.OpSendZC:      trial("send_zc", unix.EBADF, func(s *ring.SQE) { s.PrepSendZC(-1, nil, 0, 0) }),
	ring.OpFutexWait: trial("futex wait", unix.EAGAIN, func(s *ring.SQE) {
		s.PrepFutexWait(&trialWord, 1, futexAny, futexU32, 0)
	}),
	ring.OpFutexWake: trial("futex wake", 0, func(s *ring.SQE) {
		s.PrepFutexWake(&trialWord, 1, futexAny, futexU32, 0)
	}),
}

// Memory that trials point at: zero, and without waiters.
var (
	trialTime    ring.Timespec
	trialWord    uint32
	trialPath    = [2]byte{'x'} // of no directory
	trialStat    unix.Statx_t
	trialMessage unix.Msghdr
)

const unavailable = "the kernel refuses the operation to this process, or does not know it"

func trial(what string, want unix.Errno, prepare func(*ring.SQE)) *probe {
	return &probe{test: func() error {
		r, err := ring.Setup(1, nil)
		if err != nil { // it says nothing about the operation
			return fmt.Errorf("uringwake: no ring to try an operation on: %w", errnoOf(err))
		}
		defer r.Close()
		s := r.SQ().GetSQE()
		prepare(s)
		if !kernelKnows(s.Opcode) {
			return &unsupported{what, unavailable, unix.EINVAL} // as it would return
		}
		c, err := submitOne(r)
		switch {
		case err != nil:
			return err
		case c.Res == -int32(want):
			return nil
		case refusing(c.Res):
			return &unsupported{what, unavailable, c.Err()}
		}
		return fmt.Errorf("uringwake: a trial of %s: %w", what, c.Err())
	}}
}

// refusing reports whether a result may mean that the kernel refuses the operation as
// such: EACCES by a restriction, EPERM by other means, EINVAL if it does not know the
// operation, EOPNOTSUPP if it was built without it.
func refusing(res int32) bool {
	switch unix.Errno(-res) {
	case unix.EACCES, unix.EPERM, unix.EINVAL, unix.EOPNOTSUPP:
		return true
	}
	return false
}

// refused reports whether the kernel certainly refuses that operation, whatever its
// operands.
func refused(opcode uint8) bool {
	p := trials[opcode]
	return p != nil && isUnsupported(p.ask())
}

// isUnsupported reports whether err says that something is not supported here. It does
// not use errors.Is: an errno that matches errors.ErrUnsupported may be a file's own,
// and one that err wraps may be the cause of a context's end.
func isUnsupported(err error) bool {
	_, ok := err.(*unsupported)
	return ok
}

// declined reports whether err may say that the kernel refuses the operation. It is
// for operations that have no such error of their own, or can be tried again. It makes
// no trial, for which there may be no descriptor.
func declined(err error) bool { return isUnsupported(err) || refusing(-int32(kernelErrno(err))) }

// cancelable finds out whether an operation that waits can be canceled.
var cancelable = probe{test: testCancel}

func testCancel() error {
	err := trials[ring.OpAsyncCancel].ask()
	if !isUnsupported(err) {
		return err
	}
	r, err := ring.Setup(1, nil)
	if err != nil {
		return setupError(err)
	}
	defer r.Close()
	err = r.Registrar().SyncCancel(ring.SyncCancel{UserData: 1, Timeout: -1})
	if err == nil || errnoOf(err) == unix.ENOENT {
		return nil
	}
	return refusal("cancel", unavailable+", nor IORING_REGISTER_SYNC_CANCEL (Linux 6.0)", err)
}

// canWaitForFiles returns nil if a ring can wait for files to be ready, or why not.
func canWaitForFiles() error {
	if err := Supported(); err != nil {
		return err
	}
	if err := cancelable.ask(); err != nil {
		return err
	}
	if trials[ring.OpPollAdd].ask() == nil {
		return nil
	}
	return trials[ring.OpRead].ask()
}

// cancelNow cancels o by a system call, where the operation for that is refused. It
// returns the result that the operation would have had.
func (q *ringQueue) cancelNow(o *op) (res int32) {
	e := errnoOf(q.ring.Registrar().SyncCancel(ring.SyncCancel{UserData: uint64(o.id), Timeout: -1}))
	if e == unix.ETIME {
		e = unix.EALREADY
	}
	return -int32(e)
}

// cancelLater cancels o once more after a while, where the kernel refuses timeouts.
func (o *op) cancelLater() {
	d, id := o.driver, o.id
	time.AfterFunc(time.Duration(o.pause().Nsec), func() { d.retryCancel(o, id) })
}

func (q *ringQueue) cancelAgain(o *op, id userData) {
	if q.ops.find(id) == o {
		q.queueCancel(o, (*op).prepareCancel)
	}
}
