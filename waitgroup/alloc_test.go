package waitgroup_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
)

// TestAllocations: calls that do not sleep or register do not allocate.
func TestAllocations(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	var zero, up, line waitgroup.Group
	up.Add(1)
	line.Add(1)
	line.Register(nil)
	line.Idle()
	live, end := context.WithCancel(bg)
	defer end()
	for name, f := range map[string]func(){
		"Add and Done":           func() { zero.Add(1); zero.Done() },
		"Add and Done at 1":      func() { up.Add(1); up.Done() },
		"with a line":            func() { line.Add(2); line.Add(-1); line.Done() },
		"Wait at zero":           func() { zero.Wait(bg) },
		"Wait at zero, live":     func() { zero.Wait(live) },
		"TryWait":                func() { up.TryWait() },
		"TryWait at zero":        func() { zero.TryWait() },
		"Count":                  func() { up.Count() },
		"Idle at zero":           func() { zero.Idle() },
		"Idle, not the first":    func() { line.Idle() },
		"a round without a line": func() { zero.Add(1); zero.Done(); zero.Wait(bg) },
	} {
		require.Zero(t, testing.AllocsPerRun(500, f), name)
	}
}
