package waitgroup

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

// skip advances the tickets, as that many waiters that come and go would do.
func (g *Group) skip(n int) {
	g.tickets += ticket(n)
	g.state.Store(g.state.Load()&^ticketMask | int64(g.tickets)&ticketMask)
}

// TestTicketsWrap: the line keeps its order when the word's tickets wrap.
func TestTicketsWrap(t *testing.T) {
	for start := range 6 {
		var g Group
		g.skip(ticketMask - start)
		g.Add(1)
		woken := 0
		for range 5 {
			g.Register(wake.Func(func() { woken++ }))
		}
		zero := g.state.Load()
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

// TestPatientWaiter: a waiter is in line for so long that the word's tickets wrap.
func TestPatientWaiter(t *testing.T) {
	for _, others := range []int{1<<29 - 2, 1 << 29, 1<<30 - 2, 1<<30 - 1, 1 << 30, 1<<30 + 1, 3<<29 + 5} {
		var g Group
		g.Add(1)
		idle := g.Idle()
		g.skip(others)
		g.Register(nil).Stop()
		g.Done()
		select {
		case <-idle:
		default:
			t.Errorf("after %d others it was not released", others)
		}
	}
}

// TestPutBackIsTheZero: an Add that undoes a wrong count releases, if that makes the count
// zero.
func TestPutBackIsTheZero(t *testing.T) {
	var g Group
	g.Add(1)
	woken := false
	g.Register(wake.Func(func() { woken = true }))
	s := g.state.Add(most * one) // Add, between its two halves
	g.Done()
	require.Equal(t, "waitgroup: count too large", func() (p any) {
		defer func() { p = recover() }()
		g.addSlow(most, s)
		return nil
	}())
	require.True(t, woken)
	require.True(t, g.TryWait())
}

// TestNobodyInLineNobodyWaiting: when the line is empty, counting is one addition again.
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

// TestReleaseOfSomeForgetsIdle: a closed channel is not returned again, even if other
// waiters stay in line.
func TestReleaseOfSomeForgetsIdle(t *testing.T) {
	var g Group
	g.Add(1)
	old := g.Idle()
	zero := g.state.Load()
	g.Register(nil)
	g.release(zero)
	<-old
	require.NotEqual(t, old, g.Idle())
	require.Equal(t, 2, g.line.Len())
}

// TestStoppedRegistrationLetsGo: a stopped registration drops its waker, because it may be
// kept for long.
func TestStoppedRegistrationLetsGo(t *testing.T) {
	var g Group
	g.Add(1)
	r := g.Register(wake.Func(func() {})).(*registration)
	require.True(t, r.Stop())
	require.Nil(t, r.w.Waker)
}

// leaver does not return from Park.
type leaver struct {
	wake.Parker
	end func()
}

func (p leaver) Park(context.Context) error {
	p.end()
	return nil
}

// TestParkDoesNotReturn: no waiter stays in line.
func TestParkDoesNotReturn(t *testing.T) {
	for _, end := range []func(){func() { panic("park") }, runtime.Goexit} {
		var g Group
		g.Add(1)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { recover() }()
			g.Wait(wake.WithParker(context.Background(), leaver{wake.NewParker(), end}))
		}()
		<-ended
		require.Zero(t, g.line.Len())
	}
}

// TestGoRunsThoughAWakerPanics: f is counted, so it runs.
func TestGoRunsThoughAWakerPanics(t *testing.T) {
	var g Group
	g.Add(1)
	g.Register(wake.Func(func() { panic("waker") }))
	g.state.Add(-one)                                      // Done, its first half
	ran, leave := make(chan struct{}), make(chan struct{}) // otherwise its Done might call the waker first
	require.PanicsWithValue(t, "waker", func() { g.Go(func() { close(ran); <-leave }) })
	<-ran
	close(leave)
	require.NoError(t, g.Wait(context.Background()))
}

// TestAddReleasesTheLastGeneration, if the Done of its zero has not done so yet.
func TestAddReleasesTheLastGeneration(t *testing.T) {
	var g Group
	g.Add(1)
	woken := 0
	g.Register(wake.Func(func() { woken++ }))
	g.state.Add(-one) // Done, its first half
	g.Add(2)
	require.Equal(t, 1, woken)
	require.Zero(t, g.line.Len())
}

// TestTooMuchTwice: an Add that fails does not count up from zero, even if it adds as much
// as the count is.
func TestTooMuchTwice(t *testing.T) {
	const half = most/2 + 1
	var g Group
	g.Add(half)
	r := g.Register(wake.Func(func() { t.Error("released") }))
	require.PanicsWithValue(t, "waitgroup: count too large", func() { g.Add(half) })
	require.True(t, r.Stop())
	require.Equal(t, half, g.Count())
}
