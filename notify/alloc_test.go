package notify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
)

// TestAllocations: what does not sleep allocates nothing.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var n notify.Notify
	allocs := func(most float64, name string, f func()) {
		t.Helper()
		require.LessOrEqual(t, testing.AllocsPerRun(1000, f), most, name)
	}
	allocs(0, "NotifyOne, Wait", func() { n.NotifyOne(); n.Wait(bg) })
	allocs(0, "NotifyLast, TryWait", func() { n.NotifyLast(); n.TryWait() })
	allocs(0, "NotifyN and NotifyWaiters of nobody", func() { n.NotifyN(1); n.NotifyWaiters() })
	allocs(1, "Listen, NotifyOne, Ready", func() { l := n.Listen(); n.NotifyOne(); l.Ready() })
	allocs(1, "Listen, NotifyWaiters, Stop", func() { l := n.Listen(); n.NotifyWaiters(); l.Stop() })
}
