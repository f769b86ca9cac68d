package refuse

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A Rule is one thing that the child's kernel refuses. Rules can be combined;
// where two refuse the same call with different errnos, the first wins.
type Rule func(*policy)

// A policy is what all rules of a child ask for.
type policy struct {
	plain   []match // what the filter decides by itself
	flags   uint32  // of io_uring_setup, that are refused
	refused opcodes // that rings refuse
	hidden  opcodes // that probes do not show
	limits  []limit
	nobody  bool
	sysctl  string // value of kernel.io_uring_disabled, or "" to leave it
}

type opcodes map[uint8]bool

func (o opcodes) add(ops []uint8) {
	for _, op := range ops {
		o[op] = true
	}
}

type limit struct {
	resource int
	soft     uint64
}

func newPolicy(rules []Rule) *policy {
	p := &policy{refused: make(opcodes), hidden: make(opcodes)}
	for _, rule := range rules {
		rule(p)
	}
	return p
}

// NoRing refuses all three system calls of io_uring with that errno, as a
// container's seccomp filter does (EPERM, EACCES, ENOSYS), or a kernel that is
// older than 5.1 or built without io_uring (ENOSYS).
func NoRing(errno syscall.Errno) Rule {
	return func(p *policy) {
		for _, nr := range []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER} {
			p.plain = append(p.plain, refuse(errno, system(nr)))
		}
	}
}

// NoRegister refuses io_uring_register with that opcode
// (IORING_REGISTER_BUFFERS is 0), whatever the ring, with that errno. A kernel
// that does not know the opcode answers EINVAL.
func NoRegister(op uint32, errno syscall.Errno) Rule {
	return func(p *policy) {
		p.plain = append(p.plain, refuse(errno, system(unix.SYS_IO_URING_REGISTER), registers(op)))
	}
}

// NoSendMsgRing refuses IORING_REGISTER_SEND_MSG_RING, the message that needs
// no ring, with that errno: EINVAL is what kernels before 6.13 answer.
func NoSendMsgRing(errno syscall.Errno) Rule { return NoRegister(31, errno) }

// NoEnter refuses io_uring_enter with all of these IORING_ENTER flags, with that
// errno: EAGAIN is what a kernel answers that has no memory. By a flag that no
// kernel has, 1<<31, a test says itself which calls fail: those with the flag.
func NoEnter(flags uint32, errno syscall.Errno) Rule {
	const enterFlags = 3 // the argument
	return func(p *policy) {
		p.plain = append(p.plain, refuse(errno, system(unix.SYS_IO_URING_ENTER), argument(enterFlags, flags, flags)))
	}
}

// NoNowait refuses preadv2 and pwritev2 with RWF_NOWAIT, with that errno:
// EOPNOTSUPP is what they answer for a pipe of Linux 6.1.
func NoNowait(errno syscall.Errno) Rule {
	const flags = 5 // the argument
	return func(p *policy) {
		for _, nr := range []uint32{unix.SYS_PREADV2, unix.SYS_PWRITEV2} {
			NoCall(nr, flags, unix.RWF_NOWAIT, errno)(p)
		}
	}
}

// NoCall refuses the system call of that number with all of these bits in its
// argument arg, which counts from 0, with that errno.
func NoCall(nr uint32, arg int, bits uint32, errno syscall.Errno) Rule {
	return func(p *policy) { p.plain = append(p.plain, refuse(errno, system(nr), argument(arg, bits, bits))) }
}

// NoSetupFlags refuses io_uring_setup with any of these IORING_SETUP flags, with
// EINVAL, as a kernel does that does not know them. Needs Linux 5.19.
func NoSetupFlags(mask uint32) Rule { return func(p *policy) { p.flags |= mask } }

// NoOpcodes makes rings whose submissions with these opcodes (IORING_OP_NOP is
// 0) complete with EACCES. A kernel that does not know them answers EINVAL: what
// falls back must do so for both. A probe still shows them; add [HideOpcodes].
// Needs Linux 5.19.
//
// The rings are restricted by IORING_REGISTER_RESTRICTIONS, which asks for a
// ring that starts disabled, and IORING_SETUP_SINGLE_ISSUER binds a ring to the
// thread that enables it. So with that flag (and DEFER_TASKRUN, which needs it)
// io_uring_setup fails with EINVAL, as before Linux 6.0, unless the caller asks
// for IORING_SETUP_R_DISABLED too and enables the ring itself. It fails with
// IORING_SETUP_REGISTERED_FD_ONLY. A caller cannot restrict such a ring further.
func NoOpcodes(ops ...uint8) Rule { return func(p *policy) { p.refused.add(ops) } }

// HideOpcodes makes IORING_REGISTER_PROBE say of these opcodes that the kernel
// does not support them. Submissions still do: add [NoOpcodes] where the rings
// allow it. Needs Linux 5.19.
func HideOpcodes(ops ...uint8) Rule { return func(p *policy) { p.hidden.add(ops) } }

// Rlimit sets the child's soft limit of that resource (RLIMIT_NOFILE, RLIMIT_MEMLOCK
// in bytes, ...) until the test ends. RLIMIT_MEMLOCK does not bind a process with
// CAP_IPC_LOCK, as root has: add [Unprivileged]. A hard limit that is lower is
// raised, for good; the test is skipped if only root may.
func Rlimit(resource int, soft uint64) Rule {
	return func(p *policy) { p.limits = append(p.limits, limit{resource, soft}) }
}

// Unprivileged runs the test as user and group 65534, without capabilities, if the
// parent is root; others stay as they are. Such a child does not count for the
// coverage.
func Unprivileged() Rule { return func(p *policy) { p.nobody = true } }

// prepare does what only the parent can do, and returns what undoes it.
func (p *policy) prepare(t testing.TB) (undo func()) {
	t.Helper()
	if p.sysctl == "" {
		return func() {}
	}
	return setSysctl(t, p.sysctl)
}

// enforce puts the rules in force, in the child. The limits come last: they are
// for the test.
func (p *policy) enforce(t testing.TB) {
	t.Helper()
	for _, l := range p.limits {
		l.allow(t) // before that takes privileges
	}
	if p.nobody {
		becomeNobody(t)
	}
	p.filter(t)
	for _, l := range p.limits {
		l.set(t)
	}
}

func becomeNobody(t testing.TB) {
	t.Helper()
	if syscall.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		t.Skip("refuse: cannot become nobody:", err)
	}
}

// allow makes the hard limit no lower than the soft one will be.
func (l limit) allow(t testing.TB) {
	t.Helper()
	old := l.get(t)
	if old.Max >= l.soft {
		return
	}
	if err := unix.Prlimit(0, l.resource, &unix.Rlimit{Cur: old.Cur, Max: l.soft}, nil); err != nil {
		t.Skip("refuse: the hard limit is lower:", err)
	}
}

func (l limit) get(t testing.TB) (old unix.Rlimit) {
	t.Helper()
	if err := unix.Prlimit(0, l.resource, nil, &old); err != nil {
		t.Fatal("refuse: prlimit:", err)
	}
	return old
}

func (l limit) set(t testing.TB) {
	t.Helper()
	old := l.get(t)
	if err := unix.Prlimit(0, l.resource, &unix.Rlimit{Cur: l.soft, Max: old.Max}, nil); err != nil {
		t.Fatal("refuse: prlimit:", err)
	}
	t.Cleanup(func() { // the end of the run may open files
		if err := unix.Prlimit(0, l.resource, &old, nil); err != nil {
			t.Error("refuse: prlimit:", err)
		}
	})
}
