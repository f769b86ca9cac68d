package waitgroup

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/wake"
)

// TestCaseWhoseReleaseIsSlowIsUsedAgain: a Done has taken the waiter of a Select out of
// line, and another case of that Select wins before the Done can claim it. The next
// Select with the same case is not touched by that Done.
func TestCaseWhoseReleaseIsSlowIsUsedAgain(t *testing.T) {
	var g Group
	g.Add(1)
	c := g.OnZero().(*onZero)
	var claims [2]choice.Claim
	var arms [2]choice.Arm
	for i := range arms {
		arms[i].Init(&claims[i], 0, wake.NewParker())
	}
	require.True(t, c.Enter(&arms[0]))
	zero := g.state.Add(-one)
	g.mu.Lock()
	late := g.detachOlder(zero)
	g.mu.Unlock()
	require.True(t, claims[0].Withdraw(), "as another case does")
	require.False(t, c.Leave(), "the list has the waiter")

	g.Add(1)
	require.True(t, c.Enter(&arms[1]))
	late.Release()
	require.True(t, claims[1].Open())
	require.Equal(t, 1, g.line.Len())
	g.Done()
	require.Equal(t, 0, claims[1].Chosen())
	require.True(t, arms[1].Called())
	require.NoError(t, c.Result())
}

// TestZeroBeforeTheLineIsClaimed: the count has become zero since Try.
func TestZeroBeforeTheLineIsClaimed(t *testing.T) {
	var g Group
	var claim choice.Claim
	var arm choice.Arm
	arm.Init(&claim, 3, wake.NewParker())
	require.False(t, g.OnZero().(*onZero).Enter(&arm))
	require.Equal(t, 3, claim.Chosen())
}
