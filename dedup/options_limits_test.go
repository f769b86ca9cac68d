package dedup_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// TestIdleTTLOfValuesThatAreFreshForAges: a TTL too long for the clock does not keep them
// from being idle, and a Get renews their time.
func TestIdleTTLOfValuesThatAreFreshForAges(t *testing.T) {
	for name, o := range map[string]options{
		"TTL":   {TTL: math.MaxInt64},
		"TTLOf": {TTLOf: func(string, int) time.Duration { return math.MaxInt64 }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o.IdleTTL = time.Minute
				c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &o)
				c.Put("k", 1)
				for range 5 {
					time.Sleep(40 * time.Second)
					requireGet(t, 1, c)
				}
				e, ok := c.Entry("k")
				require.True(t, ok)
				require.Zero(t, e.FreshUntil)
				time.Sleep(time.Minute)
				requireGetFails(t, c)
			})
		})
	}
}

// TestBackoffOfManyFailures: the time between two loads is never less than before,
// however many loads have failed and whatever MaxBackoff is.
func TestBackoffOfManyFailures(t *testing.T) {
	for _, most := range []time.Duration{time.Hour, math.MaxInt64 / 2, math.MaxInt64} {
		for _, errorTTL := range []time.Duration{0, 1, time.Minute, math.MaxInt64} {
			bubble(t, func(t *testing.T) {
				loads := 0
				c := newCache(t, func(context.Context, string) (int, error) { loads++; return 0, errLoad },
					&options{TTL: time.Minute, StaleWhileRevalidate: math.MaxInt64, MaxBackoff: most, ErrorTTL: errorTTL})
				c.Put("k", 1)
				time.Sleep(time.Minute)
				for range 100 {
					require.Equal(t, errLoad, c.Refresh(bg, "k"))
				}
				time.Sleep(time.Hour - 1)
				for range 3 {
					requireGet(t, 1, c)
					synctest.Wait()
				}
				require.Equal(t, 100, loads, "%v, %v", most, errorTTL)
			})
		}
	}
}

// TestLongestTimes: no sum of two of them overflows.
func TestLongestTimes(t *testing.T) {
	const long = time.Duration(math.MaxInt64)
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &options{
			TTL: 1, ErrorTTL: long, StaleWhileRevalidate: long, StaleIfError: long, IdleTTL: long, MaxBackoff: long, Jitter: 0.5})
		c.Put("k", 1)
		for range 3 {
			time.Sleep(time.Hour)
			require.Equal(t, errLoad, c.Refresh(bg, "k"))
			requireGet(t, 1, c)
			e, ok := c.Entry("k")
			require.True(t, ok)
			require.True(t, e.Stale)
			require.Equal(t, errLoad, e.Err)
			require.Zero(t, e.KeptUntil)
		}
	})
	bubble(t, func(t *testing.T) {
		b := newBatcher()
		c := newCache(t, b.loadKey, &options{MaxBatch: math.MaxInt, BatchDelay: long, LoadMany: b.loadMany, MaxWaiters: math.MaxInt, MaxLoads: math.MaxInt})
		got := getEach(c, bg, "a")[0]
		require.NoError(t, c.Close())
		require.Equal(t, dedup.ErrClosed, (<-got).err)
	})
}

// TestBackoffBehindASlowCallback: the time that callbacks take is no part of it.
func TestBackoffBehindASlowCallback(t *testing.T) {
	for _, most := range []time.Duration{time.Hour, math.MaxInt64} {
		bubble(t, func(t *testing.T) {
			loads := 0
			c := newCache(t, newLoader().loadKey, &options{
				TTL: time.Minute, StaleWhileRevalidate: time.Hour, MaxBackoff: most,
				LoadMany: func(context.Context, []string) (map[string]int, error) { loads++; return nil, errLoad },
				ErrorTTLOf: func(key string, _ error) time.Duration {
					if key == "slow" {
						time.Sleep(10 * time.Second)
					}
					return time.Second
				},
			})
			c.Put("k", 1)
			time.Sleep(time.Minute)
			for range 3 {
				require.ErrorIs(t, c.RefreshMany(bg, []string{"k", "slow"}), errLoad)
			}
			get := func() {
				m, err := c.GetMany(bg, []string{"k"})
				require.NoError(t, err)
				require.Len(t, m, 1)
				synctest.Wait()
			}
			time.Sleep(4*time.Second - 1)
			get()
			require.Equal(t, 3, loads)
			time.Sleep(time.Nanosecond)
			get()
			require.Equal(t, 4, loads)
		})
	}
}
