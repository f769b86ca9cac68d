package etcdengine_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/cluster/engine/etcdengine"
)

// machine opens the bucket as another process would.
func (s *server) machine(t *testing.T) *cluster.Bucket {
	e, err := etcdengine.Open(bg, s.options(enginetest.NewLink(s.dial)))
	require.NoError(t, err)
	b, err := cluster.Open(bg, &cluster.Options{Engine: e, Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// TestTakeWhileServerIsKilled: each value that one machine stores is taken once, by one of two
// others, while the server is killed again and again.
func TestTakeWhileServerIsKilled(t *testing.T) {
	t.Parallel()
	const values, kills = 120, 4
	s := newServer(t)
	maps := make([]*cluster.Map[int], 3)
	for i := range maps {
		m, err := cluster.NewMap[int](s.machine(t), nil)
		require.NoError(t, err)
		maps[i] = m
	}
	var taken [values]atomic.Int32
	var left atomic.Int32
	left.Store(values)
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	var takers sync.WaitGroup
	for _, m := range maps[1:] {
		for key := range 3 {
			takers.Go(func() {
				for {
					v, err := m.Take(ctx, fmt.Sprint(key))
					if ctx.Err() != nil {
						return
					}
					require.NoError(t, err)
					taken[v].Add(1)
					if left.Add(-1) == 0 {
						cancel()
					}
				}
			})
		}
	}
	for i := range values {
		for stored := false; !stored; { // the last value of the key may not be taken yet
			_, loaded, err := maps[0].LoadOrStore(bg, fmt.Sprint(i%3), i)
			require.NoError(t, err)
			stored = !loaded
		}
		if i%(values/kills) == values/kills/2 {
			s.restart(t)
		}
	}
	takers.Wait()
	for i := range taken {
		require.Equal(t, int32(1), taken[i].Load(), i)
	}
}

// TestLoadWhileServerIsKilled: machines make one load together, although the server is killed
// while it runs.
func TestLoadWhileServerIsKilled(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var loads atomic.Int32
	started, finish := make(chan struct{}), make(chan struct{})
	load := func(ctx context.Context) (string, error) {
		if loads.Add(1) == 1 {
			close(started)
		}
		<-finish
		fence, ok := cluster.Fence(ctx)
		return fmt.Sprint(fence > 0, ok), nil
	}
	results := make(chan string, 2)
	for range 2 {
		g, err := cluster.NewGroup[string](s.machine(t), &cluster.GroupOptions{TTL: time.Hour})
		require.NoError(t, err)
		go func() {
			v, err := g.Do(bg, "key", load)
			results <- fmt.Sprint(v, err)
		}()
	}
	<-started
	s.restart(t)
	close(finish)
	for range 2 {
		require.Equal(t, "true true<nil>", <-results)
	}
	require.Equal(t, int32(1), loads.Load())
}

// TestMutexWhileServerIsKilled: one machine at a time has the lock, and fences grow.
func TestMutexWhileServerIsKilled(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var holders atomic.Int32
	var last atomic.Uint64
	var all sync.WaitGroup
	for i := range 2 {
		m, err := cluster.NewMutex(s.machine(t), &cluster.MutexOptions{Name: "lock", TTL: time.Hour})
		require.NoError(t, err)
		all.Go(func() {
			for j := range 10 {
				fence, err := m.Lock(bg)
				require.NoError(t, err)
				require.Equal(t, int32(1), holders.Add(1))
				require.Greater(t, fence, last.Swap(fence))
				if i == 0 && j%4 == 1 {
					s.restart(t)
				}
				holders.Add(-1)
				require.NoError(t, m.Unlock(bg))
			}
		})
	}
	all.Wait()
}
