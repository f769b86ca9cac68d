package refuse

import (
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where a filter finds what it decides by: struct seccomp_data. Arguments are
// eight bytes wide; the calls of io_uring use the lower half of those looked at.
const (
	offsetNr   = 0
	offsetArch = 4
	offsetArgs = 16
)

// The calls looked at have no sixth argument, and Go leaves it zero there: it
// marks those that are the supervisor's own.
const (
	passMark = 0x76696769 // allow
	stopMark = 0x6c73746f // tell the supervisor to end
	markArg  = 5
)

// registerOp is the argument with io_uring_register's opcode.
const registerOp = 1

// useRegisteredRing is IORING_REGISTER_USE_REGISTERED_RING, a flag in the
// opcode: the ring is given by its index in the calling thread's table.
const useRegisteredRing = 1 << 31

// audit is what the filter calls the machine.
var audit = map[string]uint32{
	"amd64":   unix.AUDIT_ARCH_X86_64,
	"arm64":   unix.AUDIT_ARCH_AARCH64,
	"riscv64": unix.AUDIT_ARCH_RISCV64,
}

// A condition holds if the word at the offset is the value, in the mask's bits.
type condition struct{ offset, mask, value uint32 }

// A match says what happens to a call for which all conditions hold. The first
// that fits decides.
type match struct {
	when []condition
	then uint32 // SECCOMP_RET...
}

func system(nr uint32) condition { return condition{offsetNr, ^uint32(0), nr} }

func argument(i int, mask, value uint32) condition {
	offset := uint32(offsetArgs + 8*i)
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		offset += 4 // big-endian: the lower half comes second
	}
	return condition{offset, mask, value}
}

func marked(mark uint32) condition { return argument(markArg, ^uint32(0), mark) }

func registers(op uint32) condition {
	return argument(registerOp, ^uint32(useRegisteredRing), op)
}

func refuse(errno syscall.Errno, when ...condition) match {
	if errno == 0 || errno > 4095 {
		panic("refuse: not an errno that a call can fail with")
	}
	return match{when, unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

func ask(when ...condition) match { return match{when, unix.SECCOMP_RET_USER_NOTIF} }

// supervised are the calls that take a look at memory.
func (p *policy) supervised() (calls []match) {
	if p.flags != 0 || len(p.refused) > 0 {
		calls = append(calls, ask(system(unix.SYS_IO_URING_SETUP)))
	}
	if len(p.hidden) > 0 {
		calls = append(calls, ask(system(unix.SYS_IO_URING_REGISTER), registers(registerProbe)))
	}
	return calls
}

// matches are all that the policy needs, and whether a supervisor is asked.
func (p *policy) matches() (all []match, asks bool) {
	calls := p.supervised()
	if len(calls) == 0 {
		return p.plain, false
	}
	own := []match{
		{[]condition{system(unix.SYS_IO_URING_SETUP), marked(passMark)}, unix.SECCOMP_RET_ALLOW},
		{[]condition{system(unix.SYS_IO_URING_REGISTER), marked(passMark)}, unix.SECCOMP_RET_ALLOW},
		ask(system(unix.SYS_IO_URING_SETUP), marked(stopMark)),
	}
	return slices.Concat(own, p.plain, calls), true
}

// unasked is the errno of a setup that is refused before the supervisor can be
// asked, as by the filter of a container, and 0 if setups get through.
func unasked() unix.Errno {
	_, e := setup(0, nil) // EINVAL or EFAULT
	if e == unix.EINVAL || e == unix.EFAULT {
		return 0
	}
	return e
}

// filter installs the policy's filter, if it needs one, and starts the
// supervisor, if that needs one.
func (p *policy) filter(t testing.TB) {
	t.Helper()
	matches, asks := p.matches()
	if len(matches) == 0 {
		return
	}
	arch, ok := audit[runtime.GOARCH]
	if !ok {
		t.Skip("refuse: no seccomp filter for", runtime.GOARCH)
	}
	if e := unasked(); asks && e != 0 {
		t.Skip("refuse: io_uring is refused here already:", e)
	}
	listener, err := install(program(arch, matches), asks)
	switch {
	case unavailable(err), asks && errors.Is(err, unix.EINVAL):
		t.Skip("refuse: cannot install a seccomp filter (one that asks needs Linux 5.19):", err)
	case err != nil:
		t.Fatal("refuse: seccomp:", err)
	case asks:
		supervise(t, p, listener)
	}
}

// unavailable tells that filters, or another one of this kind, are not to be
// had here.
func unavailable(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) ||
		errors.Is(err, unix.EACCES) || errors.Is(err, unix.EBUSY)
}

// program compiles matches for the machine; calls of other machines' kind are
// allowed.
func program(arch uint32, matches []match) []unix.SockFilter {
	allow := statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW)
	p := []unix.SockFilter{load(offsetArch), equal(arch, 1, 0), allow}
	for _, m := range matches {
		p = append(p, m.compile()...)
	}
	return append(p, allow)
}

// compile returns the match's instructions. A comparison that fails jumps over
// the rest of them.
func (m match) compile() (code []unix.SockFilter) {
	const comparison = 3 // instructions
	for i, c := range m.when {
		rest := uint8(comparison*(len(m.when)-1-i) + 1)
		code = append(code,
			load(c.offset),
			statement(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, c.mask),
			equal(c.value, 0, rest))
	}
	return append(code, statement(unix.BPF_RET|unix.BPF_K, m.then))
}

func statement(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

func load(offset uint32) unix.SockFilter {
	return statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset)
}

// equal skips so many instructions if the value loaded is k, else so many.
func equal(k uint32, then, otherwise uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: then, Jf: otherwise, K: k}
}

// install puts the program in force for all threads. It returns the listener,
// if the program asks.
func install(program []unix.SockFilter, asks bool) (listener int, err error) {
	runtime.LockOSThread() // no_new_privs is the thread's, and the filter needs it
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	flags := unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	if asks {
		// A call that was received is not interrupted by a signal of the Go
		// runtime any more, to be made once again.
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}
