//go:build vigil_yield

package uringwake

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/yield"
)

// Who looks for its loop may meanwhile have gone to the thread of one that has
// ended.
func TestThreadOfALoopThatHasEnded(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var r registry
	l := new(Loop)
	r.add(l)
	require.Same(t, l, r.current())
	defer yield.Hold(yield.LoopThreads, func() { r.remove(l) })()
	require.Nil(t, r.current())
}
