package waitgroup_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// These tests race a few instructions over and over: goroutines go through many groups in
// step, so that they meet in each.

// lockstep runs f in n goroutines, which begin each round at the same time.
func lockstep(n, rounds int, f func(i, round int)) {
	var arrived atomic.Int64
	testkit.Together(n, func(i int) {
		for r := range rounds {
			arrived.Add(1)
			hotSpin(func() bool { return arrived.Load() >= int64(n*(r+1)) })
			for s := (r * (i + 1) * 7) % 64; s > 0; s-- { // meet a little earlier or later
				arrived.Load()
			}
			f(i, r)
		}
	})
}

// steps is the number of rounds. Under the race detector it is small, because they are slow.
func steps() int {
	if testkit.Race {
		return 500
	}
	return testkit.Scale(40_000, 6000)
}

// hotSpin is SpinUntil for a condition that is soon true.
func hotSpin(cond func() bool) {
	for i := 1; !cond(); i++ {
		if i%32 == 0 {
			runtime.Gosched()
		}
	}
}

// ones returns groups with a count of n each.
func ones(rounds, n int) []waitgroup.Group {
	gs := make([]waitgroup.Group, rounds)
	for i := range gs {
		gs[i].Add(n)
	}
	return gs
}

// TestLockstepWaitMeetsDone: a waiter gets in line while the count reaches zero. If it
// looked too early it must look again.
func TestLockstepWaitMeetsDone(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		for _, n := range []int{2, 3} {
			gs := ones(steps(), 1)
			lockstep(n, len(gs), func(i, r int) {
				if i == 0 {
					gs[r].Done()
				} else if err := wait(&gs[r], bg); err != nil {
					t.Error(err)
				}
			})
			for i := range gs {
				requireZero(t, &gs[i])
			}
		}
	})
}

// TestLockstepNoCountIsLost: the first in line, and the last to leave it,
// change the word that others count in.
func TestLockstepNoCountIsLost(t *testing.T) {
	for name, use := range map[string]func(g *waitgroup.Group){
		"enter": func(g *waitgroup.Group) { g.Register(nil) },
		"Idle":  func(g *waitgroup.Group) { g.Idle() },
		"leave": func(g *waitgroup.Group) { g.Register(nil).Stop() },
		"Wait":  func(g *waitgroup.Group) { g.Wait(dead) },
	} {
		t.Run(name, func(t *testing.T) {
			gs := ones(steps(), 1)
			lockstep(2, len(gs), func(i, r int) {
				g := &gs[r]
				if i == 1 {
					use(g)
					return
				}
				g.Add(2)
				g.Done()
				g.Add(3)
				g.Add(-2)
			})
			for i := range gs {
				require.Equal(t, 3, gs[i].Count())
			}
		})
	}
}

// afterZero is called by a goroutine that saw a zero. It reports whether the group keeps
// its promises for this zero. r was registered before the zero, and Idle was called before
// it.
var afterZero = map[string]func(g *waitgroup.Group, r wake.Registration) bool{
	"TryWait":  func(g *waitgroup.Group, _ wake.Registration) bool { return g.TryWait() },
	"Stop":     func(_ *waitgroup.Group, r wake.Registration) bool { return !r.Stop() },
	"Idle":     func(g *waitgroup.Group, _ wake.Registration) bool { return isClosed(g.Idle()) },
	"Wait":     func(g *waitgroup.Group, _ wake.Registration) bool { return g.Wait(dead) == nil },
	"Register": func(g *waitgroup.Group, _ wake.Registration) bool { return !g.Register(nil).Stop() },
	"Add":      func(g *waitgroup.Group, _ wake.Registration) bool { g.Add(1); return !g.TryWait() },
	"Go":       func(g *waitgroup.Group, _ wake.Registration) bool { g.Go(func() {}); return g.Wait(bg) == nil },
	"Done":     func(g *waitgroup.Group, _ wake.Registration) bool { return recovered(g.Done) == negative },
}

// TestLockstepAfterZero: the zero is visible before Done has released the line. Whatever
// other goroutines do then, the line was released at the zero: no waiter in it can leave
// it, and no Add keeps it for the next zero.
func TestLockstepAfterZero(t *testing.T) {
	for name, act := range afterZero {
		t.Run(name, func(t *testing.T) {
			gs := ones(steps(), 1)
			line := make([]wake.Registration, len(gs))
			idle := make([]<-chan struct{}, len(gs))
			woken := make([]atomic.Int32, len(gs))
			for i := range gs {
				line[i] = gs[i].Register(wake.Func(func() { woken[i].Add(1) }))
				idle[i] = gs[i].Idle()
			}
			lockstep(3, len(gs), func(i, r int) {
				g := &gs[r]
				switch i {
				case 0:
					g.Done()
				case 1:
					hotSpin(func() bool { return g.Count() == 0 })
					if !act(g, line[r]) {
						t.Errorf("round %d: the zero did not hold", r)
					}
				default: // hold Done up, at the lock
					for range 3 {
						g.Register(nil)
					}
				}
			})
			for i := range gs { // no call is under way, and some count is up again
				require.EqualValues(t, 1, woken[i].Load(), "round %d", i)
				require.True(t, isClosed(idle[i]), "round %d", i)
			}
		})
	}
}

// TestLockstepIdleAfterAdd: a goroutine that counts up from zero, and then calls Idle, gets
// a channel for the next zero, even if the Done of the last zero is still running.
func TestLockstepIdleAfterAdd(t *testing.T) {
	gs := ones(steps(), 1)
	next := make([]<-chan struct{}, len(gs))
	for i := range gs {
		gs[i].Idle()
	}
	lockstep(3, len(gs), func(i, r int) {
		g := &gs[r]
		switch i {
		case 0:
			g.Done()
		case 1:
			hotSpin(g.TryWait)
			g.Add(1)
			next[r] = g.Idle()
		default: // hold Done up, at the lock
			for range 3 {
				g.Register(nil)
			}
		}
	})
	for i := range gs {
		require.False(t, isClosed(next[i]), "round %d", i)
		gs[i].Done()
		require.True(t, isClosed(next[i]), "round %d", i)
	}
}

// TestLockstepEndAfterZero: a context that ends after the zero is too late. The parker
// fails only after it has seen the zero.
func TestLockstepEndAfterZero(t *testing.T) {
	gs := ones(steps(), 1)
	lockstep(3, len(gs), func(i, r int) {
		g := &gs[r]
		switch i {
		case 0:
			g.Done()
		case 1:
			p := newParker()
			p.hook = func(context.Context) error {
				hotSpin(g.TryWait)
				return errParker
			}
			if err := g.Wait(p.under(bg)); err != nil {
				t.Errorf("round %d: %v", r, err)
			}
		default:
			for range 3 {
				g.Register(nil)
			}
		}
	})
}

// TestLockstepDoneTwice: of two goroutines that count from two to zero, one releases.
func TestLockstepDoneTwice(t *testing.T) {
	gs := ones(steps(), 2)
	woken := make([]atomic.Int32, len(gs))
	for i := range gs {
		gs[i].Register(wake.Func(func() { woken[i].Add(1) }))
	}
	lockstep(2, len(gs), func(_, r int) { gs[r].Done() })
	for i := range gs {
		require.EqualValues(t, 1, woken[i].Load(), "round %d", i)
		requireZero(t, &gs[i])
	}
}
