package cluster_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/uringwake"
)

func newLoop(t *testing.T) *uringwake.Loop {
	loop, err := uringwake.NewLoop(nil)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, loop.Close(bg)) })
	return loop
}

// TestTasks: tasks of one loop wait, take and write. None of them blocks the others.
func TestTasks(t *testing.T) {
	t.Parallel()
	loop := newLoop(t)
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
	loop := newLoop(t)
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
	loop := newLoop(t)
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

// TestCacheTasks: tasks of one loop wait for what a Cache loads. The load does not run in the loop.
func TestCacheTasks(t *testing.T) {
	t.Parallel()
	loop := newLoop(t)
	all, l, _ := caches[string](t, 2, nil)
	under := newLoad()
	l.set(func(ctx context.Context, _ string) (string, error) { return under.f(ctx) })
	results := make(chan result[string], 4)
	get := func(i int) {
		loop.Go(bg, func(ctx context.Context) {
			v, err := all[i].Get(ctx, "key")
			results <- result[string]{v, err}
		})
	}
	get(0)
	<-under.begun
	get(0)
	get(1)
	requireCacheWaits(t, all[1], "key")
	under.end <- result[string]{v: "value"}
	for range 3 {
		require.Equal(t, result[string]{v: "value"}, <-results)
	}
	get(1)
	require.Equal(t, result[string]{v: "value"}, <-results)
	require.EqualValues(t, 1, l.calls.Load())
}

// TestOnTakeTasks: a task whose Select has chosen a value waits for the engine, and the others of
// its loop go on meanwhile.
func TestOnTakeTasks(t *testing.T) {
	t.Parallel()
	loop := newLoop(t)
	f, b := newFake(t)
	m := newMap[string](t, b)
	begun, end := make(chan engine.Write), make(chan struct{})
	f.write = func(_ context.Context, w engine.Write) (uint64, error) {
		begun <- w
		<-end
		f.tell(deleteEvent(2, "key"))
		return 2, nil
	}
	var v string
	chosen := make(chan choice, 1)
	loop.Go(bg, func(ctx context.Context) {
		i, err := await.Select(ctx, m.OnTake("other", nil), m.OnTake("key", &v))
		chosen <- choice{i, err}
	})
	requireMapWaiters(t, m, "key", 1)
	f.tell(putEvent(1, "key", `"value"`))
	require.Equal(t, engine.Write{Key: "m\x00key", Delete: true, Expected: 1}, <-begun)
	loop.Go(bg, func(context.Context) { close(end) })
	require.Equal(t, choice{i: 1}, <-chosen)
	require.Equal(t, "value", v)
	require.Zero(t, m.Waiters("other")+m.Len())
}
