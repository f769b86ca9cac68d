package waitgroup_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// packageLevel is used outside of bubbles, and in one bubble after the other.
var packageLevel waitgroup.Group

// useAll waits for zero in all ways, at zero and for an hour of the clock.
func useAll(t *testing.T, g *waitgroup.Group, hour time.Duration) {
	requireZero(t, g)
	for _, wait := range waits {
		require.NoError(t, wait(g, bg))
		g.Go(func() { time.Sleep(hour) })
		require.NoError(t, wait(g, bg))
		g.Add(1)
		requireCount(t, 1, g)
		g.Done()
	}
	requireZero(t, g)
}

// TestPackageLevelInBubbles: a Group that was used outside works in a bubble:
// all waits block durably, so hours of the bubble's clock pass.
func TestPackageLevelInBubbles(t *testing.T) {
	for range 2 {
		useAll(t, &packageLevel, time.Millisecond)
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			useAll(t, &packageLevel, time.Hour)
			require.Equal(t, time.Duration(len(waits))*time.Hour, time.Since(start))
		})
	}
}

// TestIdleOfAZeroCrosses: the channel of Idle at zero belongs to no bubble, wherever Idle
// was called.
func TestIdleOfAZeroCrosses(t *testing.T) {
	outside := packageLevel.Idle()
	var inside <-chan struct{}
	synctest.Test(t, func(*testing.T) {
		inside = packageLevel.Idle()
		<-outside
		<-inside
		select {
		case <-outside:
		case <-time.After(time.Hour):
			t.Error("the closed channel is not ready")
		}
	})
	<-inside
}

// TestIdleOfBothSides: until the next zero, Idle returns a channel that it made outside
// also in a bubble, and the channel can be received from there. After that zero Idle makes
// a channel of the bubble.
func TestIdleOfBothSides(t *testing.T) {
	packageLevel.Add(1)
	c := packageLevel.Idle()
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, c, packageLevel.Idle())
		require.False(t, isClosed(c))
		woken := make(wake.Chan, 1)
		packageLevel.Register(woken)
		wait := startWait(&packageLevel, bg)
		synctest.Wait()
		packageLevel.Done()
		require.True(t, isClosed(c))
		<-woken
		require.NoError(t, <-wait)

		packageLevel.Add(1)
		time.AfterFunc(time.Hour, packageLevel.Done)
		<-packageLevel.Idle()
	})
	requireZero(t, &packageLevel)
}
