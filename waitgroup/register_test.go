package waitgroup_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

func TestRegisterWakesOnce(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	woken := 0
	r := g.Register(wake.Func(func() { woken++ }))
	require.Zero(t, woken)
	g.Done()
	require.Equal(t, 1, woken, "on the return of Done")
	for range 3 { // later zeros are not its own
		g.Add(1)
		g.Done()
		require.False(t, r.Stop())
	}
	require.Equal(t, 1, woken)
}

func TestStopInTime(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	r := g.Register(wake.Func(func() { t.Error("woken") }))
	require.True(t, r.Stop())
	require.False(t, r.Stop(), "again")
	g.Done()
	require.False(t, r.Stop())
	requireZero(t, &g)
}

// TestStopOfOne: any waiter of the line may leave; the others are woken.
func TestStopOfOne(t *testing.T) {
	for leaves := range 4 {
		var g waitgroup.Group
		g.Add(1)
		var woken []int
		var line []wake.Registration
		for i := range 4 {
			line = append(line, g.Register(wake.Func(func() { woken = append(woken, i) })))
		}
		require.True(t, line[leaves].Stop())
		g.Done()
		require.Len(t, woken, 3)
		require.NotContains(t, woken, leaves)
		for _, r := range line {
			require.False(t, r.Stop())
		}
	}
}

// TestStopOfAll: the line is empty then, and works again.
func TestStopOfAll(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	for range 3 {
		a := g.Register(wake.Func(func() { t.Error("woken") }))
		b := g.Register(nil)
		require.True(t, b.Stop())
		require.True(t, a.Stop())
		requireCount(t, 1, &g)
	}
	woken := 0
	g.Register(wake.Func(func() { woken++ }))
	g.Done()
	require.Equal(t, 1, woken)
}

// TestStaleStop does not affect waiters that came later.
func TestStaleStop(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	stopped, woken := g.Register(nil), g.Register(nil)
	require.True(t, stopped.Stop())
	g.Done()
	atZero := g.Register(nil)
	g.Add(1)
	young := 0
	g.Register(wake.Func(func() { young++ }))
	for _, r := range []wake.Registration{stopped, woken, atZero} {
		require.False(t, r.Stop())
	}
	g.Done()
	require.Equal(t, 1, young)
}

func TestNilWaker(t *testing.T) {
	var g waitgroup.Group
	require.False(t, g.Register(nil).Stop(), "at zero there is nothing to prevent")
	g.Add(1)
	r := g.Register(nil)
	require.True(t, g.Register(nil).Stop())
	g.Done()
	require.False(t, r.Stop())
	requireZero(t, &g)
}

// TestWakerPanics: the others are woken, the panic reaches the caller, and the group can
// still be used.
func TestWakerPanics(t *testing.T) {
	for _, bad := range [][]int{{0}, {2}, {4}, {0, 1}, {1, 3}, {0, 1, 2, 3, 4}} {
		var g waitgroup.Group
		g.Add(1)
		woken := make([]int, 5)
		idle := g.Idle()
		for i := range woken {
			g.Register(wake.Func(func() {
				woken[i]++
				for _, b := range bad {
					if i == b {
						panic("the waker")
					}
				}
			}))
		}
		require.Equal(t, "the waker", recovered(g.Done))
		require.Equal(t, []int{1, 1, 1, 1, 1}, woken)
		require.True(t, isClosed(idle))
		requireZero(t, &g)
		g.Add(1)
		requireCount(t, 1, &g)
	}
}

func TestWakerPanicsAtZero(t *testing.T) {
	var g waitgroup.Group
	bad := wake.Func(func() { panic("the waker") })
	require.Equal(t, "the waker", recovered(func() { g.Register(bad) }))
	requireZero(t, &g)
	g.Add(1)
	requireCount(t, 1, &g)
}

// TestWakerGoexits: it ends the goroutine of Done, after all were woken.
func TestWakerGoexits(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	before, after := 0, 0
	g.Register(wake.Func(func() { before++ }))
	g.Register(wake.Func(runtime.Goexit))
	g.Register(wake.Func(func() { after++ }))
	var wg sync.WaitGroup
	wg.Go(g.Done)
	wg.Wait()
	require.Equal(t, 1, before)
	require.Equal(t, 1, after)
	requireZero(t, &g)
}

// TestWakerCallsBack: wakers may use the group whose zero woke them.
func TestWakerCallsBack(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, g *waitgroup.Group){
		"looks":    func(t *testing.T, g *waitgroup.Group) { requireZero(t, g) },
		"Add Done": func(t *testing.T, g *waitgroup.Group) { g.Add(2); requireCount(t, 2, g); g.Done(); g.Done() },
		"Go": func(t *testing.T, g *waitgroup.Group) {
			g.Go(func() {})
			require.NoError(t, g.Wait(bg))
		},
		"Wait fails": func(t *testing.T, g *waitgroup.Group) {
			g.Add(1)
			require.ErrorIs(t, g.Wait(doneCtx()), context.Canceled)
			g.Done()
		},
		"next zero": func(t *testing.T, g *waitgroup.Group) {
			g.Add(1)
			woken := 0
			g.Register(wake.Func(func() { woken++ }))
			g.Done() // within another Done
			require.Equal(t, 1, woken)
		},
		"negative": func(t *testing.T, g *waitgroup.Group) { require.Equal(t, negative, recovered(g.Done)) },
	} {
		t.Run(name, func(t *testing.T) {
			var g waitgroup.Group
			g.Add(1)
			used, last := 0, 0
			for range 3 {
				g.Register(wake.Func(func() { use(t, &g); used++ }))
			}
			g.Register(wake.Func(func() { last++ }))
			g.Done()
			require.Equal(t, 3, used)
			require.Equal(t, 1, last)
			requireZero(t, &g)
		})
	}
}

// TestWakerAdds: the first waker counts up. The others of the line are still released, and
// later waiters wait for the next zero.
func TestWakerAdds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g waitgroup.Group
		g.Add(1)
		var next <-chan struct{}
		g.Register(wake.Func(func() { g.Add(1); next = g.Idle() }))
		idle := g.Idle()
		c := startWait(&g, bg)
		synctest.Wait()
		g.Done()
		require.NoError(t, <-c)
		require.True(t, isClosed(idle))
		require.False(t, isClosed(next))
		requireCount(t, 1, &g)
		g.Done()
		require.True(t, isClosed(next))
	})
}

// TestWakerRegistersAgain: each zero wakes the one registered for it.
func TestWakerRegistersAgain(t *testing.T) {
	var g waitgroup.Group
	woken := 0
	var again wake.Func
	again = func() {
		woken++
		g.Add(1)
		g.Register(again)
	}
	g.Add(1)
	g.Register(again)
	for n := range 10 {
		require.Equal(t, n, woken)
		g.Done()
	}
	requireCount(t, 1, &g)
}

// TestWakerStops: those of the same line, and itself, are released already.
func TestWakerStops(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	woken := 0
	var line []wake.Registration
	for range 3 {
		line = append(line, g.Register(wake.Func(func() {
			woken++
			for _, r := range line {
				require.False(t, r.Stop())
			}
		})))
	}
	g.Done()
	require.Equal(t, 3, woken)
}

// TestSlowWaker: only the goroutine that called Done waits for it.
func TestSlowWaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g waitgroup.Group
		g.Add(1)
		release := make(chan struct{})
		g.Register(wake.Func(func() { <-release }))
		done := make(chan struct{})
		go func() { defer close(done); g.Done() }()
		synctest.Wait()
		requireZero(t, &g)
		g.Add(1)
		requireCount(t, 1, &g)
		g.Done()
		requireZero(t, &g)
		require.False(t, isClosed(done))
		close(release)
		<-done
	})
}
