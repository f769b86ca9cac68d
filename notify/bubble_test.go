package notify_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// packageLevel is used outside of bubbles, and in one bubble after the other.
var packageLevel notify.Notify

// useAll calls all methods of n, waits for an hour of the clock, and leaves neither a
// waiter nor a permit.
func useAll(t *testing.T, n *notify.Notify, hour time.Duration) {
	ctx, cancel := context.WithTimeout(bg, hour)
	defer cancel()
	require.ErrorIs(t, n.Wait(ctx), context.DeadlineExceeded)
	l := n.Listen()
	require.ErrorIs(t, l.Wait(ctx), context.DeadlineExceeded)
	c := l.C()
	time.AfterFunc(hour, n.NotifyOne)
	<-c
	require.False(t, l.Stop())

	for _, pick := range pickers {
		time.AfterFunc(hour, func() { pick.pick(n) })
		require.NoError(t, n.Wait(bg))
		l := n.Register(wake.Func(func() {}))
		time.AfterFunc(hour, func() { pick.pick(n) })
		require.NoError(t, l.Wait(bg))
		require.True(t, l.Ready())
	}
	time.AfterFunc(hour, n.NotifyOne)
	chosen, err := await.Select(bg, new(notify.Notify).OnNotify(), n.OnNotify())
	require.NoError(t, err)
	require.Equal(t, 1, chosen)

	n.NotifyOne()
	require.NoError(t, n.Wait(bg))
	requireIdle(t, n)
}

// TestPackageLevelInBubbles: a Notify that was used outside works in a bubble:
// all waits block durably, so hours of the bubble's clock pass.
func TestPackageLevelInBubbles(t *testing.T) {
	for range 2 {
		useAll(t, &packageLevel, time.Millisecond)
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			useAll(t, &packageLevel, time.Hour)
			require.Equal(t, 11*time.Hour, time.Since(start))
		})
	}
}

// TestListenersOfBothSides: a Listener that got in line outside is in front of one of a
// bubble, and can be picked, read and stopped there. A channel of C that was made outside
// can be received from in the bubble, if the wake is there.
func TestListenersOfBothSides(t *testing.T) {
	asked, stopped, heard := packageLevel.Listen(), packageLevel.Listen(), packageLevel.Listen()
	c := heard.C()
	synctest.Test(t, func(t *testing.T) {
		wait := async(func() error { return packageLevel.Wait(bg) })
		synctest.Wait()
		packageLevel.NotifyOne()
		require.True(t, asked.Ready())
		packageLevel.NotifyOne()
		require.False(t, stopped.Stop())
		require.Equal(t, c, heard.C())
		<-c
		requirePending(t, wait)
		packageLevel.NotifyOne()
		require.NoError(t, <-wait)
	})
	requireIdle(t, &packageLevel)
}
