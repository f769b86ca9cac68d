package uringwake

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whether the kernel attempts ready files must not depend on how fast its workers
// are: on one that does not the wrong answer has it spin forever.
func TestAttemptsIsSure(t *testing.T) {
	want := testAttempts()
	if inconclusive(want) != nil {
		t.Skip(want)
	}
	var over atomic.Bool
	defer over.Store(true)
	for range runtime.GOMAXPROCS(0) + 1 { // so that this thread is often held up
		go func() {
			for !over.Load() {
			}
		}()
	}
	for range 100 {
		require.Equal(t, want, testAttempts())
	}
}
