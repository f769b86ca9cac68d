package soak_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	workers = 4
	samples = 60
)

// soak does that many operations, and takes samples at equal intervals.
func soak(rounds []round, ops int) (all []sample) {
	var done atomic.Int64
	defer progress(&done, ops)()
	team := make([]*worker, workers)
	for i := range team {
		team[i] = &worker{Rand: rand.New(rand.NewPCG(*seedFlag, uint64(i))), number: i}
	}
	for i := range samples {
		work(team, rounds, &done, int64(ops/samples*(i+1)+ops%samples))
		all = append(all, take(int(done.Load())))
	}
	return all
}

// work makes the team do rounds until that many operations are done and all rounds
// have ended.
func work(team []*worker, rounds []round, done *atomic.Int64, until int64) {
	var all sync.WaitGroup
	for _, w := range team {
		all.Go(func() {
			for done.Load() < until {
				done.Add(int64(rounds[w.IntN(len(rounds))](w)))
			}
		})
	}
	all.Wait()
}

// progress prints a line every ten seconds.
func progress(done *atomic.Int64, ops int) (stop func()) {
	tick, over := time.NewTicker(10*time.Second), make(chan struct{})
	var printer sync.WaitGroup
	printer.Go(func() {
		for start := time.Now(); ; {
			select {
			case <-tick.C:
				n := done.Load()
				fmt.Fprintf(os.Stderr, "%d of %d operations, %.0f a second\n", n, ops, float64(n)/time.Since(start).Seconds())
			case <-over:
				return
			}
		}
	})
	return func() { tick.Stop(); close(over); printer.Wait() }
}

// TestSoak checks that nothing accumulates, however long all types are used.
func TestSoak(t *testing.T) {
	all := soak(everything(t), amount())
	t.Logf("seed %d\n%s", *seedFlag, table(all))
	require.Empty(t, growing(all), "seed %d\n%s", *seedFlag, table(all))
}
