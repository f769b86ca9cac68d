package await

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/wake"
)

// newArm returns the arm of a Select with one case.
func newArm() (*choice.Claim, *choice.Arm) {
	claim, arm := new(choice.Claim), new(choice.Arm)
	arm.Init(claim, 0, wake.NewParker())
	return claim, arm
}

// TestAfterIsStopped by a Select that chooses another case. Only if that was in time, the
// arm may be used again.
func TestAfterIsStopped(t *testing.T) {
	a := After(time.Hour).(*after)
	_, arm := newArm()
	require.True(t, a.Enter(arm))
	require.True(t, a.Leave())
	require.False(t, a.timer.Stop(), "it was stopped")

	a = After(time.Nanosecond).(*after)
	_, arm = newArm()
	require.True(t, a.Enter(arm))
	for !arm.Called() {
		time.Sleep(time.Millisecond)
	}
	require.False(t, a.Leave())
}

// TestValueCaseWhoseStoreIsSlowIsUsedAgain: a Store has taken the waiter of a Select out of
// line, and another case of that Select wins before the Store can claim it. The next
// Select with the same case is not touched by that Store.
func TestValueCaseWhoseStoreIsSlowIsUsedAgain(t *testing.T) {
	var v Value[int]
	c := v.OnNewer(1, nil, nil).(*onNewer[int])
	lost, arm := newArm()
	require.True(t, c.Enter(arm))
	v.Store(1)
	require.Equal(t, 1, v.Waiters(), "it knows version 1")
	_, late := v.publish(func(int) int { return 2 })
	require.True(t, lost.Withdraw(), "as another case does")
	require.False(t, c.Leave(), "the list has the waiter")

	c.version = 2
	claim, arm := newArm()
	require.True(t, c.Enter(arm))
	late.Release()
	require.True(t, claim.Open())
	v.Store(3)
	require.Equal(t, 0, claim.Chosen())
	require.True(t, arm.Called())
	require.NoError(t, c.Result())
}

// TestValueNewerBeforeTheLineIsClaimed: the version has been stored since Try.
func TestValueNewerBeforeTheLineIsClaimed(t *testing.T) {
	var v Value[int]
	v.Store(1)
	claim, arm := newArm()
	require.False(t, v.OnNewer(0, nil, nil).(*onNewer[int]).Enter(arm))
	require.Equal(t, 0, claim.Chosen())
}
