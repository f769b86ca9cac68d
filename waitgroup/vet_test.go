package waitgroup_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVetFindsCopies: a Group must not be copied, and go vet says so.
func TestVetFindsCopies(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is not on the PATH: ", err)
	}
	if testing.Short() {
		t.Skip("runs the go tool")
	}
	out, err := exec.Command(tool, "vet", "./testdata/copied").CombinedOutput()
	require.Error(t, err, "go vet found nothing")
	for _, want := range []string{
		"byValue passes lock by value",
		"assignment copies lock value to other",
		"byStruct passes lock by value",
	} {
		require.Contains(t, string(out), want)
	}
}
