package refuse_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
)

const sysctlFile = "/proc/sys/kernel/io_uring_disabled"

func readSysctl(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(sysctlFile)
	if err != nil {
		t.Skip(err)
	}
	return strings.TrimSpace(string(b))
}

func TestSysctl(t *testing.T) {
	for name, level := range map[string]refuse.Level{"users": refuse.NotForUsers, "root": refuse.NotForRoot} {
		t.Run(name, func(t *testing.T) {
			before := readSysctl(t)
			if !refuse.Child(t, refuse.Sysctl(level)) {
				require.Equal(t, before, readSysctl(t))
				return
			}
			require.GreaterOrEqual(t, before, string(level), "here before is the value in force")
			_, err := ring.Setup(8, nil)
			require.ErrorIs(t, err, syscall.EPERM)
			require.Equal(t, level == refuse.NotForUsers, os.Geteuid() != 0)
		})
	}
}

// TestSysctlOfTheKilled: the value comes back if the parent cannot see to it.
func TestSysctlOfTheKilled(t *testing.T) {
	const env = "VIGIL_REFUSE_VICTIM"
	if os.Getenv(env) != "" {
		if refuse.Child(t, refuse.Sysctl(refuse.NotForRoot)) {
			require.Equal(t, string(refuse.NotForRoot), readSysctl(t))
			require.NoError(t, syscall.Kill(os.Getppid(), syscall.SIGKILL))
			select {} // until that kills this process too
		}
		return
	}
	if os.Getenv(refuse.SysctlEnv) != "1" || os.Getuid() != 0 {
		t.Skipf("needs %s=1 and root", refuse.SysctlEnv)
	}
	before := readSysctl(t)
	victim := exec.Command(os.Args[0], "-test.run=^TestSysctlOfTheKilled$")
	victim.Env = append(os.Environ(), env+"=1")
	require.EqualError(t, victim.Run(), "signal: killed")
	f, err := os.OpenFile(sysctlFile, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	for err = syscall.EINTR; err == syscall.EINTR; { // its guard has the lock until then
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH)
	}
	require.NoError(t, err)
	require.Equal(t, before, readSysctl(t))
}
