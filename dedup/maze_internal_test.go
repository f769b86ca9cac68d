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
)

// A maze is caches whose loads ask each other at random, also in circles, with
// callers who leave, keys that are invalidated and loads that fail.
type maze struct {
	caches []*Cache[int, int]
	group  Group[int, int]
	parts  map[[2]int][][2]int // of a cache's key
	mu     sync.Mutex
	r      *rand.Rand
}

func (m *maze) n(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.r.IntN(n)
}

func newMaze(t *testing.T, seed uint64, caches int) *maze {
	m := &maze{r: rand.New(rand.NewPCG(seed, 1)), parts: map[[2]int][][2]int{}}
	const keys = 8
	circles := m.n(2) == 0
	for c := range caches {
		for k := range keys {
			for range m.n(4) {
				to := [2]int{m.n(caches), m.n(keys)}
				if !circles && k == keys-1 {
					continue
				}
				if !circles {
					to[1] = k + 1 + m.n(keys-k-1)
				}
				m.parts[[2]int{c, k}] = append(m.parts[[2]int{c, k}], to)
			}
		}
		o := &CacheOptions[int, int]{MaxLoads: m.n(4)}
		if m.n(2) == 0 {
			o.LoadMany = func(ctx context.Context, keys []int) (map[int]int, error) {
				vs := map[int]int{}
				for _, k := range keys {
					v, err := m.load(ctx, c, k)
					if err != nil {
						return vs, err
					}
					vs[k] = v
				}
				return vs, nil
			}
		}
		if m.n(3) == 0 {
			o.TTL, o.StaleWhileRevalidate = 3*time.Millisecond, 5*time.Millisecond
		}
		if m.n(3) == 0 {
			o.MaxWaiters = 2
		}
		ca, err := NewCache(func(ctx context.Context, k int) (int, error) { return m.load(ctx, c, k) }, o)
		require.NoError(t, err)
		m.caches = append(m.caches, ca)
	}
	return m
}

func (m *maze) load(ctx context.Context, c, k int) (int, error) {
	if m.n(4) == 0 {
		time.Sleep(time.Duration(m.n(3)) * time.Millisecond)
	}
	switch m.n(20) {
	case 0:
		return 0, errors.New("failed")
	case 1:
		panic("x")
	}
	if m.n(5) == 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Duration(m.n(3))*time.Millisecond)
		defer cancel()
	}
	many := map[int][]int{}
	for _, p := range m.parts[[2]int{c, k}] {
		switch m.n(6) {
		case 0:
			many[p[0]] = append(many[p[0]], p[1])
		case 1:
			_ = m.caches[p[0]].Refresh(ctx, p[1])
		case 2:
			_, _, _ = m.group.Do(ctx, k, func(ctx context.Context) (int, error) { return m.caches[p[0]].Get(ctx, p[1]) })
		case 3:
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = m.caches[p[0]].Get(ctx, p[1]) })
			_, _ = m.caches[p[0]].Get(ctx, p[1])
			wg.Wait()
		default:
			_, _ = m.caches[p[0]].Get(ctx, p[1])
		}
	}
	for c, keys := range many {
		_, _ = m.caches[c].GetMany(ctx, keys)
	}
	return k, nil
}

func (m *maze) call() {
	c, k := m.caches[m.n(len(m.caches))], m.n(8)
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if m.n(2) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(m.n(6))*time.Millisecond)
	}
	defer cancel()
	switch m.n(8) {
	case 0:
		c.Invalidate(k)
	case 1:
		c.InvalidateAll()
	case 2:
		_ = c.Refresh(ctx, k)
	case 3, 4:
		_, _ = c.GetMany(ctx, []int{k, m.n(8), m.n(8)})
	default:
		_, _ = c.Get(ctx, k)
	}
}

func (m *maze) run(t *testing.T) {
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 12 {
				m.call()
				if m.n(3) == 0 {
					time.Sleep(time.Duration(m.n(3)) * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	synctest.Wait()
	time.Sleep(time.Second)
	synctest.Wait()
	for _, c := range m.caches {
		require.Zero(t, c.Stats().InFlight)
		if p := c.slots; p != nil {
			require.Equal(t, c.o.MaxLoads, p.free)
			require.Zero(t, p.line.Len())
		}
		require.Empty(t, c.flights.strays)
		require.Empty(t, c.batches.m)
		c.Close()
	}
}

// TestMaze: no call hangs, no slot is lost, whoever asks whom.
func TestMaze(t *testing.T) {
	n := 600
	if testing.Short() {
		n = 60
	}
	for seed := range uint64(n) {
		for caches := 1; caches <= 2; caches++ {
			ok := t.Run(fmt.Sprint(seed, caches), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { newMaze(t, seed, caches).run(t) })
			})
			if !ok {
				return
			}
		}
	}
}
