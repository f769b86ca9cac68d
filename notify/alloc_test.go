package notify_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/notify"
)

// TestAllocations: calls that do not sleep do not allocate.
func TestAllocations(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	var n notify.Notify
	allocs := func(most float64, name string, f func()) {
		t.Helper()
		require.LessOrEqual(t, testing.AllocsPerRun(1000, f), most, name)
	}
	allocs(0, "NotifyOne, Wait", func() { n.NotifyOne(); n.Wait(bg) })
	allocs(0, "NotifyLast, TryWait", func() { n.NotifyLast(); n.TryWait() })
	allocs(0, "NotifyN and NotifyWaiters without waiters", func() { n.NotifyN(1); n.NotifyWaiters() })
	allocs(1, "Listen, NotifyOne, Ready", func() { l := n.Listen(); n.NotifyOne(); l.Ready() })
	allocs(1, "Listen, NotifyWaiters, Stop", func() { l := n.Listen(); n.NotifyWaiters(); l.Stop() })
}

// TestSleepingAllocatesNothing: a Wait uses the waiter of an earlier one, and under a
// context that can end also its channel. AllocsPerRun uses one processor, so each Wait
// finds no permit and sleeps.
func TestSleepingAllocatesNothing(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector makes sync.Pool forget")
	}
	endable, cancel := context.WithCancel(bg)
	defer cancel()
	for name, ctx := range map[string]context.Context{"cannot end": bg, "can end": endable} {
		var there, back notify.Notify
		stopped := false
		done := async(func() error {
			for {
				if err := there.Wait(ctx); err != nil || stopped {
					return err
				}
				back.NotifyOne()
			}
		})
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			there.NotifyOne()
			back.Wait(ctx)
		}), "a context that %s", name)
		stopped = true
		there.NotifyOne()
		require.NoError(t, <-done)
	}
}
