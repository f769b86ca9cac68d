package soak_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// leaked returns what the runtime's search for goroutines that can never be woken
// finds.
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

const (
	clean      = "goroutineleak profile: total 0\n"
	bothLeaked = "goroutineleak profile: total 2\n"
)

// TestNobodySleepsForEver checks that after all rounds, while all subjects still
// exist, no goroutine waits for something that cannot come.
func TestNobodySleepsForEver(t *testing.T) {
	leaked(t)
	soak(everything(t), amount()/10)
	require.Equal(t, clean, leaked(t))
}

// stuck are waits that can never end, because nothing else refers to what they wait
// on.
var stuck = map[string]struct {
	wait  func(ctx context.Context)
	stack string
}{
	"Map.Wait":   {func(ctx context.Context) { new(waitmap.Map[int, int]).Wait(ctx, 1) }, "waitmap.(*Map["},
	"Map.Take":   {func(ctx context.Context) { new(waitmap.Map[int, int]).Take(ctx, 1) }, "waitmap.(*Map["},
	"used map":   {waitUsed, "waitmap.(*Map["},
	"Notify":     {func(ctx context.Context) { new(notify.Notify).Wait(ctx) }, "notify.(*Notify)"},
	"Group.Wait": {waitGroup, "waitgroup.(*Group)"},
}

// waitUsed waits in a map that it has waited in before.
func waitUsed(ctx context.Context) {
	m := new(waitmap.Map[int, int])
	go m.Store(0, 0)
	m.Wait(ctx, 0)
	m.Wait(ctx, 1)
}

func waitGroup(ctx context.Context) {
	g := new(waitgroup.Group)
	g.Add(1)
	g.Wait(ctx)
}

// TestLeakProfileConvicts checks that such waits are found. They can never be
// woken, so each runs in a process of its own, which ends with it.
func TestLeakProfileConvicts(t *testing.T) {
	leaked(t)
	const child = "VIGIL_SOAK_LEAK"
	if name := os.Getenv(child); name != "" {
		waitForEver(name)
		for range 100 {
			if found := leaked(t); strings.HasPrefix(found, bothLeaked) {
				require.Equal(t, clean, found)
			}
		}
		return
	}
	for name, c := range stuck {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestLeakProfileConvicts$")
			cmd.Env = append(os.Environ(), child+"="+name)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "%s", out)
			require.Contains(t, string(out), bothLeaked)
			require.Contains(t, string(out), c.stack)
		})
	}
}

// waitForEver waits under a context that cannot end and under one that could. The
// goroutines may not sleep yet when it returns.
//
//go:noinline
func waitForEver(name string) {
	go stuck[name].wait(context.Background())
	go func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stuck[name].wait(ctx)
	}()
}
