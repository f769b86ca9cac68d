package waitgroup_test

import (
	"context"
	"math"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

func TestZeroValue(t *testing.T) {
	var g waitgroup.Group
	requireZero(t, &g)
	requireZero(t, new(waitgroup.Group))
}

func TestAddCounts(t *testing.T) {
	var g waitgroup.Group
	want := 0
	for _, n := range []int{1, 2, 0, -1, -2, 0, 5, -5, 7, -1, -6, 1 << 20, -1 << 20} {
		g.Add(n)
		if want += n; want == 0 {
			requireZero(t, &g)
		} else {
			requireCount(t, want, &g)
		}
	}
}

func TestDoneCountsOneOff(t *testing.T) {
	var g waitgroup.Group
	g.Add(3)
	for left := 2; left > 0; left-- {
		g.Done()
		requireCount(t, left, &g)
	}
	g.Done()
	requireZero(t, &g)
}

// toZero are the ways to count from one to zero.
var toZero = map[string]func(g *waitgroup.Group){
	"Done":    (*waitgroup.Group).Done,
	"Add(-1)": func(g *waitgroup.Group) { g.Add(-1) },
	"Add(-3)": func(g *waitgroup.Group) { g.Add(2); g.Add(-3) },
	"Go":      func(g *waitgroup.Group) { g.Go(g.Done) },
	"waker": func(g *waitgroup.Group) { // of another group
		var other waitgroup.Group
		other.Add(1)
		other.Register(wake.Func(g.Done))
		other.Done()
	},
}

// TestZeroReleasesAll, however the zero is reached and whichever way to wait is used.
func TestZeroReleasesAll(t *testing.T) {
	for name, zero := range toZero {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g waitgroup.Group
				g.Add(1)
				var pending []<-chan error
				for range 3 {
					for _, w := range waits {
						pending = append(pending, w.start(&g, bg))
					}
				}
				synctest.Wait()
				for _, c := range pending {
					requirePending(t, c)
				}
				zero(&g)
				for _, c := range pending {
					require.NoError(t, <-c)
				}
				requireZero(t, &g)
			})
		})
	}
}

// TestNotYetZero: counting down to another count releases no waiter.
func TestNotYetZero(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		synctest.Test(t, func(t *testing.T) {
			var g waitgroup.Group
			g.Add(2)
			c := wait.start(&g, bg)
			for _, n := range []int{-1, 0, 3, -3, 1, 0, -1} {
				g.Add(n)
				synctest.Wait()
				requirePending(t, c)
			}
			g.Done()
			require.NoError(t, <-c)
		})
	})
}

func TestNegativeCountPanics(t *testing.T) {
	for _, c := range []struct{ count, add int }{
		{0, -1}, {0, -2}, {1, -2}, {3, -4}, {3, -100},
		{0, math.MinInt}, {1, math.MinInt}, {1, math.MinInt / 2}, {0, math.MinInt/2 - 1}, {5, math.MinInt + 1},
		{math.MaxInt32, math.MinInt}, {math.MaxInt32, math.MinInt32},
	} {
		var g waitgroup.Group
		g.Add(c.count)
		for range 2 {
			require.PanicsWithValue(t, negative, func() { g.Add(c.add) }, "%d%+d", c.count, c.add)
			require.Equal(t, c.count, g.Count())
			require.Equal(t, c.count == 0, g.TryWait())
		}
		g.Add(-c.count)
		require.PanicsWithValue(t, negative, g.Done)
		requireZero(t, &g)
	}
}

// TestNegativeCountReleasesNobody: all waiters stay in line.
func TestNegativeCountReleasesNobody(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		synctest.Test(t, func(t *testing.T) {
			var g waitgroup.Group
			g.Add(1)
			c := wait.start(&g, bg)
			idle := g.Idle()
			synctest.Wait()
			for _, n := range []int{-2, -3, math.MinInt} {
				require.PanicsWithValue(t, negative, func() { g.Add(n) })
			}
			synctest.Wait()
			requirePending(t, c)
			require.False(t, isClosed(idle))
			requireCount(t, 1, &g)
			g.Done()
			require.NoError(t, <-c)
			<-idle
		})
	})
}

func TestCountTooLarge(t *testing.T) {
	const most = math.MaxInt32
	for _, count := range []int{0, 1, 1000, most - 1, most} {
		for _, line := range []bool{false, true} { // whether there is a waiter
			var g waitgroup.Group
			g.Add(count)
			if line {
				g.Register(nil)
			}
			for _, n := range []int{most - max(count, 1) + 1, math.MaxInt} {
				if n <= most-count {
					continue // no int is too large on a machine of 32 bits
				}
				require.PanicsWithValue(t, tooLarge, func() { g.Add(n) }, "%d%+d", count, n)
				require.Equal(t, count, g.Count())
			}
			g.Add(most - count)
			require.Equal(t, most, g.Count())
			require.PanicsWithValue(t, tooLarge, func() { g.Go(func() { t.Error("Go ran it") }) })
			g.Add(-most)
			requireZero(t, &g)
		}
	}
}

func TestAddZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g waitgroup.Group
		g.Add(0)
		requireZero(t, &g)
		g.Add(1)
		c := startWait(&g, bg)
		synctest.Wait()
		g.Add(0)
		synctest.Wait()
		requirePending(t, c)
		g.Done()
		require.NoError(t, <-c)
		g.Add(0)
		requireZero(t, &g)
	})
}

// TestNilContext panics at zero too, so that a mistake is always noticed.
func TestNilContext(t *testing.T) {
	for _, n := range []int{0, 1} {
		var g waitgroup.Group
		g.Add(n)
		require.PanicsWithValue(t, "waitgroup: nil context", func() { g.Wait(nilCtx) })
		require.Equal(t, n, g.Count())
	}
}

// ends are contexts, with functions that end them.
var ends = map[string]func(t *testing.T) (ctx context.Context, end func()){
	"cancel": func(*testing.T) (context.Context, func()) {
		ctx, cancel := context.WithCancel(bg)
		return ctx, cancel
	},
	"cause": func(*testing.T) (context.Context, func()) {
		ctx, cancel := context.WithCancelCause(bg)
		return ctx, func() { cancel(errCause) }
	},
	"timeout": func(t *testing.T) (context.Context, func()) {
		ctx, cancel := context.WithTimeout(bg, time.Hour)
		t.Cleanup(cancel)
		return ctx, func() { <-ctx.Done() } // time ends it
	},
	"timeout with cause": func(t *testing.T) (context.Context, func()) {
		ctx, cancel := context.WithTimeoutCause(bg, time.Hour, errCause)
		t.Cleanup(cancel)
		return ctx, func() { <-ctx.Done() }
	},
	"parent": func(t *testing.T) (context.Context, func()) {
		parent, cancel := context.WithCancelCause(bg)
		ctx, stop := context.WithCancel(parent)
		t.Cleanup(stop)
		return ctx, func() { cancel(errCause) }
	},
}

func overEnds(t *testing.T, f func(t *testing.T, ctx context.Context, end func())) {
	for name, make := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := make(t)
				f(t, ctx, end)
			})
		})
	}
}

func requireContextError(t *testing.T, ctx context.Context, err error) {
	t.Helper()
	require.Error(t, ctx.Err())
	require.ErrorIs(t, err, ctx.Err())
	require.ErrorIs(t, err, context.Cause(ctx))
}

func TestWaitFails(t *testing.T) {
	overEnds(t, func(t *testing.T, ctx context.Context, end func()) {
		var g waitgroup.Group
		g.Add(1)
		c := startWait(&g, ctx)
		synctest.Wait()
		requirePending(t, c)
		end()
		requireContextError(t, ctx, <-c)
		requireContextError(t, ctx, g.Wait(ctx)) // which has ended
		requireCount(t, 1, &g)
		g.Done()
		require.NoError(t, g.Wait(ctx), "satisfied, whatever the context")
		requireZero(t, &g)
	})
}

// TestOneEnds: the end of one waiter's context does not affect the others.
func TestOneEnds(t *testing.T) {
	overEnds(t, func(t *testing.T, ctx context.Context, end func()) {
		var g waitgroup.Group
		g.Add(1)
		before, one, after := startWait(&g, bg), startWait(&g, ctx), startWait(&g, bg)
		idle := g.Idle()
		synctest.Wait()
		end()
		requireContextError(t, ctx, <-one)
		synctest.Wait()
		requirePending(t, before)
		requirePending(t, after)
		require.False(t, isClosed(idle))
		g.Done()
		require.NoError(t, <-before)
		require.NoError(t, <-after)
		<-idle
	})
}

// TestReleasedBeforeTheEnd: a zero before the end of the context wins.
func TestReleasedBeforeTheEnd(t *testing.T) {
	overEnds(t, func(t *testing.T, ctx context.Context, end func()) {
		var g waitgroup.Group
		g.Add(1)
		c := startWait(&g, ctx)
		synctest.Wait()
		g.Done()
		g.Add(1) // no longer zero when the waiter looks
		end()
		require.NoError(t, <-c)
		requireCount(t, 1, &g)
	})
}

func TestIdleChannel(t *testing.T) {
	var g waitgroup.Group
	seen := make(map[<-chan struct{}]bool)
	for range 5 {
		require.True(t, isClosed(g.Idle()), "at zero")
		g.Add(2)
		c := g.Idle()
		require.False(t, seen[c], "one per zero")
		seen[c] = true
		for _, n := range []int{0, 1, -2} {
			require.Equal(t, c, g.Idle(), "the same until zero")
			g.Add(n)
			require.False(t, isClosed(c))
		}
		require.ErrorIs(t, g.Wait(doneCtx()), context.Canceled)
		require.True(t, g.Register(nil).Stop())
		require.Equal(t, c, g.Idle(), "whichever waiters left meanwhile")
		g.Done()
		require.True(t, isClosed(c), "on the return of Done")
		require.True(t, isClosed(g.Idle()))
	}
}

// TestIdleMissesNoZero: a zero that is over does not close the channel of a later Idle.
func TestIdleMissesNoZero(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	old := g.Idle()
	g.Done()
	g.Add(1)
	g.Done() // Idle was not called
	g.Add(1)
	require.True(t, isClosed(old), "stays closed")
	c := g.Idle()
	require.NotEqual(t, old, c)
	require.False(t, isClosed(c))
	g.Done()
	require.True(t, isClosed(c))
}

func TestGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g waitgroup.Group
		release := make(chan struct{})
		ran := make(chan int, 3)
		for i := range cap(ran) {
			g.Go(func() { <-release; ran <- i })
			require.Equal(t, i+1, g.Count(), "counted before Go returns")
		}
		c := startWait(&g, bg)
		synctest.Wait()
		requirePending(t, c)
		close(release)
		require.NoError(t, <-c)
		require.Len(t, ran, cap(ran))
		requireZero(t, &g)
	})
}

// TestGoexit: a function that ends its goroutine is done too.
func TestGoexit(t *testing.T) {
	var g waitgroup.Group
	deferred := false
	g.Go(func() {
		defer func() { deferred = true }()
		runtime.Goexit()
	})
	require.NoError(t, g.Wait(bg))
	require.True(t, deferred)
	requireZero(t, &g)
}

// TestGoNested: a function of Go may start others.
func TestGoNested(t *testing.T) {
	var g waitgroup.Group
	done := make(chan int, 8)
	g.Go(func() {
		for i := range cap(done) {
			g.Go(func() { done <- i })
		}
	})
	require.NoError(t, g.Wait(bg))
	require.Len(t, done, cap(done))
}

// TestGoPanics: the program, which is this test binary, ends with the panic, and no waiter
// is released before.
func TestGoPanics(t *testing.T) {
	const key = "WAITGROUP_TEST_PANIC"
	if os.Getenv(key) != "" {
		goPanics()
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	for range testkit.Scale(5, 2) {
		cmd := exec.Command(exe, "-test.run=^TestGoPanics$")
		cmd.Env = append(os.Environ(), key+"=1")
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "the panic of f")
		require.NotContains(t, string(out), "released")
	}
}

// goPanics ends the program, with success if it is released.
func goPanics() {
	var g waitgroup.Group
	g.Add(1)
	g.Register(wake.Func(func() {
		os.Stdout.WriteString("released\n")
		os.Exit(0)
	}))
	g.Go(func() { panic("the panic of f") })
	g.Done()
	g.Wait(bg)
}

// TestHappensBefore is for the race detector: what was written before Done is
// read after every kind of wait.
func TestHappensBefore(t *testing.T) {
	looks := map[string]func(g *waitgroup.Group){
		"TryWait": func(g *waitgroup.Group) { testkit.SpinUntil(g.TryWait) },
		"Count":   func(g *waitgroup.Group) { testkit.SpinUntil(func() bool { return g.Count() == 0 }) },
	}
	for name, w := range waits {
		looks[name] = func(g *waitgroup.Group) { w(g, bg) }
	}
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			for range testkit.Scale(200, 50) {
				var g waitgroup.Group
				written := make([]int, 3)
				for i := range written {
					g.Go(func() { written[i] = i + 1 })
				}
				look(&g)
				require.Equal(t, []int{1, 2, 3}, written)
			}
		})
	}
}
