//go:build vigil_yield

package dedup_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/yield"
)

// TestTidySparesWhatWasJustStored: who sweeps has found an entry dead; until
// it is deleted, another may take its place.
func TestTidySparesWhatWasJustStored(t *testing.T) {
	for _, most := range []int{0, 1000} {
		t.Run(fmt.Sprintf("MaxEntries %d", most), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache(t, new(counting).load, &options{TTL: time.Minute, MaxEntries: most})
				storeMany(c, 1)
				time.Sleep(time.Minute)
				swept := 0
				defer yield.Hold(yield.CacheSweep, func() {
					if swept++; swept == 1 {
						storeMany(c, 2)
					}
				})()
				c.Put("one more", 3)
				require.NotZero(t, swept)
				for i := range many {
					v, ok := c.Peek(fmt.Sprint(i))
					require.True(t, ok, "%d of %d were swept", i, swept)
					require.Equal(t, 2, v)
				}
			})
		})
	}
}

// many are as many stores as a sweep comes after.
const many = 64 - 1

func storeMany(c *dedup.Cache[string, int], v int) {
	for i := range many {
		c.Put(fmt.Sprint(i), v)
	}
}

// TestCloseBesideALanding: a load has landed and is about to leave the map when
// somebody closes the cache. After Close nothing is in flight all the same.
func TestCloseBesideALanding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, new(counting).load, nil)
		passed, left := 0, -1
		defer yield.Hold(yield.FlightLeft, func() {
			if passed++; passed == 1 {
				_ = c.Close() // who leaves there passes here, too
				left = c.Stats().InFlight
			}
		})()
		_, err := c.Get(bg, "k")
		require.NoError(t, err)
		require.Zero(t, left)
	})
}
