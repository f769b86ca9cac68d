package race_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVetFindsCopies checks that go vet reports copies of values that must not be
// copied.
func TestVetFindsCopies(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is not on the PATH: ", err)
	}
	if testing.Short() {
		t.Skip("runs the go tool")
	}
	for _, pkg := range []string{"waitmap", "notify", "waitgroup", "dedup", "await"} {
		out, err := exec.Command(tool, "vet", "../"+pkg+"/testdata/copied").CombinedOutput()
		require.Error(t, err, "%s: go vet found nothing", pkg)
		for _, want := range []string{
			"byValue passes lock by value",
			"assignment copies lock value to other",
			"byStruct passes lock by value",
		} {
			require.Contains(t, string(out), want, pkg)
		}
	}
}
