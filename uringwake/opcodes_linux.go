package uringwake

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// The kernel may refuse operations one by one: it is older, or the process is
// restricted. A refused one completes with an errno that may as well be the
// file's own, so that the operation is tried once on nothing. Whoever wanted it
// has another way, or fails with an error that says so; docs/uringwake.md has
// the list. Nothing is asked before an operation fails, but for how to cancel.

// trials has all operations that this package submits, in a form that has no
// effect, and what comes of it.
var trials = map[uint8]*probe{
	ring.OpNop:         trial("nop", 0, (*ring.SQE).PrepNop),
	ring.OpRead:        trial("read", unix.EBADF, func(s *ring.SQE) { s.PrepRead(-1, nil, 0) }),
	ring.OpWrite:       trial("write", unix.EBADF, func(s *ring.SQE) { s.PrepWrite(-1, nil, 0) }),
	ring.OpPollAdd:     trial("poll", unix.EBADF, func(s *ring.SQE) { s.PrepPollAdd(-1, unix.POLLIN) }),
	ring.OpClose:       trial("close", unix.EBADF, func(s *ring.SQE) { s.PrepClose(-1) }),
	ring.OpMsgRing:     trial("msg_ring", unix.EBADF, func(s *ring.SQE) { s.PrepMsgRing(-1, 0, 0, 0) }),
	ring.OpTimeout:     trial("timeout", unix.ETIME, func(s *ring.SQE) { s.PrepTimeout(&trialTime, 0, 0) }),
	ring.OpAsyncCancel: trial("cancel", unix.ENOENT, func(s *ring.SQE) { s.PrepCancel64(0, 0) }),
	ring.OpFutexWait: trial("futex wait", unix.EAGAIN, func(s *ring.SQE) {
		s.PrepFutexWait(&trialWord, 1, futexAny, futexU32, 0)
	}),
	ring.OpFutexWake: trial("futex wake", 0, func(s *ring.SQE) {
		s.PrepFutexWake(&trialWord, 1, futexAny, futexU32, 0)
	}),
}

// What trials point at: zero, and nobody waits there.
var (
	trialTime ring.Timespec
	trialWord uint32
)

const notHad = "the kernel refuses the operation to this process, or does not know it"

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
			return &unsupported{what, notHad, unix.EINVAL} // as it would answer
		}
		c, err := one(r)
		switch {
		case err != nil:
			return err
		case c.Res == -int32(want):
			return nil
		case refusing(c.Res):
			return &unsupported{what, notHad, c.Err()}
		}
		return fmt.Errorf("uringwake: a trial of %s: %w", what, c.Err())
	}}
}

// refusing reports whether a result may say that the kernel refuses the operation
// as such: EACCES by a restriction, EPERM by other means, EINVAL if it does not
// know it, EOPNOTSUPP if it was built without.
func refusing(res int32) bool {
	switch unix.Errno(-res) {
	case unix.EACCES, unix.EPERM, unix.EINVAL, unix.EOPNOTSUPP:
		return true
	}
	return false
}

// refused reports whether it is certain that the kernel refuses that operation,
// whatever it is asked for.
func refused(opcode uint8) bool {
	p := trials[opcode]
	return p != nil && isUnsupported(p.ask())
}

// isUnsupported reports whether err is of something that is not to be had here. An
// errno that matches errors.ErrUnsupported may be a file's own, and one inside of
// err the cause of a context's end.
func isUnsupported(err error) bool {
	_, ok := err.(*unsupported)
	return ok
}

// declined reports whether err says that nothing was done, or is a file's own. It
// is for what has no such error of its own, or can be asked again, and takes no
// trial, for which there may be no descriptor.
func declined(err error) bool { return isUnsupported(err) || refusing(-int32(answer(err))) }

// cancelable tells whether there is a way to cancel what waits.
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
	return refusal("cancel", notHad+", nor IORING_REGISTER_SYNC_CANCEL (Linux 6.0)", err)
}

// canWaitForFiles returns why a ring cannot wait for files to be ready, if it
// cannot.
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

// cancelNow asks the kernel by a system call to let go of o, where the operation
// that does is refused. It gives what that would give.
func (f *flights) cancelNow(o *op) (res int32) {
	e := errnoOf(f.ring.Registrar().SyncCancel(ring.SyncCancel{UserData: uint64(o.id), Timeout: -1}))
	if e == unix.ETIME {
		e = unix.EALREADY
	}
	return -int32(e)
}

// cancelLater has the kernel asked once more to let go of o after a while, where
// it refuses timeouts.
func (o *op) cancelLater() {
	id := o.id
	time.AfterFunc(time.Duration(o.again.Nsec), func() {
		if l := o.loop; l != nil {
			l.deliver(&mail{post: func() { l.cancelAgain(o, id) }})
			return
		}
		d := o.direct
		d.mu.Lock()
		d.cancelAgain(o, id)
		d.stepAndUnlock(nil)
	})
}

func (f *flights) cancelAgain(o *op, id userData) {
	if f.ops.find(id) == o {
		f.urge(o, (*op).prepareCancel)
	}
}
