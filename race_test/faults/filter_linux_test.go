package faults_test

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The filters here are installed late, when rings are in use. For filters from the
// start, package refuse of uringwake has tests.

// machine is the number of this architecture in a filter.
var machine = map[string]uint32{
	"amd64":   unix.AUDIT_ARCH_X86_64,
	"arm64":   unix.AUDIT_ARCH_AARCH64,
	"riscv64": unix.AUDIT_ARCH_RISCV64,
}[runtime.GOARCH]

// refuse makes the kernel refuse these system calls to all threads of this process
// from now on.
func refuse(t require.TestingT, errno unix.Errno, calls ...uint32) {
	const nr, arch = 0, 4 // their offsets in struct seccomp_data
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	result := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
	}
	equal := func(k uint32, then, otherwise uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: then, Jf: otherwise}
	}
	allow := result(unix.SECCOMP_RET_ALLOW)
	program := []unix.SockFilter{load(arch), equal(machine, 1, 0), allow, load(nr)}
	for _, call := range calls {
		program = append(program, equal(call, 0, 1), result(unix.SECCOMP_RET_ERRNO|uint32(errno)))
	}
	require.NoError(t, install(append(program, allow)))
}

func install(program []unix.SockFilter) error {
	runtime.LockOSThread() // no_new_privs belongs to the thread, and the filter needs it
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return e
	}
	return nil
}

// cannotFilter returns the reason why there are no filters here, or nil.
func cannotFilter() error {
	if machine == 0 {
		return fmt.Errorf("no filters for %s", runtime.GOARCH)
	}
	allow := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
	return install(allow)
}

// canFilter tells the parent whether there are filters, and ends the child if not.
func canFilter(t require.TestingT, parent line) {
	if err := cannotFilter(); err != nil {
		parent.say(t, "no filters: "+err.Error())
		os.Exit(0)
	}
	parent.say(t, "filters")
}

// needFilters skips the test if the child, which begins with canFilter, has none.
func (c *child) needFilters() *child {
	c.t.Helper()
	word, _, err := c.hear()
	require.NoError(c.t, err, "the child: %s", &c.stderr)
	if word != "filters" {
		c.t.Skip(word)
	}
	return c
}
