package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMutationsApply: each text that a mutation changes is still there, once,
// and the mutant differs. So a change of the code that outdates the table is
// seen long before somebody runs it.
func TestMutationsApply(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	whys := make(map[string]bool)
	for _, m := range mutations {
		text, err := m.apply(root)
		require.NoError(t, err)
		require.Contains(t, text, m.new)
		require.NotEqual(t, m.old, m.new)
		require.False(t, whys[m.file+m.why], "twice: %s", m.why)
		whys[m.file+m.why] = true
	}
}

// TestMissingText: a mutation whose text is gone is an error.
func TestMissingText(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	_, err = mutation{file: "wake/wake.go", old: "no such text"}.apply(root)
	require.ErrorContains(t, err, "0 times in the file")
	_, err = mutation{file: "wake/wake.go", old: "return"}.apply(root)
	require.ErrorContains(t, err, "must be once")
}

// TestFirstFailure: what go test prints, and what the table shows of it.
func TestFirstFailure(t *testing.T) {
	for out, want := range map[string]string{
		"--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/b (0.1s)\n":                   "TestA/b",
		"--- FAIL: TestA (0.1s)\nFAIL\n":                                           "TestA",
		"panic: test timed out after 1m0s\n\trunning tests:\n\t\tTestA (1m0s)\n\n": "TestA (hangs)",
		"fatal error: all goroutines are asleep - deadlock!\n":                     "fatal error: all goroutines are asleep - deadlock!",
		"FAIL\n": "go test",
	} {
		require.Equal(t, want, firstFailure(out))
	}
	m := guilty.FindStringSubmatch("    map_test.go:1: Illegal: partition 1 of the history with seed 17\n")
	require.Equal(t, "17", m[1])
}
