//go:build !wasm

package diskstore

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// childDir names the variable that tells a child process where to save.
const childDir = "VIGIL_DISKSTORE_CHILD"

// saveForEver saves responses, one after the other and each three times, and prints the
// number of each one that is saved.
func saveForEver(dir string) {
	s, err := Open(dir, nil)
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		if err := s.Save(fmt.Sprint(i%50), fmt.Append(nil, i), strings.NewReader(sized(i%50*3000))); err != nil {
			panic(err)
		}
		fmt.Println(i)
	}
}

// A process that is killed at any instant leaves all that it saved, and nothing else.
func TestSavedSurvivesKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for round := range 4 {
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), childDir+"="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		last := killAfter(t, child, out, 20+40*round)

		s := open(t, dir, 0)
		for i := max(0, last-49); i <= last; i++ {
			head, body := load(t, s, fmt.Sprint(i%50))
			var saved int
			_, err := fmt.Sscan(head, &saved)
			require.NoError(t, err)
			require.GreaterOrEqual(t, saved, i)
			require.Equal(t, i%50, saved%50)
			require.True(t, sized(i%50*3000) == body, "key %d", i%50)
		}
		require.NoError(t, s.Close())
	}
}

// killAfter kills a child once it has printed n lines, and returns the last number that
// it printed.
func killAfter(t *testing.T, child *exec.Cmd, out io.Reader, n int) (last int) {
	lines := bufio.NewScanner(out)
	for count := 0; lines.Scan(); count++ {
		_, err := fmt.Sscan(lines.Text(), &last)
		require.NoError(t, err)
		if count == n {
			require.NoError(t, child.Process.Kill())
		}
	}
	require.Error(t, child.Wait())
	return last
}
