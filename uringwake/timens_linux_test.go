package uringwake_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// Sleep takes as long as it should where the monotonic clock is another than the
// kernel's own, as in a container that was moved.
func TestSleepInATimeNamespace(t *testing.T) {
	if outer := os.Getenv(childVariable); outer != "" {
		require.NotEqual(t, outer, timeNamespace(t))
		eachDriver(t, sleepAWhile)
		return
	}
	newLoop(t, nil)
	for name, seconds := range map[string]int{"behind": -10, "ahead": 100_000} {
		for _, driver := range []string{"task", "goroutine"} {
			t.Run(name+", "+driver, func(t *testing.T) {
				t.Parallel()
				inChild(t, "TestSleepInATimeNamespace/"+driver, timeNamespace(t), func(cmd *exec.Cmd) error {
					return startShifted(t, cmd, seconds)
				})(t)
			})
		}
	}
}

func sleepAWhile(t *testing.T, ctx context.Context) {
	const d = 100 * time.Millisecond
	start := time.Now()
	require.NoError(t, uringwake.Sleep(ctx, d))
	require.GreaterOrEqual(t, time.Since(start), d)
}

func timeNamespace(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/self/ns/time")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no time namespaces:", err)
	}
	require.NoError(t, err)
	return name
}

// startShifted starts cmd in a time namespace of its own, whose monotonic clock
// is that many seconds ahead; or skips.
func startShifted(t *testing.T, cmd *exec.Cmd, seconds int) error {
	result := make(chan error, 1)
	go offMain(func() { // the thread ends with what it has unshared
		err := shiftTime(seconds)
		if err == nil {
			err = cmd.Start()
		}
		result <- err
	})
	err := <-result
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ERANGE) {
		t.Skip("no time namespace (root, Linux 6.3 and some seconds of uptime):", err)
	}
	return err
}

// shiftTime has the processes that this thread starts live in another time.
func shiftTime(seconds int) error {
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return err
	}
	offsets := fmt.Sprintf("/proc/%d/timens_offsets", unix.Gettid())
	return os.WriteFile(offsets, fmt.Appendf(nil, "monotonic %d 0\n", seconds), 0)
}
