package dedup

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOnlyAnEmptyBatchIsTaken: a caller may join a batch after the last one has left it, and
// before that one looks.
func TestOnlyAnEmptyBatchIsTaken(t *testing.T) {
	var g gathering[string, int]
	b := new(batch[string, int])
	g.open = b
	b.alive.Store(2)
	require.False(t, g.takeEmpty(b))
	require.Same(t, b, g.open)
	b.alive.Store(1)
	require.False(t, g.takeEmpty(new(batch[string, int])))
	require.True(t, g.takeEmpty(b))
	require.False(t, g.takeEmpty(b), "once")
}
