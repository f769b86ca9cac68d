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

// TestLoadsThatLoseEachLease: Do calls f a few times, and returns an error.
func TestLoadsThatLoseEachLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		g := newGroup[string](t, b, brief)
		k.slow(brief - 1) // so no renewal is acknowledged in time
		loads := 0
		_, err := g.Do(bg, "key", func(ctx context.Context) (string, error) {
			loads++
			<-ctx.Done()
			require.ErrorIs(t, context.Cause(ctx), cluster.ErrLeaseLost)
			return "", ctx.Err()
		})
		require.ErrorIs(t, err, cluster.ErrLeaseLost)
		require.Equal(t, 5, loads)
		time.Sleep(brief)
		k.requireEmpty(t)
	})
}

// TestEngineThatDoesNotKnow whether it has written a lease.
func TestEngineThatDoesNotKnow(t *testing.T) {
	k, b := newKeeper(t)
	k.write = func(context.Context, engine.Write) (uint64, error) { return 0, engine.ErrUnknown }
	_, err := newGroup[string](t, b, brief).Do(bg, "key", never)
	require.ErrorIs(t, err, cluster.ErrLeaseLost)
}
