package dedup_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
)

// onLoop runs n tasks on one loop and waits for them.
func onLoop(t *testing.T, n int, f func(ctx context.Context, i int)) {
	t.Helper()
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	l, err := uringwake.NewLoop(nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close(bg)) }()
	var wg sync.WaitGroup
	wg.Add(n)
	for i := range n {
		require.NoError(t, l.Go(bg, func(ctx context.Context) {
			defer wg.Done()
			f(ctx, i)
		}))
	}
	wg.Wait()
}

// TestTasksShareALoad: tasks and a goroutine wait for one load. The loop has one thread,
// so a task that blocked it would block all of them, and the load waits until all are in
// line.
func TestTasksShareALoad(t *testing.T) {
	var g dedup.Group[string, int]
	var loads atomic.Int32
	const n = 10
	load := func(ctx context.Context) (int, error) {
		loads.Add(1)
		if uringwake.TaskFrom(ctx) != nil {
			t.Error("the load has the caller's task")
		}
		testkit.SpinUntil(func() bool {
			for _, info := range g.InFlight() {
				return info.Waiters == n+1
			}
			return false
		})
		return 1, nil
	}
	one := func(ctx context.Context) {
		v, shared, err := g.Do(ctx, "k", load)
		if v != 1 || !shared || err != nil {
			t.Error(v, shared, err)
		}
	}
	if uringwake.Supported() == nil {
		r := async(func() result { one(bg); return result{} })
		defer func() { <-r }()
	}
	onLoop(t, n, func(ctx context.Context, _ int) { one(ctx) })
	require.EqualValues(t, 1, loads.Load())
}

// TestTasksUseACache with misses, batches and contexts that end, so that each sleep is
// that of a backgroundFlight.
func TestTasksUseACache(t *testing.T) {
	var loads atomic.Int32
	c := newCache(t, func(ctx context.Context, k int) (int, error) {
		loads.Add(1)
		if k < 0 {
			<-ctx.Done()
		}
		return k, context.Cause(ctx)
	}, nil)
	onLoop(t, 20, func(ctx context.Context, i int) {
		if v, err := c.Get(ctx, i%4); v != i%4 || err != nil {
			t.Error(v, err)
		}
		if m, err := c.GetMany(ctx, []int{1, 2, 100, 101}); len(m) != 4 || err != nil {
			t.Error(m, err)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		go cancel(errCause)
		if _, err := c.Get(ctx, -1); err == nil {
			t.Error("no load gives this")
		}
	})
	require.GreaterOrEqual(t, loads.Load(), int32(7))
}
