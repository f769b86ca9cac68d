//go:build vigil_schedpoint

package notify_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/notify"
)

// selectWhile selects over two Notifies. Just before the Select looks at n again, n keeps
// a permit, and when the Select is about to take that, it calls reserved.
func selectWhile(t *testing.T, other, n *notify.Notify, reserved func()) (chosen int) {
	var kept, passed atomic.Bool
	defer schedpoint.Hold(schedpoint.SelectEntered, func() {
		if !kept.Swap(true) {
			n.NotifyOne()
		}
	})()
	defer schedpoint.Hold(schedpoint.NotifyClaims, func() {
		if !passed.Swap(true) {
			reserved()
		}
	})()
	chosen, err := await.Select(bg, other.OnNotify(), n.OnNotify())
	require.NoError(t, err)
	return chosen
}

// TestPermitOfASelectIsNotTakenTwice: not by a TryWait that runs while the Select takes it.
func TestPermitOfASelectIsNotTakenTwice(t *testing.T) {
	var other, n notify.Notify
	tried := make(chan bool)
	require.Equal(t, 1, selectWhile(t, &other, &n, func() {
		go func() { tried <- n.TryWait() }()
		for range 100 {
			runtime.Gosched()
		}
	}))
	require.False(t, <-tried)
	requireIdle(t, &other)
	requireIdle(t, &n)
}

// TestPermitOfASelectThatAnotherCaseWinsStays, and a TryWait in that instant takes it.
func TestPermitOfASelectThatAnotherCaseWinsStays(t *testing.T) {
	for _, try := range []bool{false, true} {
		var other, n notify.Notify
		tried := make(chan bool, 1)
		require.Zero(t, selectWhile(t, &other, &n, func() {
			if try {
				go func() { tried <- n.TryWait() }()
			}
			for range 100 {
				runtime.Gosched()
			}
			other.NotifyOne()
		}))
		require.True(t, try && <-tried || !try && n.TryWait())
		requireIdle(t, &other)
		requireIdle(t, &n)
	}
}
