package waitgroup_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// herd is the number of goroutines; the race detector allows some 8000.
func herd() int {
	if testkit.Race {
		return 4000
	}
	return testkit.Scale(100_000, 10_000)
}

// TestHerdOfWaits: one Done releases all, each parker is woken exactly once.
func TestHerdOfWaits(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	parkers := make([]*parker, herd())
	var parked atomic.Int64 // so it is in line
	var returned sync.WaitGroup
	for i := range parkers {
		p := wake.NewParker()
		parkers[i] = &parker{Parker: parkedParker{p, &parked}}
		returned.Go(func() {
			if err := g.Wait(parkers[i].under(bg)); err != nil {
				t.Error(err)
			}
		})
	}
	testkit.SpinUntil(func() bool { return parked.Load() == int64(len(parkers)) })
	g.Done()
	g.Add(1) // waiters that run late see it; they were released all the same
	returned.Wait()
	g.Done()
	for _, p := range parkers {
		if p.wakes.Load() != 1 || p.parks.Load() != 1 {
			t.Fatalf("%d wakes, %d parks", p.wakes.Load(), p.parks.Load())
		}
	}
	requireZero(t, &g)
}

// A parkedParker counts calls of Park.
type parkedParker struct {
	wake.Parker
	parked *atomic.Int64
}

func (p parkedParker) Park(ctx context.Context) error {
	p.parked.Add(1)
	return p.Parker.Park(ctx)
}

// TestHerdOnIdle: one channel serves all.
func TestHerdOnIdle(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	var asked atomic.Int64
	var returned sync.WaitGroup
	n := herd()
	for range n {
		returned.Go(func() {
			c := g.Idle()
			asked.Add(1)
			<-c
		})
	}
	testkit.SpinUntil(func() bool { return asked.Load() == int64(n) })
	g.Done()
	returned.Wait()
	requireZero(t, &g)
}

// TestHerdOfRegistrations: every third has left before; the others are woken
// once each.
func TestHerdOfRegistrations(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	woken := make([]int, testkit.Scale(100_000, 10_000))
	line := make([]wake.Registration, len(woken))
	for i := range woken {
		line[i] = g.Register(wake.Func(func() { woken[i]++ }))
	}
	for i := 0; i < len(line); i += 3 {
		require.True(t, line[i].Stop())
	}
	g.Done()
	for i, n := range woken {
		if want := min(i%3, 1); n != want {
			t.Fatalf("registration %d: woken %d times, not %d", i, n, want)
		}
	}
	requireZero(t, &g)
}
