package waitgroup_test

import (
	"math"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
)

// TestMiscountsTogether: several wrong calls of Add, however large, leave the count as it
// was.
func TestMiscountsTogether(t *testing.T) {
	for _, n := range []int{-2, -1000, -math.MaxInt32 / 4, math.MinInt32, math.MinInt} {
		var g waitgroup.Group
		g.Add(1)
		var missed atomic.Int64
		testkit.Together(4, func(int) {
			for range testkit.Scale(50_000, 10_000) {
				if recovered(func() { g.Add(n) }) != negative {
					missed.Add(1)
					return
				}
			}
		})
		require.Zero(t, missed.Load(), "did not panic at %d", n)
		require.Equal(t, 1, g.Count())
	}
}
