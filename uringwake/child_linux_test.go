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

// inChild runs a test in a process of its own, which has to end. It is told what
// is asked of it; start may be nil for cmd.Start.
func inChild(t *testing.T, test, what string, start func(cmd *exec.Cmd) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+strings.ReplaceAll(test, "/", "$/^")+"$", "-test.v")
	cmd.Env = append(os.Environ(), childVariable+"="+what)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGQUIT) } // with its stacks, if it can
	cmd.WaitDelay = 5 * time.Second
	if start == nil {
		start = (*exec.Cmd).Start
	}
	require.NoError(t, start(cmd))
	err := cmd.Wait()
	require.NoError(t, ctx.Err(), "%s: it did not end\n%s", what, &said)
	require.NoError(t, err, "%s:\n%s", what, &said)
	if strings.Contains(said.String(), "--- SKIP") {
		t.Skip(said.String())
	}
}
