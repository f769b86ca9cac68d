package await_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/dedup"
)

// TestHazardCycleThroughBothPackages: a function of a Once that waits for a load, which
// waits for the Once. Whichever begins, the call that closes the cycle fails.
func TestHazardCycleThroughBothPackages(t *testing.T) {
	inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, _ context.CancelCauseFunc) {
		var g dedup.Group[string, int]
		_, err := o.Do(ctx, func(ctx context.Context) (int, error) {
			v, _, err := g.Do(ctx, "k", func(ctx context.Context) (int, error) { return o.Do(ctx, never) })
			return v, err
		})
		require.ErrorIs(t, err, await.ErrCycle)
		require.ErrorIs(t, err, dedup.ErrCycle)

		_, _, err = g.Do(ctx, "k", func(ctx context.Context) (int, error) {
			return o.Do(ctx, func(ctx context.Context) (int, error) {
				v, _, err := g.Do(ctx, "k", never)
				return v, err
			})
		})
		require.ErrorIs(t, err, await.ErrCycle)
		requireUsableOnce(t, o)
	})
}

// TestHazardCycleThatTwoCallersClose: a Once and a load have begun when each waits for
// the other.
func TestHazardCycleThatTwoCallersClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		var g dedup.Group[string, int]
		gate := make(chan struct{})
		a := doAsync(&o, context.Background(), func(ctx context.Context) (int, error) {
			<-gate
			v, _, err := g.Do(ctx, "k", never)
			return v, err
		})
		b := make(chan error, 1)
		go func() {
			_, _, err := g.Do(context.Background(), "k", func(ctx context.Context) (int, error) {
				<-gate
				return o.Do(ctx, never)
			})
			b <- err
		}()
		synctest.Wait()
		close(gate)
		require.ErrorIs(t, (<-a).err, await.ErrCycle)
		require.ErrorIs(t, <-b, await.ErrCycle)
	})
}

// TestHazardOnceThatWaitsForTheCallersSlot: a load that has the only slot of its Cache
// joins a Once whose function waits for that slot, and lends it.
func TestHazardOnceThatWaitsForTheCallersSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		gate := make(chan struct{})
		c, err := dedup.NewCache(func(ctx context.Context, key string) (int, error) {
			if key == "part" {
				return 2, nil
			}
			<-gate
			return o.Do(ctx, never)
		}, &dedup.CacheOptions[string, int]{MaxLoads: 1})
		require.NoError(t, err)
		defer c.Close()
		page := make(chan onceResult, 1)
		go func() {
			v, err := c.Get(context.Background(), "page")
			page <- onceResult{v, err}
		}()
		synctest.Wait()
		once := doAsync(&o, context.Background(), func(ctx context.Context) (int, error) { return c.Get(ctx, "part") })
		close(gate)
		require.Equal(t, onceResult{v: 2}, <-once)
		require.Equal(t, onceResult{v: 2}, <-page)
	})
}

// TestOneSetOfErrors: an error of a load is the same in both packages.
func TestOneSetOfErrors(t *testing.T) {
	require.Equal(t, dedup.ErrGoexit, await.ErrGoexit)
	require.Equal(t, dedup.ErrCycle, await.ErrCycle)
	require.Equal(t, dedup.ErrAbandoned, await.ErrAbandoned)
	require.IsType(t, new(dedup.PanicError), new(await.PanicError))
}

// TestOnceWaitsThatHaveEndedCloseNoCycle: the function of a called b and has left it, so b
// may wait for a.
func TestOnceWaitsThatHaveEndedCloseNoCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b await.Once[int]
		gate := make(chan struct{})
		stays := doAsync(&b, context.Background(), func(ctx context.Context) (int, error) {
			<-gate
			return a.Do(ctx, never)
		})
		v, err := a.Do(context.Background(), func(ctx context.Context) (int, error) {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := b.Do(short, never)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			close(gate)
			time.Sleep(time.Second)
			return 1, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.Equal(t, onceResult{v: 1}, <-stays)
	})
}
