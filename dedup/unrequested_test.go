package dedup_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// TestUnrequestedKeysThatExpiredAreRemoved like requested ones, all at once when they may
// be half of all entries.
func TestUnrequestedKeysThatExpiredAreRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		c := newCache(t, func(context.Context, int) (int, error) { return 0, nil }, &dedup.CacheOptions[int, int]{
			TTL: time.Second,
			LoadMany: func(_ context.Context, keys []int) (map[int]int, error) {
				vs := map[int]int{keys[0]: 1}
				for range 100 {
					n--
					vs[n] = 1
				}
				return vs, nil
			},
		})
		most := 0
		for i := range 2000 { // 101 values each second, and only those of the last second live
			_, err := c.GetMany(bg, []int{i})
			require.NoError(t, err)
			synctest.Wait()
			most = max(most, c.Stats().Entries)
			time.Sleep(time.Second)
		}
		require.Less(t, most, 1000)
	})
}
