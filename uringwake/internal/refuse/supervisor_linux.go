package refuse

import (
	"fmt"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A supervisor decides calls that the filter hands to it. It shares memory,
// files and user with the callers, so what it does for a caller is as good as
// done by it, but for what the kernel keeps by thread.
type supervisor struct {
	listener int
	policy   *policy
	done     chan struct{} // closed when serve has returned
	err      error         // why serve ended early; read after done
}

// A notification is a call that waits for its answer: struct seccomp_notif.
type notification struct {
	id            uint64
	thread, flags uint32
	nr            int32
	arch          uint32
	caller        uint64 // the instruction
	args          [6]uint64
}

// An answer is struct seccomp_notif_resp.
type answer struct {
	id     uint64
	value  int64 // what the call returns
	failed int32 // minus an errno, or zero
	flags  uint32
}

func (n *notification) returns(v int) answer { return answer{id: n.id, value: int64(v)} }

func (n *notification) fails(e unix.Errno) answer { return answer{id: n.id, failed: -int32(e)} }

// goesOn lets the kernel do what was asked.
func (n *notification) goesOn() answer {
	return answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
}

// supervise starts a supervisor that ends with the test.
func supervise(t testing.TB, p *policy, listener int) {
	t.Helper()
	s := &supervisor{listener: listener, policy: p, done: make(chan struct{})}
	go s.serve()
	t.Cleanup(func() {
		s.stop()
		if s.err != nil {
			t.Error("refuse: supervisor:", s.err)
		}
	})
}

// stop ends the supervisor by a call of the kind that it waits for.
func (s *supervisor) stop() {
	unix.Syscall6(unix.SYS_IO_URING_SETUP, 0, 0, 0, 0, 0, stopMark)
	<-s.done
}

// serve answers until it is told to stop. From then on the calls fail with
// ENOSYS: there is no listener.
func (s *supervisor) serve() {
	defer close(s.done)
	defer unix.Close(s.listener)
	for {
		var n notification // the kernel wants it zeroed
		switch e := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); e {
		case 0:
		case unix.EINTR, unix.ENOENT: // the caller was interrupted, and asks again
			continue
		default:
			s.err = fmt.Errorf("receive: %w", e)
			return
		}
		a := s.decide(&n)
		if e := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)); e != 0 && e != unix.ENOENT {
			s.err = fmt.Errorf("answer: %w", e)
			return
		}
		if n.args[markArg] == stopMark {
			return
		}
	}
}

func (s *supervisor) ioctl(request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s.listener), request, uintptr(arg))
	return e
}

func (s *supervisor) decide(n *notification) answer {
	switch {
	case n.args[markArg] == stopMark:
		return n.returns(0)
	case unix.Tgkill(unix.Getpid(), int(n.thread), 0) != nil:
		return n.fails(unix.ENOSYS) // another process: its memory is not ours
	case n.nr == unix.SYS_IO_URING_SETUP:
		return s.setup(n)
	default:
		return s.probe(n)
	}
}

// setup decides io_uring_setup(entries, params).
func (s *supervisor) setup(n *notification) answer {
	var p params
	entries, addr := uint32(n.args[0]), n.args[1]
	if e := peek(addr, p.bytes()); e != 0 {
		return n.fails(e)
	}
	if p[setupFlags]&s.policy.flags != 0 {
		return n.fails(unix.EINVAL)
	}
	if len(s.policy.refused) == 0 {
		return n.goesOn()
	}
	fd, e := setupRestricted(entries, &p, s.policy.refused)
	if e != 0 {
		return n.fails(e)
	}
	if e := poke(addr, p.bytes()); e != 0 {
		unix.Close(fd)
		return n.fails(e)
	}
	return n.returns(fd)
}

// probe decides io_uring_register(fd, IORING_REGISTER_PROBE, arg, count).
func (s *supervisor) probe(n *notification) answer {
	fd, op, arg, count := int(int32(n.args[0])), uint32(n.args[1]), n.args[2], uint32(n.args[3])
	e := unix.EEXIST
	if op&useRegisteredRing == 0 {
		e = register(fd, registerProbe, uintptr(arg), count)
	}
	if e == unix.EEXIST { // the ring is the caller's alone; any ring says the same
		e = probeAnyRing(uintptr(arg), count)
	}
	if e != 0 {
		return n.fails(e)
	}
	if e := hide(arg, count, s.policy.hidden); e != 0 {
		return n.fails(e)
	}
	return n.returns(0)
}

// peek copies memory of the caller, which may be bad.
func peek(addr uint64, b []byte) unix.Errno {
	n, err := unix.ProcessVMReadv(unix.Getpid(), local(b), remote(addr, b), 0)
	return copied(n, b, err)
}

// poke is peek the other way.
func poke(addr uint64, b []byte) unix.Errno {
	n, err := unix.ProcessVMWritev(unix.Getpid(), local(b), remote(addr, b), 0)
	return copied(n, b, err)
}

func local(b []byte) []unix.Iovec {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	return []unix.Iovec{v}
}

func remote(addr uint64, b []byte) []unix.RemoteIovec {
	return []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}
}

func copied(n int, b []byte, err error) unix.Errno {
	if e, ok := err.(unix.Errno); ok {
		return e
	}
	if n < len(b) {
		return unix.EFAULT
	}
	return 0
}
