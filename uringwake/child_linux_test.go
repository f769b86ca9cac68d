package uringwake_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// childVariable tells a test that it runs in a process of its own, and what is
// asked of it there.
const childVariable = "VIGIL_TEST_CHILD"

// inChild runs a test in a process of its own, which has to end, and is told what
// is asked of it. Start may be nil for cmd.Start. What it returns waits for the
// end, and fails the test, or skips it, as the process did.
func inChild(t *testing.T, test, what string, start func(cmd *exec.Cmd) error) (wait func(t *testing.T)) {
	t.Helper()
	const most = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), most)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+strings.ReplaceAll(test, "/", "$/^")+"$", "-test.v")
	cmd.Env = append(os.Environ(), childVariable+"="+what)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGQUIT) } // with its stacks, if it can
	cmd.WaitDelay = 5 * time.Second
	if start == nil {
		start = (*exec.Cmd).Start
	}
	if err := start(cmd); err != nil {
		cancel()
		require.NoError(t, err)
	}
	// If this process is killed, one that hangs and spins has an end all the same.
	unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: 120, Max: 120}, nil)
	var err error
	ended := make(chan struct{})
	go func() { defer close(ended); defer cancel(); err = cmd.Wait() }()
	t.Cleanup(func() { <-ended })
	return func(t *testing.T) {
		<-ended
		require.NoError(t, err, "a process of its own, which may take %v:\n%s", most, &said)
		if strings.Contains(said.String(), "--- SKIP") {
			t.Skip(said.String())
		}
	}
}
