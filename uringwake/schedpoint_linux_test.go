//go:build vigil_schedpoint

package uringwake

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/schedpoint"
)

// A goroutine that looks for its loop may meanwhile have moved to the thread of one
// that has ended.
func TestThreadOfALoopThatHasEnded(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var r registry
	l := new(Loop)
	r.add(l)
	require.Same(t, l, r.current())
	defer schedpoint.Hold(schedpoint.LoopThreads, func() { r.remove(l) })()
	require.Nil(t, r.current())
}
