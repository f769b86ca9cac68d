package dedup_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/wake"
)

// An error that is not to be kept leaves no entry behind, not even a dead one.
func TestErrorsWithoutTTLAreNotStored(t *testing.T) {
	c, err := dedup.NewCache(func(context.Context, int) (int, error) { return 0, errors.New("down") },
		&dedup.CacheOptions[int, int]{StaleIfError: time.Hour})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Get(context.Background(), 1)
	require.EqualError(t, err, "down")
	require.Zero(t, c.Stats().Entries)
}

// What is not to be stored is not served stale either.
func TestValuesOfNoTTLAreNotStored(t *testing.T) {
	for _, ttl := range []time.Duration{0, -time.Second} {
		n := 0
		c, err := dedup.NewCache(func(context.Context, int) (int, error) { n++; return n, nil },
			&dedup.CacheOptions[int, int]{
				TTLOf:                func(int, int) time.Duration { return ttl },
				StaleWhileRevalidate: time.Hour,
			})
		require.NoError(t, err)
		defer c.Close()
		for want := 1; want < 3; want++ {
			v, err := c.Get(context.Background(), 1)
			require.NoError(t, err)
			require.Equal(t, want, v)
			require.Zero(t, c.Stats().Entries)
		}
	}
}

type panickyParker struct{}

func (panickyParker) Wake()                      {}
func (panickyParker) Park(context.Context) error { panic("parker") }

// A parker that panics takes its caller out of all lines, those that it had not
// waited in yet, too: the loads are canceled.
func TestGetManyLeavesAllLinesWhenItsParkerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := dedup.NewCache(func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}, nil)
		require.NoError(t, err)
		defer c.Close()
		ctx := wake.WithParker(context.Background(), panickyParker{})
		require.PanicsWithValue(t, "parker", func() { _, _ = c.GetMany(ctx, []int{1, 2, 3}) })
		synctest.Wait()
		require.Zero(t, c.Stats().InFlight)
		require.EqualValues(t, 3, c.Stats().LoadErrors)
	})
}
