//go:build vigil_schedpoint

package dedup_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/schedpoint"
)

// TestSweepSparesNewEntries: a sweep has found an expired entry, and before it is deleted
// another one replaces it.
func TestSweepSparesNewEntries(t *testing.T) {
	for _, most := range []int{0, 1000} {
		t.Run(fmt.Sprintf("MaxEntries %d", most), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache(t, new(counting).load, &options{TTL: time.Minute, MaxEntries: most})
				storeMany(c, 1)
				time.Sleep(time.Minute)
				swept := 0
				defer schedpoint.Hold(schedpoint.CacheSweep, func() {
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

// many is one less than the number of stores before a sweep.
const many = 64 - 1

func storeMany(c *dedup.Cache[string, int], v int) {
	for i := range many {
		c.Put(fmt.Sprint(i), v)
	}
}

// TestCloseWhileALoadFinishes: Close is called when a load has published its result.
// Nothing is in flight after Close.
func TestCloseWhileALoadFinishes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, new(counting).load, nil)
		passed, left := 0, -1
		defer schedpoint.Hold(schedpoint.FlightLeft, func() {
			if passed++; passed == 1 {
				_ = c.Close() // a flight that Close detaches passes here too
				left = c.Stats().InFlight
			}
		})()
		_, err := c.Get(bg, "k")
		require.NoError(t, err)
		require.Zero(t, left)
	})
}

// TestPutDuringCloseAndInvalidateAll: Close or InvalidateAll is called during a Put. A
// value that is put after that is there, or nothing is.
func TestPutDuringCloseAndInvalidateAll(t *testing.T) {
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
					defer schedpoint.Hold(schedpoint.CacheStores, func() {
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
					_, seen := c.Peek("k")
					require.Equal(t, name == "Put" && !closes, seen)
					if seen {
						c.Invalidate("k")
					}
					require.Zero(t, c.Stats().Entries)
				})
			})
		}
	}
}

// TestInvalidateAllDuringANewFlight: a load begins while InvalidateAll detaches the
// flights, and finds the old value, or fails to replace it.
func TestInvalidateAllDuringANewFlight(t *testing.T) {
	for i, point := range []schedpoint.Point{schedpoint.CacheInvalid, schedpoint.FlightSweep, schedpoint.FlightSweep, schedpoint.FlightSweep} {
		passed := max(1, i) // so many shards
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v %d, fails %t", point, passed, fails), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newLoader()
					c := newCache(t, l.loadKey, &options{ErrorTTL: time.Hour, TTL: time.Hour})
					c.Put("k", 1)
					other := cacheOf(c).startN(1, bg, "other")[0] // to be swept
					l.next(t).ctx.Done()
					var young <-chan result
					held := 0
					release := schedpoint.Hold(point, func() {
						if held++; held == passed {
							young = async(func() result { return result{err: c.Refresh(bg, "k")} })
							synctest.Wait()
						}
					})
					c.InvalidateAll()
					release()
					require.GreaterOrEqual(t, held, passed)
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

// TestHandedOffLoad: a load of a bounded Cache has returned, and its first caller has not
// begun to finish it.
func TestHandedOffLoad(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(c *dedup.Cache[string, int], leave func())
		stored int
	}{
		"nothing":       {func(*dedup.Cache[string, int], func()) {}, 1},
		"leave":         {func(_ *dedup.Cache[string, int], leave func()) { leave() }, 1},
		"Invalidate":    {func(c *dedup.Cache[string, int], _ func()) { c.Invalidate("k") }, 0},
		"InvalidateAll": {func(c *dedup.Cache[string, int], _ func()) { c.InvalidateAll() }, 0},
		"Put":           {func(c *dedup.Cache[string, int], _ func()) { c.Put("k", 2) }, 2},
		"Close":         {func(c *dedup.Cache[string, int], _ func()) { _ = c.Close() }, 0},
		"Invalidate and Close": {func(c *dedup.Cache[string, int], leave func()) {
			c.Invalidate("k")
			leave()
			_ = c.Close()
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cache := newCache(t, new(counting).load, &options{MaxEntries: 10})
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				other, leave := context.WithCancel(bg)
				defer leave()
				held := 0
				var late, leaver <-chan result
				defer schedpoint.Hold(schedpoint.FlightHanded, func() {
					if held++; held > 1 {
						return
					}
					late = cacheOf(cache).startN(1, bg, "k")[0]
					leaver = cacheOf(cache).startN(1, other, "k")[0]
					leave()
					require.ErrorIs(t, (<-leaver).err, context.Canceled)
					c.do(cache, cancel)
					synctest.Wait()
				})()
				require.Equal(t, result{v: 1}, get(cache, ctx, "k"))
				require.Equal(t, result{v: 1}, <-late)
				synctest.Wait()
				require.Equal(t, 1, held)
				v, _ := cache.Peek("k")
				require.Equal(t, c.stored, v)
				s := cache.Stats()
				require.Zero(t, s.InFlight)
				require.EqualValues(t, 1, s.Loads)
				require.EqualValues(t, 2, s.Coalesced)
			})
		})
	}
}
