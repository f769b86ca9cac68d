package waitq

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/wake"
)

// TestCaseWaiterIsNotReusedBeforeItsWake: a notifier that has won but not called the waker
// may still use the waiter.
func TestCaseWaiterIsNotReusedBeforeItsWake(t *testing.T) {
	var c CaseWaiter[int]
	var claim choice.Claim
	var arm choice.Arm
	begin := func() *Waiter[int] {
		claim.Reset()
		arm.Init(&claim, 0, wake.NewParker())
		return c.Begin(&arm)
	}
	first := begin()
	require.True(t, first.Finish())
	first.Wake()
	c.EndChosen()

	second := begin()
	require.Same(t, first, second)
	require.False(t, second.Done())
	require.True(t, second.Finish())
	c.EndChosen() // before its wake

	third := begin()
	require.NotSame(t, second, third)
	c.End(true)
	require.Same(t, third, begin())
	c.End(false)
	require.NotSame(t, third, begin())
	c.End(true)
	c.EndChosen() // nothing has begun
}
