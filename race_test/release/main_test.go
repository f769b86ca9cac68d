// Package release_test tests what dependents get when a version is tagged.
package release_test

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

const (
	root = "../.."
	path = "github.com/vigil-go/vigil"
)

// strict is set by .ci/run, which has downloaded everything that the tests need.
var strict = flag.Bool("strict", false, "fail where a test would be skipped, and run what was resolved")

func TestMain(m *testing.M) { testkit.Main(m) }

func skip(t *testing.T, why string) {
	t.Helper()
	if *strict {
		t.Fatal(why)
	}
	t.Skip(why)
}

// needs skips the test if a program is not on the PATH.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			skip(t, "needs "+program+": "+err.Error())
		}
	}
}

// try runs a command in a folder, with additions to the environment, and returns
// its output.
func try(dir string, env []string, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// run is try for a command that must succeed.
func run(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	out, err := try(dir, env, command...)
	require.NoError(t, err, "%s: %s", strings.Join(command, " "), out)
	return out
}
