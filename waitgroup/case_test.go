package waitgroup_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// TestZeroIsChosenUnderADeadContext: it consumes nothing.
func TestZeroIsChosenUnderADeadContext(t *testing.T) {
	var g waitgroup.Group
	var n notify.Notify
	n.NotifyOne()
	i, err := await.Select(dead, n.OnNotify(), g.OnZero())
	require.NoError(t, err)
	require.Equal(t, 1, i)
	require.True(t, n.TryWait())
	g.Add(1)
	i, err = await.Select(dead, g.OnZero())
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, -1, i)
	g.Done()
}

// TestZeroThatASelectDidNotChooseLeavesNothing: the wake of a Notify wins, and then the
// count reaches zero, again and again, with the same cases.
func TestZeroThatASelectDidNotChooseLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g waitgroup.Group
		var n notify.Notify
		cases := []wake.Case{g.OnZero(), n.OnNotify()}
		for i := range 20 {
			want := i / 3 % 2
			g.Add(1)
			chosen := make(chan int)
			go func() {
				i, _ := await.Select(bg, cases...)
				chosen <- i
			}()
			synctest.Wait()
			if want == 0 {
				g.Done()
				n.NotifyOne()
				require.Zero(t, <-chosen)
				require.True(t, n.TryWait(), "the wake is gone")
			} else {
				n.NotifyOne()
				g.Done()
				require.Equal(t, 1, <-chosen)
				require.False(t, n.TryWait())
			}
			require.Zero(t, n.Waiters())
			requireZero(t, &g)
		}
	})
}

// TestUndoneSelectOfAZeroLeavesNothing: its parker panics or exits when it is woken.
func TestUndoneSelectOfAZeroLeavesNothing(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		var g waitgroup.Group
		var n notify.Notify
		g.Add(1)
		p := &misbehave.First{Parker: wake.NewParker(), First: g.Done, Strike: strike}
		returned, _ := misbehave.Outcome(func() error {
			_, err := await.Select(wake.WithParker(bg, p), n.OnNotify(), g.OnZero())
			return err
		})
		require.False(t, returned)
		require.Zero(t, n.Waiters())
		requireZero(t, &g)
	}
}

// TestOnZeroAllocatesOnce, and a Select that sleeps not at all.
func TestOnZeroAllocatesOnce(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	var g waitgroup.Group
	require.EqualValues(t, 1, testing.AllocsPerRun(1000, func() { g.OnZero() }))
}

// TestStressSelectsSeeEachZero: the count of each of two Groups goes down to zero, and a
// Select over both returns, until both have been seen. A zero that a Select misses stops
// the test, and one that was none is noticed.
func TestStressSelectsSeeEachZero(t *testing.T) {
	for seed := range uint64(3) {
		stop := schedpoint.Shake(seed, false)
		var cases [2][2]wake.Case // of each selecting goroutine, of each Group
		var g [2]waitgroup.Group
		var down [2]atomic.Bool
		for who := range cases {
			for i := range g {
				cases[who][i] = g[i].OnZero()
			}
		}
		for range testkit.Scale(20000, 2000) {
			var wg sync.WaitGroup
			for i := range g {
				g[i].Add(1)
				down[i].Store(false)
			}
			for i := range g {
				wg.Go(func() { down[i].Store(true); g[i].Done() })
			}
			for who := range cases {
				wg.Go(func() {
					mine := cases[who]
					for range g {
						i, err := await.Select(bg, mine[:]...)
						if err != nil || !down[i].Load() {
							t.Errorf("case %d, %v, before its zero", i, err)
						}
						mine[i] = nil
					}
				})
			}
			wg.Wait()
		}
		stop()
		requireZero(t, &g[0])
		requireZero(t, &g[1])
	}
}
