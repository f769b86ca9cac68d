package dedup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/load"
)

// A graph is several caches whose loads call each other at random, also in cycles, while
// callers leave, keys are invalidated and loads fail.
type graph struct {
	caches []*Cache[int, int]
	group  Group[int, int]
	parts  map[[2]int][][2]int // of a cache's key
	mu     sync.Mutex
	r      *rand.Rand
}

func (g *graph) n(n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.r.IntN(n)
}

func newGraph(t *testing.T, seed uint64, caches int) *graph {
	g := &graph{r: rand.New(rand.NewPCG(seed, 1)), parts: map[[2]int][][2]int{}}
	const keys = 8
	cycles := g.n(2) == 0
	for c := range caches {
		for k := range keys {
			for range g.n(4) {
				to := [2]int{g.n(caches), g.n(keys)}
				if !cycles && k == keys-1 {
					continue
				}
				if !cycles {
					to[1] = k + 1 + g.n(keys-k-1)
				}
				g.parts[[2]int{c, k}] = append(g.parts[[2]int{c, k}], to)
			}
		}
		o := &CacheOptions[int, int]{MaxLoads: g.n(4)}
		if g.n(2) == 0 {
			o.LoadMany = func(ctx context.Context, keys []int) (map[int]int, error) {
				vs := map[int]int{}
				for _, k := range keys {
					v, err := g.load(ctx, c, k)
					if err != nil {
						return vs, err
					}
					vs[k] = v
				}
				return vs, nil
			}
		}
		if g.n(3) == 0 {
			o.TTL, o.StaleWhileRevalidate = 3*time.Millisecond, 5*time.Millisecond
		}
		if g.n(3) == 0 {
			o.MaxWaiters = 2
		}
		ca, err := NewCache(func(ctx context.Context, k int) (int, error) { return g.load(ctx, c, k) }, o)
		require.NoError(t, err)
		g.caches = append(g.caches, ca)
	}
	return g
}

func (g *graph) load(ctx context.Context, c, k int) (int, error) {
	if g.n(4) == 0 {
		time.Sleep(time.Duration(g.n(3)) * time.Millisecond)
	}
	switch g.n(20) {
	case 0:
		return 0, errors.New("failed")
	case 1:
		panic("x")
	}
	if g.n(5) == 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Duration(g.n(3))*time.Millisecond)
		defer cancel()
	}
	many := map[int][]int{}
	for _, p := range g.parts[[2]int{c, k}] {
		switch g.n(6) {
		case 0:
			many[p[0]] = append(many[p[0]], p[1])
		case 1:
			_ = g.caches[p[0]].Refresh(ctx, p[1])
		case 2:
			_, _, _ = g.group.Do(ctx, k, func(ctx context.Context) (int, error) { return g.caches[p[0]].Get(ctx, p[1]) })
		case 3:
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = g.caches[p[0]].Get(ctx, p[1]) })
			_, _ = g.caches[p[0]].Get(ctx, p[1])
			wg.Wait()
		default:
			_, _ = g.caches[p[0]].Get(ctx, p[1])
		}
	}
	for c, keys := range many {
		_, _ = g.caches[c].GetMany(ctx, keys)
	}
	return k, nil
}

func (g *graph) call() {
	c, k := g.caches[g.n(len(g.caches))], g.n(8)
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if g.n(2) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(g.n(6))*time.Millisecond)
	}
	defer cancel()
	switch g.n(8) {
	case 0:
		c.Invalidate(k)
	case 1:
		c.InvalidateAll()
	case 2:
		_ = c.Refresh(ctx, k)
	case 3, 4:
		_, _ = c.GetMany(ctx, []int{k, g.n(8), g.n(8)})
	default:
		_, _ = c.Get(ctx, k)
	}
}

func (g *graph) run(t *testing.T) {
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 12 {
				g.call()
				if g.n(3) == 0 {
					time.Sleep(time.Duration(g.n(3)) * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	synctest.Wait()
	time.Sleep(time.Second)
	synctest.Wait()
	for _, c := range g.caches {
		require.Zero(t, c.Stats().InFlight)
		requireAllFree(t, c.slots, c.o.MaxLoads)
		require.Zero(t, c.flights.len())
		require.Empty(t, c.batches.m)
		c.Close()
	}
}

// requireAllFree requires that n slots are free, and no more. So no load is in line.
func requireAllFree(t *testing.T, p *load.Slots, n int) {
	if n == 0 {
		return
	}
	acquire := func() error {
		ctx := new(load.Context) // a canceled load does not wait
		ctx.Cancel(nil)
		err := p.Acquire(ctx)
		if err == nil {
			t.Cleanup(func() { p.Release(ctx) })
		}
		return err
	}
	for range n {
		require.NoError(t, acquire(), "a slot is lost")
	}
	require.Error(t, acquire(), "a slot is there twice")
}

// TestRandomGraphsOfCaches: no call hangs and no slot is lost.
func TestRandomGraphsOfCaches(t *testing.T) {
	n := 600
	if testing.Short() {
		n = 60
	}
	for seed := range uint64(n) {
		for caches := 1; caches <= 2; caches++ {
			ok := t.Run(fmt.Sprint(seed, caches), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { newGraph(t, seed, caches).run(t) })
			})
			if !ok {
				return
			}
		}
	}
}
