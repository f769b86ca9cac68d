package notify

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/wake"
)

// TestPermitThatASelectCannotTakeStays: the claim is lost when the case gets in line.
func TestPermitThatASelectCannotTakeStays(t *testing.T) {
	for _, lost := range []bool{false, true} {
		var n Notify
		n.NotifyOne()
		var claim choice.Claim
		var arm choice.Arm
		arm.Init(&claim, 1, wake.NewParker())
		if lost {
			require.True(t, claim.Withdraw())
		}
		require.False(t, n.OnNotify().(*onNotify).Enter(&arm))
		require.Equal(t, !lost, claim.Chosen() == 1)
		require.Equal(t, lost, n.TryWait())
		require.Zero(t, n.Waiters())
		require.Zero(t, n.state.Load())
	}
}

// TestReservedPermitIsNeitherTakenNorLost: a TryWait waits for the claim, and a NotifyOne
// stores its permit after it.
func TestReservedPermitIsNeitherTakenNorLost(t *testing.T) {
	for _, kept := range []bool{false, true} {
		var n Notify
		n.mu.Lock()
		n.state.Store(reserved)
		tried, notified := make(chan bool), make(chan bool)
		go func() { tried <- n.TryWait() }()
		if !kept {
			go func() { n.NotifyOne(); notified <- true }()
		}
		for range 100 {
			runtime.Gosched()
		}
		select {
		case <-tried:
			require.Fail(t, "the permit is reserved")
		case <-notified:
			require.Fail(t, "mu is locked")
		default:
		}
		if kept {
			n.state.Store(permit)
		} else {
			n.state.Store(0)
		}
		n.mu.Unlock()
		got := <-tried
		if kept {
			require.True(t, got)
			require.False(t, n.TryWait())
			continue
		}
		<-notified
		require.NotEqual(t, got, n.TryWait(), "one permit")
	}
}

// TestCaseWhoseNotifierIsSlowIsUsedAgain: the Select has returned because its parker
// did, and the notifier that picked it has yet to call the waker. The next Select with the
// same case is not touched by that.
func TestCaseWhoseNotifierIsSlowIsUsedAgain(t *testing.T) {
	var n Notify
	c := n.OnNotify()
	p := wake.NewParker()
	ctx := wake.WithParker(context.Background(), p)
	sleep := func() chan int {
		chosen := make(chan int)
		go func() {
			i, _ := await.Select(ctx, c)
			chosen <- i
		}()
		for n.Waiters() == 0 {
			p.Wake() // for no reason
		}
		return chosen
	}
	first := sleep()
	tell := half(&n)
	p.Wake()
	require.Zero(t, <-first)
	second := sleep()
	tell()
	require.Equal(t, 1, n.Waiters())
	n.NotifyOne()
	require.Zero(t, <-second)
	require.Zero(t, n.Waiters())
	require.False(t, n.TryWait())
}

// TestUndoneSelectHandsItsPermitOn, which it took when it got in line.
func TestUndoneSelectHandsItsPermitOn(t *testing.T) {
	var n Notify
	n.NotifyOne()
	var claim choice.Claim
	var arm choice.Arm
	arm.Init(&claim, 0, wake.NewParker())
	c := n.OnNotify().(*onNotify)
	require.False(t, c.Enter(&arm))
	next := n.Listen()
	c.Undo()
	require.True(t, next.Ready())
	require.False(t, n.TryWait())
	require.False(t, c.took)
}
