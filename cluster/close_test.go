package cluster_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
)

// TestCloseGivesLeasesBack: others get what the machine has held, before the leases would have
// ended by themselves. What its load returns is refused.
func TestCloseGivesLeasesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	x, y := s.machine(t), s.machine(t)
	group, next := newGroup[string](t, x.Bucket, endless), newGroup[string](t, y.Bucket, endless)
	semaphore, others := newSemaphore(t, x.Bucket, 2, endless), newSemaphore(t, y.Bucket, 2, endless)
	mutex, err := cluster.NewMutex(x.Bucket, &cluster.MutexOptions{TTL: endless})
	require.NoError(t, err)
	other, err := cluster.NewMutex(y.Bucket, &cluster.MutexOptions{TTL: endless})
	require.NoError(t, err)

	l, successor := newLoad(), newLoad()
	loaded := do(group, "key", l.f)
	loading := <-l.begun
	_, err = mutex.Lock(bg)
	require.NoError(t, err)
	permits := []*cluster.Permit{acquire(t, semaphore), acquire(t, semaphore)}
	waits := do(next, "key", successor.f)
	requireWaits(t, next, "key")
	locked := start(func() (uint64, error) { return other.Lock(bg) })
	acquired := []chan result[*cluster.Permit]{startAcquire(others), startAcquire(others)}
	requireSemaphoreWaits(t, others, 2)

	held := mutex.Context()
	require.NoError(t, x.Close())
	for _, ctx := range []context.Context{loading, held, permits[0].Context(), permits[1].Context()} {
		require.ErrorIs(t, context.Cause(ctx), cluster.ErrClosed)
	}
	<-successor.begun
	require.NoError(t, (<-locked).err)
	require.NoError(t, (<-acquired[0]).err)
	require.NoError(t, (<-acquired[1]).err)
	require.ErrorIs(t, mutex.Unlock(bg), cluster.ErrClosed)
	require.ErrorIs(t, permits[0].Release(bg), cluster.ErrClosed)
	l.end <- result[string]{v: "late"}
	require.ErrorIs(t, (<-loaded).err, cluster.ErrClosed)
	successor.end <- result[string]{v: "successor's"}
	require.Equal(t, result[string]{v: "successor's"}, <-waits)
}

// TestCloseEndsContextsFirst: holders are told before others can get what they hold.
func TestCloseEndsContextsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		s := newSemaphore(t, b, 1, endless)
		p := acquire(t, s)
		deleted := false
		k.after = func(_ int, w engine.Write) error {
			deleted = true
			require.True(t, w.Delete)
			require.ErrorIs(t, context.Cause(p.Context()), cluster.ErrClosed)
			return nil
		}
		require.NoError(t, b.Close())
		require.True(t, deleted)
		k.requireEmpty(t)
		_, err := s.Acquire(bg)
		require.ErrorIs(t, err, cluster.ErrClosed)
		require.ErrorIs(t, p.Release(bg), cluster.ErrClosed)
	})
}

// link returns a function, after whose call the engine answers nothing until it is closed.
func (k *keeper) link() (cut func()) {
	var off atomic.Bool
	k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
		if !off.Load() {
			return k.apply(ctx, w)
		}
		select {
		case <-ctx.Done():
			return 0, engine.ContextError(ctx)
		case <-k.closed:
			return 0, engine.ErrClosed
		}
	}
	return func() { off.Store(true) }
}

// TestCloseOfAnUnreachableEngine gives up soon, also if a renewal is under way, the lease is lost, or
// the load does not return.
func TestCloseOfAnUnreachableEngine(t *testing.T) {
	for name, d := range map[string]time.Duration{"at once": 0, "at a renewal": brief / 2, "when the lease is lost": 2 * brief} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, b := newKeeper(t)
				cut := k.link()
				g := newGroup[string](t, b, brief)
				l := newLoad()
				loaded := do(g, "key", l.f)
				<-l.begun
				cut()
				time.Sleep(d)
				begun := time.Now()
				require.NoError(t, b.Close())
				require.Equal(t, 3*time.Second, time.Since(begun))
				l.end <- result[string]{v: "late"}
				require.ErrorIs(t, (<-loaded).err, cluster.ErrClosed)
			})
		})
	}
}

// TestCloseWithoutLeases does not wait.
func TestCloseWithoutLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		cut := k.link()
		s := newSemaphore(t, b, 1, brief)
		require.NoError(t, acquire(t, s).Release(bg))
		cut()
		begun := time.Now()
		require.NoError(t, b.Close())
		require.Zero(t, time.Since(begun))
	})
}

// TestCloseWhileAResultIsWritten: Close lets the write end, and the result counts.
func TestCloseWhileAResultIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		g := newGroup[string](t, b, endless)
		asked, answer := make(chan struct{}), make(chan struct{})
		k.after = func(n int, w engine.Write) error {
			if n == 2 {
				close(asked)
				<-answer
			}
			return nil
		}
		loaded := do(g, "key", func(context.Context) (string, error) { return "value", nil })
		<-asked
		closed := start(func() (struct{}, error) { return struct{}{}, b.Close() })
		synctest.Wait()
		require.Empty(t, closed)
		close(answer)
		require.Equal(t, result[string]{v: "value"}, <-loaded)
		require.NoError(t, (<-closed).err)
		require.Len(t, k.there, 1) // others find it
		require.Equal(t, 2, k.writes)
	})
}

// TestCloseWhileALeaseIsAcquired: it is given back when the engine has answered.
func TestCloseWhileALeaseIsAcquired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		m, err := cluster.NewMutex(b, nil)
		require.NoError(t, err)
		asked, answer := make(chan struct{}), make(chan struct{})
		k.after = func(n int, w engine.Write) error {
			if n == 1 {
				close(asked)
				<-answer
			}
			return nil
		}
		locked := start(func() (uint64, error) { return m.Lock(bg) })
		<-asked
		closed := start(func() (struct{}, error) { return struct{}{}, b.Close() })
		synctest.Wait()
		close(answer)
		require.ErrorIs(t, (<-locked).err, cluster.ErrClosed)
		require.NoError(t, (<-closed).err)
		k.requireEmpty(t)
	})
}

// TestCloseByALoad: f may call Close.
func TestCloseByALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		g := newGroup[string](t, b, endless)
		_, err := g.Do(bg, "key", func(context.Context) (string, error) { return "value", b.Close() })
		require.ErrorIs(t, err, cluster.ErrClosed)
		k.requireEmpty(t)
	})
}
