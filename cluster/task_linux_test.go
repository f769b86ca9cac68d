package cluster_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
)

// TestTasks: tasks of one loop wait, take and write. None of them blocks the others.
func TestTasks(t *testing.T) {
	t.Parallel()
	loop, err := uringwake.NewLoop(nil)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, loop.Close(bg)) }()
	a, b, _ := pair[int](t)
	results := make(chan result[int], 3)
	loop.Go(bg, func(ctx context.Context) {
		v, err := b.Wait(ctx, "key")
		results <- result[int]{v, err}
	})
	loop.Go(bg, func(ctx context.Context) {
		v, err := b.Take(ctx, "job")
		results <- result[int]{v, err}
	})
	for b.Waiters("key")+b.Waiters("job") < 2 {
	}
	loop.Go(bg, func(ctx context.Context) {
		_, err := a.Store(ctx, "key", 1)
		results <- result[int]{1, err}
		_, _ = a.Store(ctx, "job", 1)
	})
	for range 3 {
		require.Equal(t, result[int]{v: 1}, <-results)
	}
	_, ok := b.Load("job")
	require.False(t, ok)
}

// TestGroupTasks: tasks of one loop wait for a load. It does not run in the loop.
func TestGroupTasks(t *testing.T) {
	t.Parallel()
	loop, err := uringwake.NewLoop(nil)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, loop.Close(bg)) }()
	all, _ := groups[string](t, 2, endless)
	l := newLoad()
	results := make(chan result[string], 3)
	call := func(g int, f func(context.Context) (string, error)) {
		loop.Go(bg, func(ctx context.Context) {
			v, err := all[g].Do(ctx, "key", f)
			results <- result[string]{v, err}
		})
	}
	call(0, l.f)
	<-l.begun
	call(0, never)
	call(1, never)
	requireWaits(t, all[1], "key")
	l.end <- result[string]{v: "value"}
	for range 3 {
		require.Equal(t, result[string]{v: "value"}, <-results)
	}
}

// TestPermitTasks: tasks of one loop wait for permits and notifications. None of them blocks the
// others, which run on one thread.
func TestPermitTasks(t *testing.T) {
	t.Parallel()
	loop, err := uringwake.NewLoop(nil)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, loop.Close(bg)) }()
	b := newSite(t).machine(t).Bucket
	s, n := newSemaphore(t, b, 2, endless), newNotify(t, b, 0)
	const tasks = 5
	errs := make(chan error, 2*tasks)
	for range tasks {
		loop.Go(bg, func(ctx context.Context) {
			p, err := s.Acquire(ctx)
			if err == nil {
				err = n.Wait(ctx)
			}
			if err == nil {
				err = p.Release(ctx)
			}
			errs <- err
		})
	}
	requireWaiters(t, n, 2)
	for range tasks {
		loop.Go(bg, func(ctx context.Context) { errs <- n.NotifyOne(ctx) })
	}
	for range 2 * tasks {
		require.NoError(t, <-errs)
	}
}
