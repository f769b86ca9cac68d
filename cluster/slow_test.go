package cluster_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
)

// slow makes the answers of the engine come after d.
func (k *keeper) slow(d time.Duration) {
	k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
		revision, err := k.apply(ctx, w)
		select {
		case <-time.After(d):
			return revision, err
		case <-ctx.Done():
			return 0, &unknownError{ctx.Err()}
		}
	}
}

// TestEngineSlowerThanTheTTL: calls that need a lease end, and leave none.
func TestEngineSlowerThanTheTTL(t *testing.T) {
	for name, call := range map[string]func(t *testing.T, b *cluster.Bucket) error{
		"Group": func(t *testing.T, b *cluster.Bucket) error {
			_, err := newGroup[string](t, b, brief).Do(bg, "key", never)
			return err
		},
		"Cache": func(t *testing.T, b *cluster.Bucket) error { return getUnder(bg, t, b, never) },
		"Mutex": func(t *testing.T, b *cluster.Bucket) error {
			m, err := cluster.NewMutex(b, &cluster.MutexOptions{TTL: brief})
			require.NoError(t, err)
			_, err = m.Lock(bg)
			return err
		},
		"Semaphore": func(t *testing.T, b *cluster.Bucket) error {
			_, err := newSemaphore(t, b, 2, brief).Acquire(bg)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, b := newKeeper(t)
				k.slow(brief + 1)
				require.ErrorIs(t, call(t, b), cluster.ErrLeaseLost)
				time.Sleep(2 * brief)
				k.requireEmpty(t)
			})
		})
	}
}

// getUnder calls Get of a Cache whose loader is f.
func getUnder(ctx context.Context, t *testing.T, b *cluster.Bucket, f func(context.Context) (string, error)) error {
	l := new(loader[string])
	l.set(func(ctx context.Context, _ string) (string, error) { return f(ctx) })
	_, err := newCache(t, b, l, &cluster.CacheOptions[string]{LeaseTTL: brief}).Get(ctx, "key")
	return err
}

// TestLoadsThatLoseEachLease: a few of them begin, and then the call returns an error.
func TestLoadsThatLoseEachLease(t *testing.T) {
	for name, call := range map[string]func(context.Context, *testing.T, *cluster.Bucket, func(context.Context) (string, error)) error{
		"Group": func(ctx context.Context, t *testing.T, b *cluster.Bucket, f func(context.Context) (string, error)) error {
			_, err := newGroup[string](t, b, brief).Do(ctx, "key", f)
			return err
		},
		"Cache": getUnder,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, b := newKeeper(t)
				k.slow(brief - 1) // so no renewal is acknowledged in time
				ctx, cancel := context.WithTimeout(bg, endless)
				defer cancel()
				loads := 0
				err := call(ctx, t, b, func(ctx context.Context) (string, error) {
					loads++
					<-ctx.Done()
					return "", context.Cause(ctx)
				})
				require.ErrorIs(t, err, cluster.ErrLeaseLost)
				require.Equal(t, 5, loads)
				time.Sleep(2 * brief)
				k.requireEmpty(t)
			})
		})
	}
}

// TestEngineThatDoesNotKnow whether it has written a lease.
func TestEngineThatDoesNotKnow(t *testing.T) {
	k, b := newKeeper(t)
	k.write = func(context.Context, engine.Write) (uint64, error) { return 0, engine.ErrUnknown }
	_, err := newGroup[string](t, b, brief).Do(bg, "key", never)
	require.ErrorIs(t, err, cluster.ErrLeaseLost)
}
