package waitq

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTurnSkipsZero when it wraps: zero is the turn of those not in line.
func TestTurnSkipsZero(t *testing.T) {
	q := Queue[int]{turn: math.MaxUint32}
	last := new(Waiter[int])
	q.Push(last)
	q.Detach()
	require.False(t, q.Remove(last))
	require.False(t, q.Remove(new(Waiter[int])), "never in line")

	next := new(Waiter[int])
	q.Push(next)
	require.False(t, q.Remove(last))
	require.False(t, q.Remove(new(Waiter[int])))
	require.True(t, q.Remove(next))
}
