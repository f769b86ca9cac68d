package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/wake"
)

// TestTakeWhileReconnecting: each value goes to one taker, and none is lost.
func TestTakeWhileReconnecting(t *testing.T) {
	t.Parallel()
	const values, takers = 60, 3
	s := newSite(t)
	machines := []machine{s.machine(t), s.machine(t)}
	maps := []*cluster.Map[int]{newMap[int](t, machines[0].Bucket), newMap[int](t, machines[1].Bucket)}
	stop := make(chan struct{})
	var faults, all sync.WaitGroup
	faults.Go(func() { cutAll(machines, stop, func(int) {}) })

	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	var mu sync.Mutex
	taken := map[int]int{}
	for i := range takers * len(maps) {
		all.Go(func() {
			for {
				v, err := maps[i%2].Take(ctx, "job")
				if ctx.Err() != nil {
					return
				}
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				if taken[v]++; len(taken) == values {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for i := range maps {
		all.Go(func() {
			for v := i; v < values; v += 2 {
				for loaded := true; loaded; {
					var err error
					_, loaded, err = maps[i].LoadOrStore(bg, "job", v)
					if !assert.NoError(t, err) {
						return
					}
				}
			}
		})
	}
	all.Wait()
	close(stop)
	faults.Wait()
	require.Len(t, taken, values)
	for v, n := range taken {
		require.Equal(t, 1, n, "value %d", v)
	}
}

// TestFlagIsNotSeenBeforeData: what was stored first is seen first, also by a machine that
// lags so much that it does not see each value. The data is stored once more after the flag,
// so a machine that lags misses the first store of it, and not the flag's.
func TestFlagIsNotSeenBeforeData(t *testing.T) {
	t.Parallel()
	const rounds = 100
	s := newSite(t)
	x, y := s.machine(t), s.machine(t)
	a, b := newMap[int](t, x.Bucket), newMap[int](t, y.Bucket)
	stop := make(chan struct{})
	var faults, all sync.WaitGroup
	faults.Go(func() { cutAll([]machine{y}, stop, func(int) {}) })
	for i := 1; i <= rounds; i++ {
		b.Register(fmt.Sprint("flag ", i), wake.Func(func() { // runs before the next change is applied
			data, _ := b.Load("data")
			assert.GreaterOrEqual(t, data, i)
		}))
	}
	all.Go(func() {
		for i := 1; i <= rounds; i++ {
			store(t, a, "data", i)
			store(t, a, "flag", i)
			store(t, a, fmt.Sprint("flag ", i), i)
			store(t, a, "data", i)
		}
	})
	all.Go(func() {
		pace := time.NewTicker(100 * time.Microsecond) // or else it takes a processor
		defer pace.Stop()
		for flag := 0; flag < rounds; <-pace.C {
			flag, _ = b.Load("flag")
			data, _ := b.Load("data")
			assert.GreaterOrEqual(t, data, flag)
		}
	})
	all.Wait()
	close(stop)
	faults.Wait()
}

// TestRemadeBucket: the bucket is emptied while a machine is cut off. No key of before is
// left, and no wait is lost.
func TestRemadeBucket(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	x, y := s.machine(t), s.machine(t)
	a, b := newMap[int](t, x.Bucket), newMap[int](t, y.Bucket)
	for i := range 10 {
		store(t, a, fmt.Sprint("old ", i), i)
	}
	require.NoError(t, y.Sync(bg))
	require.Equal(t, 10, b.Len())
	waits := start(func() (int, error) { return b.Wait(bg, "new") })
	for b.Waiters("new") == 0 {
	}
	y.link.Cut()
	s.purge(t)
	for { // until the own machine has noticed
		if _, err := a.Store(bg, "new", 1); err == nil {
			break
		}
	}
	y.link.Heal()
	require.Equal(t, result[int]{v: 1}, <-waits)
	require.NoError(t, y.Sync(bg))
	require.Equal(t, 1, b.Len())
	require.NoError(t, x.Sync(bg))
	require.Equal(t, 1, a.Len())
}
