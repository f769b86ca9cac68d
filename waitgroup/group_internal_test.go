package waitgroup

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

// TestTicketsWrap: the line keeps its order where tickets begin anew.
func TestTicketsWrap(t *testing.T) {
	for start := range int64(6) {
		var g Group
		g.state.Store(ticketMask - start)
		g.Add(1)
		woken := 0
		for range 5 {
			g.Register(wake.Func(func() { woken++ }))
		}
		zero := ticket(g.state.Load() & ticketMask)
		for range 3 { // after the zero, if it had been then
			g.Register(wake.Func(func() { woken += 100 }))
		}
		g.release(zero)
		require.Equal(t, 5, woken)
		require.Equal(t, 3, g.line.Len())
		g.Done()
		require.Equal(t, 305, woken)
		require.Zero(t, g.state.Load()&^ticketMask)
	}
}

// TestNobodyInLineNobodyWaiting: once the line is empty a count is one addition
// again.
func TestNobodyInLineNobodyWaiting(t *testing.T) {
	var g Group
	g.Add(2)
	r, s := g.Register(nil), g.Register(nil)
	require.NotZero(t, g.state.Load()&waiting)
	r.Stop()
	require.NotZero(t, g.state.Load()&waiting)
	s.Stop()
	require.Zero(t, g.state.Load()&waiting)
	g.Register(nil)
	g.Add(-2)
	require.Zero(t, g.state.Load()&waiting)
}

// TestReleaseOfSomeForgetsIdle: the channel that was closed is not given out
// again, though others stay in line.
func TestReleaseOfSomeForgetsIdle(t *testing.T) {
	var g Group
	g.Add(1)
	old := g.Idle()
	zero := ticket(g.state.Load() & ticketMask)
	g.Register(nil)
	g.release(zero)
	<-old
	require.NotEqual(t, old, g.Idle())
	require.Equal(t, 2, g.line.Len())
}
