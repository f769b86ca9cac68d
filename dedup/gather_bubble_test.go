package dedup_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// sharedBatches is made outside any bubble, like a variable of a package.
var sharedBatches = func() *dedup.Cache[string, int] {
	c, err := dedup.NewCache(newLoader().loadKey, &options{
		MaxBatch: 10, BatchDelay: gatherDelay, TTL: time.Minute, StaleWhileRevalidate: time.Hour,
		LoadMany: func(_ context.Context, keys []string) (map[string]int, error) {
			m := make(map[string]int)
			for _, key := range keys {
				m[key] = 1
			}
			return m, nil
		},
	})
	if err != nil {
		panic(err)
	}
	return c
}()

// TestHazardPackageLevelBatchesInABubble (golang/go#75626): a batch that all callers have
// left does not gather any more. Its timer would end with the bubble, and the next callers
// would wait for it forever.
func TestHazardPackageLevelBatchesInABubble(t *testing.T) {
	bubble(t, func(*testing.T) {
		ctx, cancel := context.WithTimeout(bg, gatherDelay/2)
		defer cancel()
		require.ErrorIs(t, get(sharedBatches, ctx, "left").err, context.DeadlineExceeded)
	})
	bubble(t, func(t *testing.T) {
		require.Equal(t, result{v: 1}, get(sharedBatches, bg, "next"))
	})
	sharedBatches.InvalidateAll()
}
