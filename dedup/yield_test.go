//go:build vigil_yield

package dedup_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
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

// TestPutBesideCloseAndInvalidateAll: somebody has looked whether the cache is
// closed, and which epoch it has, and then stores.
func TestPutBesideCloseAndInvalidateAll(t *testing.T) {
	for name, change := range map[string]func(c *dedup.Cache[string, int]){
		"Put": func(c *dedup.Cache[string, int]) { c.Put("k", 1) },
		"what LoadMany was not asked for": func(c *dedup.Cache[string, int]) {
			_, _ = c.GetMany(bg, []string{"asked"})
		},
	} {
		for i := range 4 {
			most, closes := i%2*100, i < 2
			t.Run(fmt.Sprintf("%s, MaxEntries %d, Close %t", name, most, closes), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					o := &options{MaxEntries: most, LoadMany: func(context.Context, []string) (map[string]int, error) {
						return map[string]int{"k": 1, "asked": 2}, nil
					}}
					c := newCache(t, new(counting).load, o)
					held := 0
					defer yield.Hold(yield.CacheStores, func() {
						held++
						if closes {
							require.NoError(t, c.Close())
						} else {
							c.InvalidateAll()
						}
					})()
					change(c)
					synctest.Wait()
					require.Equal(t, 1, held)
					require.Zero(t, c.Stats().Entries)
				})
			})
		}
	}
}

// TestInvalidateAllBesideANewFlight: a load begins when the flights have been
// swept, or are about to be, and finds, or fails to replace, what was there.
func TestInvalidateAllBesideANewFlight(t *testing.T) {
	for _, point := range []yield.Point{yield.CacheInvalid, yield.FlightLeft} {
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, fails %t", point, fails), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newLoader()
					c := newCache(t, l.loadKey, &options{ErrorTTL: time.Hour, TTL: time.Hour})
					c.Put("k", 1)
					other := cacheOf(c).startN(1, bg, "other")[0] // to be swept
					l.next(t).ctx.Done()
					var young <-chan result
					held := 0
					release := yield.Hold(point, func() {
						if held++; held == 1 {
							young = async(func() result { return result{err: c.Refresh(bg, "k")} })
							synctest.Wait()
						}
					})
					c.InvalidateAll()
					release()
					require.NotZero(t, held)
					call := l.next(t)
					requirePeek(t, 0, c)
					if fails {
						call.fail(errLoad)
					} else {
						call.give(2)
					}
					<-young
					v, ok := c.Peek("k")
					require.True(t, !ok || v == 2 && !fails, "%d came back", v)
					_ = other
				})
			})
		}
	}
}
