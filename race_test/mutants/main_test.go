package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }

// TestMutationsApply checks that the text of each mutation occurs exactly once and that
// the mutant differs. This finds a change of the code that outdates the table long
// before the command runs.
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

// TestOnlyNamesTests checks that the tests that a mutation names exist in its package.
func TestOnlyNamesTests(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	names := make(map[string][]string)
	for _, m := range mutations {
		dir := m.tested()
		if names[dir] == nil {
			names[dir] = testsIn(t, filepath.Join(root, dir))
		}
		top, _, _ := strings.Cut(m.only, "/")
		found := slices.ContainsFunc(names[dir], regexp.MustCompile(top).MatchString)
		assert.True(t, found, "no test for %s matches %q", m.file, m.only)
	}
}

// testsIn returns the names of the tests in a directory.
func testsIn(t *testing.T, dir string) (names []string) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range tests.FindAllStringSubmatch(string(text), -1) {
			names = append(names, name[1])
		}
	}
	return names
}

var tests = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w+)\(`)

// TestMissingText checks that a mutation whose text is missing or not unique fails.
func TestMissingText(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	_, err = mutation{file: "wake/wake.go", old: "no such text"}.apply(root)
	require.ErrorContains(t, err, "0 times in the file")
	_, err = mutation{file: "wake/wake.go", old: "return"}.apply(root)
	require.ErrorContains(t, err, "must be once")
}

// TestFirstFailure checks which failure is found in the output of go test.
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
