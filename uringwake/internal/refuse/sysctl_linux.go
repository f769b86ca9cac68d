package refuse

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// SysctlEnv is the environment variable that must be 1 for [Sysctl] to do
// anything.
const SysctlEnv = "VIGIL_TEST_SYSCTL"

// sysctlFile is kernel.io_uring_disabled; Linux 6.6.
const sysctlFile = "/proc/sys/kernel/io_uring_disabled"

// A Level is a value of kernel.io_uring_disabled. Rings that exist go on.
type Level string

// Levels of [Sysctl].
const (
	NotForUsers Level = "1" // io_uring_setup fails with EPERM without CAP_SYS_ADMIN
	NotForRoot  Level = "2" // it fails with EPERM for all
)

// Sysctl sets kernel.io_uring_disabled while the child runs; with NotForUsers
// the child is [Unprivileged].
//
// It is the only rule that holds for the whole system: no process can make a ring
// meanwhile. So the test is skipped unless the environment has [SysctlEnv]=1, which
// says that no other test and no program in need of a ring runs in parallel with it.
// Tests that use it take turns, by a lock on the sysctl. The value comes back
// however the test ends, even if it is killed: another process waits for that. The
// test is skipped as well if this user or this container may not set the sysctl, or
// the kernel has none.
func Sysctl(level Level) Rule {
	return func(p *policy) {
		p.sysctl = string(level)
		p.nobody = p.nobody || level == NotForUsers
	}
}

// setSysctl sets the sysctl, under its lock, until restore is called or the
// process ends.
func setSysctl(t testing.TB, value string) (restore func()) {
	t.Helper()
	if os.Getenv(SysctlEnv) != "1" {
		t.Skipf("refuse: changes %s for all of the system: set %s=1 where nothing else needs a ring", sysctlFile, SysctlEnv)
	}
	f := openSysctl(t)
	defer f.Close()
	old := readSysctl(t, f)
	guard, release := startGuard(t, f, old)
	restore = func() {
		if err := errors.Join(release.Close(), guard.Wait()); err != nil {
			t.Errorf("refuse: %s may not be %s again: %v", sysctlFile, old, err)
		}
	}
	if old >= value { // one digit each: it refuses that much already
		return restore
	}
	if _, err := f.WriteAt([]byte(value), 0); err != nil {
		restore()
		t.Skip("refuse:", err)
	}
	return restore
}

// openSysctl opens and locks the sysctl.
func openSysctl(t testing.TB) *os.File {
	t.Helper()
	f, err := os.OpenFile(sysctlFile, os.O_RDWR, 0)
	if err != nil {
		t.Skip("refuse:", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err == nil {
			return f
		}
		if err != unix.EINTR {
			f.Close()
			t.Fatal("refuse: flock:", err)
		}
	}
}

func readSysctl(t testing.TB, f *os.File) string {
	t.Helper()
	b := make([]byte, 16)
	n, err := f.ReadAt(b, 0)
	old := strings.TrimSpace(string(b[:n]))
	if _, bad := strconv.Atoi(old); bad != nil {
		t.Fatalf("refuse: %s reads %q: %v", sysctlFile, old, err)
	}
	return old
}

// startGuard starts a process that writes the old value back as soon as release
// is closed, by us or by our end. It inherits the file, and with it the lock,
// and is out of reach of a terminal's signals.
func startGuard(t testing.TB, f *os.File, old string) (guard *exec.Cmd, release io.Closer) {
	t.Helper()
	guard = exec.Command("/bin/sh", "-c", "read -r _; echo "+old)
	guard.Stdout = f
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	release, err := guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		t.Fatal("refuse: guard:", err)
	}
	return guard, release
}
