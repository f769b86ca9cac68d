package waitgroup_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// Races of few instructions, over and over: goroutines that go through many
// groups in step, so that they meet in each.

// lockstep runs f in n goroutines; they begin each round at one time.
func lockstep(n, rounds int, f func(i, round int)) {
	var arrived atomic.Int64
	together(n, func(i int) {
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

// steps is the number of rounds; under the race detector few take long.
func steps() int {
	if raceEnabled {
		return 500
	}
	return scale(40_000, 6000)
}

// hotSpin is spinUntil for what comes soon.
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

// TestLockstepWaitMeetsDone: getting in line as the count reaches zero. Who
// looked too early must look again.
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

// afterZero is what one does who saw a zero; it reports whether the group held
// to it. r was registered before the zero, and so was the channel of Idle.
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

// TestLockstepAfterZero: the zero is visible before Done has let the line go.
// Whatever others do then, the line was released at the zero: nobody in it can
// leave it, and no Add keeps it for the next zero.
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

// TestLockstepIdleAfterAdd: whoever counts up from zero, and then asks, gets a
// channel for the next zero, though the Done of the last one is still at it.
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

// TestLockstepEndAfterZero: a context that ends after the zero is too late: the
// parker gives up only when it has seen the zero.
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

// TestLockstepDoneTwice: of two who count off the last two, one releases.
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
