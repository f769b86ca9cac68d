package soak_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

// leaked is what the runtime's own search for goroutines that nobody can wake
// any more finds.
func leaked(t *testing.T) string {
	t.Helper()
	p := pprof.Lookup("goroutineleak")
	if p == nil {
		t.Skip("the toolchain has no goroutineleak profile: run with GOEXPERIMENT=goroutineleakprofile")
	}
	var b bytes.Buffer
	require.NoError(t, p.WriteTo(&b, 1)) // it looks now
	return b.String()
}

const clean = "goroutineleak profile: total 0\n"

// TestNobodySleepsForEver: after all that, and while all subjects are still
// there, nobody waits for what cannot come.
func TestNobodySleepsForEver(t *testing.T) {
	leaked(t)
	soak(everything(t), amount()/10)
	require.Equal(t, clean, leaked(t))
}

// TestLeakProfileConvicts a wait on a map that nobody else knows. It cannot be
// woken any more, so that a process of its own has to end with it.
func TestLeakProfileConvicts(t *testing.T) {
	leaked(t)
	const child = "VIGIL_SOAK_LEAK"
	if os.Getenv(child) != "" {
		waitForEver()
		require.Equal(t, clean, leaked(t))
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLeakProfileConvicts$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "%s", out)
	require.Contains(t, string(out), "goroutineleak profile: total 1\n")
	require.Contains(t, string(out), "waitmap.(*Map[")
}

//go:noinline
func waitForEver() {
	m := new(waitmap.Map[int, int])
	go m.Wait(context.Background(), 1)
	for m.Waiters(1) == 0 {
		runtime.Gosched()
	}
}
