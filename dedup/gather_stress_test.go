package dedup_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
)

// TestStressBatches: callers come and leave while batches gather, keys are invalidated and
// the Cache is closed. Each caller returns, with its value or a reason, and no call of
// LoadMany has more keys than MaxBatch, or one key twice.
func TestStressBatches(t *testing.T) {
	const most, keys, callers = 3, 5, 6
	for round := range testkit.Scale(300, 60) {
		var wrong atomic.Int32
		c, err := dedup.NewCache(func(context.Context, int) (int, error) { return 0, errLoad }, &dedup.CacheOptions[int, int]{
			MaxBatch: most, BatchDelay: time.Duration(round%3) * 20 * time.Microsecond, MaxLoads: round % 4, MaxEntries: round % 2 * 3,
			LoadMany: func(_ context.Context, keys []int) (map[int]int, error) {
				m := make(map[int]int)
				for _, key := range keys {
					m[key] = key
				}
				if len(keys) > most || len(m) < len(keys) || len(keys) == 0 {
					wrong.Add(1)
				}
				return m, nil
			},
		})
		require.NoError(t, err)
		closes := round%2 == 0
		testkit.Together(callers, func(i int) {
			r := rand.New(rand.NewPCG(uint64(round), uint64(i)))
			for range 40 {
				key := r.IntN(keys)
				ctx, cancel := bg, context.CancelFunc(func() {})
				if r.IntN(2) == 0 {
					ctx, cancel = context.WithTimeout(bg, time.Duration(r.IntN(40))*time.Microsecond)
				}
				if v, err := askOnce(c, ctx, key, r); err == nil && v != key || err != nil && !errorsOnlyOf(err, context.DeadlineExceeded, dedup.ErrClosed) {
					wrong.Add(1)
				}
				cancel()
			}
			if closes {
				_ = c.Close()
			}
		})
		require.Zero(t, wrong.Load())
		require.NoError(t, c.Close())
		require.Zero(t, c.Stats().InFlight)
	}
}

// askOnce gets or refreshes a key, or invalidates it first.
func askOnce(c *dedup.Cache[int, int], ctx context.Context, key int, r *rand.Rand) (int, error) {
	switch r.IntN(6) {
	case 0:
		return key, c.Refresh(ctx, key)
	case 1:
		m, err := c.GetMany(ctx, []int{key, key + 100, key + 200, key + 300})
		if err != nil {
			return key, errors.Unwrap(err.(interface{ Unwrap() []error }).Unwrap()[0])
		}
		return m[key], nil
	case 2:
		c.InvalidateFunc(func(k, _ int) bool { return k == key })
	case 3:
		c.Invalidate(key)
	}
	e, err := c.GetEntry(ctx, key)
	return e.Value, err
}
