package waitgroup_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// These are the hazards without a bubble: goroutines run freely, and a lost wake is a test
// that never ends.

// TestStressReuse: some goroutines wait over and over, and others count up and down
// without regard to whether the last wait has returned.
func TestStressReuse(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		var g waitgroup.Group
		rounds := testkit.Scale(40_000, 4000)
		testkit.Together(4, func(i int) {
			for range rounds {
				if i < 2 {
					g.Add(1)
					runtime.Gosched()
					g.Done()
				} else if err := wait(&g, bg); err != nil {
					t.Error(err)
				}
			}
		})
		requireZero(t, &g)
	})
}

// TestStressGenerations: round r is over only when its number is published. A waiter that
// begins to wait in it, and is released, must find it published: an earlier zero must not
// release it.
func TestStressGenerations(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		var g waitgroup.Group
		var begun, over atomic.Int64 // rounds
		rounds := int64(testkit.Scale(100_000, 6000))
		g.Add(1)
		begun.Store(1)
		testkit.Together(4, func(i int) {
			if i == 0 {
				for r := int64(1); r < rounds; r++ {
					over.Store(r)
					g.Done()
					g.Add(1)
					begun.Store(r + 1)
					runtime.Gosched()
				}
				over.Store(rounds)
				g.Done()
				return
			}
			for over.Load() < rounds {
				r := begun.Load()
				if err := wait(&g, bg); err != nil || over.Load() < r {
					t.Errorf("began in round %d, released in %d, error %v", r, over.Load(), err)
				}
			}
		})
		requireZero(t, &g)
	})
}

// TestStressEachZeroReleases: a round ends when all its waiters have returned, so none may
// be lost, whichever task counts down last.
func TestStressEachZeroReleases(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		var tasks, line waitgroup.Group
		const n = 3
		var back atomic.Int32
		for range testkit.Scale(6000, 600) {
			tasks.Add(n)
			line.Add(n)
			for range n {
				go func() { runtime.Gosched(); tasks.Done() }()
				go func() { wait(&tasks, bg); back.Add(1); line.Done() }()
			}
			require.NoError(t, wait(&line, bg))
			require.EqualValues(t, n, back.Swap(0))
		}
	})
}

// TestStressAddRacesWait: from some moment on the count stays up. A wait either was
// before, or is still in line; in either case zero releases it.
func TestStressAddRacesWait(t *testing.T) {
	overWaits(t, func(t *testing.T, wait wait) {
		for range testkit.Scale(10_000, 1000) {
			var g waitgroup.Group
			var zero atomic.Bool
			var up sync.WaitGroup
			up.Add(1)
			testkit.Together(3, func(i int) {
				switch i {
				case 0:
					g.Add(1)
					up.Done()
					runtime.Gosched()
					zero.Store(true)
					g.Done()
				case 1:
					wait(&g, bg) // before, within or after
				default:
					up.Wait()
					if wait(&g, bg); !zero.Load() {
						t.Error("released before zero")
					}
				}
			})
		}
	})
}

// TestStressDoneRacesTheEnd: a waiter is released, or its context ends. It fails only with
// the context's error, and then its parker is not woken.
func TestStressDoneRacesTheEnd(t *testing.T) {
	var released, failed, wakes int
	for i := range testkit.Scale(10_000, 1500) {
		var g waitgroup.Group
		g.Add(1)
		ctx, cancel := context.WithCancelCause(bg)
		p := newParker()
		c := startWait(&g, p.under(ctx))
		if i%4 != 0 { // in line already, or not
			testkit.SpinUntil(func() bool { return p.parks.Load() > 0 })
		}
		testkit.Together(2, func(i int) {
			if i == 0 {
				g.Done()
			} else {
				cancel(errCause)
			}
		})
		n := int(p.wakes.Load()) // Done has returned: all wakers ran, or run in the wait
		if err := <-c; err == nil {
			released++
		} else {
			failed++
			requireContextError(t, ctx, err)
			require.Zero(t, n)
		}
		wakes += int(p.wakes.Load())
		require.LessOrEqual(t, p.wakes.Load(), int64(1))
		requireZero(t, &g)
	}
	require.LessOrEqual(t, wakes, released)
	t.Logf("%d released, %d failed", released, failed)
}

// TestStressLeakPerTimeout: thousands of contexts end while the count reaches zero. goleak
// looks for goroutines; the parkers show which waiters are in line at the end.
func TestStressLeakPerTimeout(t *testing.T) {
	var g waitgroup.Group
	rounds := testkit.Scale(10_000, 1000)
	g.Add(1)
	testkit.Together(5, func(i int) {
		for r := range rounds {
			if i == 0 {
				g.Add(1)
				g.Add(-2) // now and then zero
				g.Add(1)
				continue
			}
			ctx, cancel := context.WithCancel(bg)
			p := newParker()
			c := startWait(&g, p.under(ctx))
			if r%2 == 0 {
				testkit.SpinUntil(func() bool { return p.parks.Load() > 0 || len(c) > 0 })
			}
			cancel()
			if err := <-c; err != nil && p.wakes.Load() != 0 {
				t.Error("failed, and woken")
			}
		}
	})
	last := newParker()
	require.Error(t, g.Wait(last.under(doneCtx())))
	g.Done()
	require.Zero(t, last.wakes.Load())
	requireZero(t, &g)
}

// TestStressDeadContext: a wait under a context that has ended fails while the count is up
// and other waiters come and go, and never at zero.
func TestStressDeadContext(t *testing.T) {
	var g waitgroup.Group
	dead := doneCtx()
	rounds := testkit.Scale(8000, 1500)
	g.Add(1)
	testkit.Together(4, func(i int) {
		for range rounds {
			if i == 0 {
				g.Add(1)
				g.Done()
			} else if err := g.Wait(dead); err == nil {
				t.Error("released at a count of 1 or 2")
			}
		}
	})
	g.Done()
	testkit.Together(3, func(int) {
		for range rounds {
			if err := g.Wait(dead); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestStressIdleRacesZero: the channel that Idle returns is closed at the next zero, and
// not before. None is closed twice, which would panic.
func TestStressIdleRacesZero(t *testing.T) {
	var g waitgroup.Group
	var begun, over atomic.Int64 // rounds
	rounds := int64(testkit.Scale(10_000, 2000))
	g.Add(1)
	begun.Store(1)
	testkit.Together(4, func(i int) {
		if i == 0 {
			for r := int64(1); r <= rounds; r++ {
				runtime.Gosched()
				over.Store(r)
				g.Done()
				g.Add(1)
				begun.Store(r + 1)
			}
			over.Store(rounds + 1)
			g.Done()
			return
		}
		for over.Load() <= rounds {
			r := begun.Load()
			c := g.Idle()
			if isClosed(c) && over.Load() < r {
				t.Errorf("closed early in round %d", r)
			}
			<-c
			if over.Load() < r {
				t.Errorf("closed early in round %d", r)
			}
		}
	})
	requireZero(t, &g)
}

// TestStressStopRacesZero counts both sides: of all registrations each was
// either woken once or stopped in time, never both and never neither.
func TestStressStopRacesZero(t *testing.T) {
	for range testkit.Scale(10_000, 1000) {
		const n = 8
		var g waitgroup.Group
		g.Add(1)
		var woken, stopped [n]atomic.Int32
		var line [n]wake.Registration
		for i := range line {
			line[i] = g.Register(wake.Func(func() { woken[i].Add(1) }))
		}
		testkit.Together(3, func(w int) {
			if w == 0 {
				g.Done()
				return
			}
			for i := w - 1; i < n; i += 2 {
				if line[i].Stop() {
					stopped[i].Add(1)
				}
			}
		})
		for i := range line {
			require.EqualValues(t, 1, woken[i].Load()+stopped[i].Load(), "registration %d", i)
		}
		requireZero(t, &g)
	}
}

// TestStressStopTwice: of two Stops of one registration, racing, and a zero,
// exactly one wins.
func TestStressStopTwice(t *testing.T) {
	for range testkit.Scale(5000, 1000) {
		var g waitgroup.Group
		g.Add(1)
		var won atomic.Int32
		r := g.Register(wake.Func(func() { won.Add(1) }))
		testkit.Together(3, func(i int) {
			if i == 0 {
				g.Done()
			} else if r.Stop() {
				won.Add(1)
			}
		})
		require.EqualValues(t, 1, won.Load())
	}
}

// TestStressRegisterRacesZero counts wakes on both sides: every registration
// of a group that goes up and down is woken once, by its zero or on return.
func TestStressRegisterRacesZero(t *testing.T) {
	var g waitgroup.Group
	rounds := testkit.Scale(10_000, 2000)
	var registered, woken, stopped atomic.Int64
	testkit.Together(4, func(i int) {
		for r := range rounds {
			if i < 2 {
				g.Add(1 + r%3)
				g.Add(-1 - r%3)
				continue
			}
			registered.Add(1)
			once := new(atomic.Bool)
			reg := g.Register(wake.Func(func() {
				if woken.Add(1); once.Swap(true) {
					t.Error("woken twice")
				}
			}))
			if r%3 == 0 && reg.Stop() {
				stopped.Add(1)
			}
		}
	})
	requireZero(t, &g)
	require.Equal(t, registered.Load(), woken.Load()+stopped.Load())
}

// TestStressWakersCallBack: wakers that count up and down, register and stop,
// while others do the same.
func TestStressWakersCallBack(t *testing.T) {
	var g waitgroup.Group
	rounds := testkit.Scale(10_000, 1000)
	var registered, woken atomic.Int64
	inner := wake.Func(func() { woken.Add(1) })
	testkit.Together(4, func(i int) {
		for r := range rounds {
			g.Add(1)
			registered.Add(1)
			g.Register(wake.Func(func() {
				woken.Add(1)
				g.Add(1)
				if r%2 == i%2 {
					registered.Add(1)
					g.Register(inner)
				}
				if !g.Register(inner).Stop() {
					t.Error("woken at 1 or more")
				}
				g.Idle()
				g.Done()
			}))
			g.Done()
		}
	})
	requireZero(t, &g)
	require.Equal(t, registered.Load(), woken.Load())
}

// TestStressEverything: all methods from all sides at once. All that was counted up is
// counted down, so at the end the count is zero and the line is empty.
func TestStressEverything(t *testing.T) {
	var g waitgroup.Group
	rounds := testkit.Scale(10_000, 1000)
	var waited sync.WaitGroup
	testkit.Together(4, func(i int) {
		for r := range rounds {
			g.Add(2)
			ctx, cancel := context.WithCancel(bg)
			switch (r + i) % 6 {
			case 0:
				waited.Go(func() { g.Wait(bg) })
			case 1:
				waited.Go(func() { g.Wait(ctx) })
			case 2:
				idle := g.Idle()
				waited.Go(func() { <-idle })
			case 3:
				g.Register(nil).Stop()
			case 4:
				g.Go(func() { g.Add(1); g.Done() })
			default:
				if g.TryWait() || g.Count() < 2 {
					t.Error("zero while the count is 2 or more")
				}
			}
			g.Done()
			cancel()
			g.Done()
		}
	})
	waited.Wait()
	require.NoError(t, g.Wait(bg))
	requireZero(t, &g)
}
