package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// TestStaleValuesAndKeptErrorsTakeNoSlots (node-lru-cache#233): while
// StaleWhileRevalidate lasts, the old value is served even if loads fail. After it, the
// kept error is returned.
func TestStaleValuesAndKeptErrorsTakeNoSlots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &counting{failing: true}
		c := newCache(t, l.load, &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute, ErrorTTL: 7 * time.Second})
		c.Put("k", 1)
		time.Sleep(time.Minute)
		for i := range 60 {
			requireGet(t, 1, c)
			synctest.Wait()
			require.Equal(t, 1+i/7, l.n, "a kept error only puts off the next load")
			time.Sleep(time.Second)
		}
		requireGetFails(t, c)
		require.Equal(t, 9, l.n, "the error is kept still")
	})
}

// TestAFailingBackendIsNotAskedAtEveryCall (streamlit#14690), but once per second and key
// while a stale value is served, unless ErrorTTL differs.
func TestAFailingBackendIsNotAskedAtEveryCall(t *testing.T) {
	windows := map[string]options{
		"StaleWhileRevalidate": {StaleWhileRevalidate: time.Hour},
		"StaleIfError":         {StaleIfError: time.Hour},
		"both":                 {StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour},
	}
	for name, o := range windows {
		for _, errorTTL := range []time.Duration{0, 100 * time.Millisecond, 2 * time.Second} {
			t.Run(fmt.Sprintf("%s, ErrorTTL %v", name, errorTTL), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := &counting{failing: true}
					o.TTL, o.ErrorTTL = time.Minute, errorTTL
					c := newCache(t, l.load, &o)
					c.Put("k", 1)
					time.Sleep(time.Minute)
					for range 1000 {
						requireGet(t, 1, c)
						synctest.Wait()
						time.Sleep(10 * time.Millisecond)
					}
					between := errorTTL
					if between == 0 {
						between = time.Second
					}
					require.Equal(t, int(10*time.Second/between), l.n)
					require.EqualValues(t, 1000, c.Stats().Stale)
					time.Sleep(between)
					l.failing = false
					v, err := c.Get(bg, "k")
					require.NoError(t, err)
					synctest.Wait()
					require.Contains(t, []int{1, l.n}, v)
					requireGet(t, l.n, c)
				})
			})
		}
	}
}

// TestCoolDownIsForStaleValuesOnly: without an old value, an error that is not kept is
// returned to no later caller.
func TestCoolDownIsForStaleValuesOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &counting{failing: true}
		c := newCache(t, l.load, &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute})
		requireGetFails(t, c)
		requireGetFails(t, c)
		require.Equal(t, 2, l.n)
		require.Zero(t, c.Stats().Entries)
		c.Put("k", 1)
		time.Sleep(2 * time.Minute)
		requireGetFails(t, c)
		requireGetFails(t, c)
		require.Equal(t, 4, l.n)
	})
}

// TestRefreshDoesNotWaitForTheCoolDown, and a new value ends it.
func TestRefreshDoesNotWaitForTheCoolDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &counting{failing: true}
		c := newCache(t, l.load, &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute})
		c.Put("k", 1)
		time.Sleep(time.Minute)
		requireGet(t, 1, c)
		synctest.Wait()
		require.Equal(t, errLoad, c.Refresh(bg, "k"))
		require.Equal(t, 2, l.n)
		l.failing = false
		require.NoError(t, c.Refresh(bg, "k"))
		requireGet(t, 3, c)
		requirePeek(t, 3, c)
	})
}

// TestStaleKeysOfGetManyAreLoadedTogether (caffeine#7, #655) with the missing ones, in
// one LoadMany for which the caller does not wait.
func TestStaleKeysOfGetManyAreLoadedTogether(t *testing.T) {
	const n = 100
	for _, missing := range []int{0, 1} {
		bubble(t, func(t *testing.T) {
			var single, many, last int
			c := newCache(t, func(context.Context, int) (int, error) { single++; return 2, nil }, &dedup.CacheOptions[int, int]{
				TTL: time.Minute, StaleWhileRevalidate: time.Minute, MaxWaiters: 1,
				LoadMany: func(_ context.Context, keys []int) (map[int]int, error) {
					many++
					last = len(keys)
					found := make(map[int]int)
					for _, k := range keys {
						found[k] = 2
					}
					return found, nil
				},
			})
			var keys []int
			for k := range n {
				c.Put(k, 1)
				keys = append(keys, k)
			}
			for k := range missing {
				keys = append(keys, n+k)
			}
			time.Sleep(time.Minute)
			m, err := c.GetMany(bg, keys)
			require.NoError(t, err)
			require.Len(t, m, n+missing)
			require.Equal(t, 1, m[0], "stale")
			synctest.Wait()
			require.Zero(t, single)
			require.Equal(t, 1, many)
			require.Equal(t, n+missing, last)
			m, err = c.GetMany(bg, keys)
			require.NoError(t, err)
			require.Equal(t, 2, m[0])
			require.EqualValues(t, n, c.Stats().Stale)
		})
	}
}

// TestStaleBatchForNothing: all its keys are put before it begins.
func TestStaleBatchForNothing(t *testing.T) {
	overBatches(t, options{TTL: time.Minute, StaleWhileRevalidate: time.Minute}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("a", 1)
		time.Sleep(time.Minute)
		_, err := c.GetMany(bg, []string{"a"})
		require.NoError(t, err)
		call := b.nextMany(t)
		c.Put("a", 3)
		synctest.Wait()
		require.ErrorIs(t, context.Cause(call.ctx), dedup.ErrAbandoned)
		require.Zero(t, c.Stats().InFlight)
		requireHas(t, c, "a", 3)
	})
}

// TestUnrequestedKeysAreKept (caffeine#1409) unless there is something newer: a fresh
// value, or one that was put or invalidated since the load began.
func TestUnrequestedKeysAreKept(t *testing.T) {
	extras := map[string]int{"asked": 1, "new": 2, "stale": 2, "fresh": 2, "put": 2, "invalidated": 2, "loading": 2, "not kept": 0}
	o := options{TTLOf: func(key string, v int) time.Duration {
		if v == 0 {
			return 0
		}
		return time.Minute
	}, StaleWhileRevalidate: time.Hour}
	overBatches(t, o, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("stale", 1)
		c.Put("invalidated", 1)
		time.Sleep(time.Minute)
		c.Put("fresh", 1)
		out := startMany(c, bg, "asked")
		loading := cacheOf(c).startN(1, bg, "loading")[0]
		c.Put("put", 3)
		c.Invalidate("put")
		c.Invalidate("invalidated")
		b.nextMany(t).gate <- manyResult{m: extras}
		require.Equal(t, manyOutcome{map[string]int{"asked": 1}, nil}, <-out)
		for key, want := range map[string]int{"new": 2, "stale": 2, "fresh": 1, "put": 0, "invalidated": 0, "loading": 0, "not kept": 0} {
			v, _ := c.Peek(key)
			require.Equal(t, want, v, key)
		}
		require.Len(t, extras, 8, "the map is LoadMany's")
		b.next(t).give(5)
		require.Equal(t, result{v: 5}, <-loading)
	})
}

// TestUnrequestedKeysAfterInvalidateAll are as old as all others.
func TestUnrequestedKeysAfterInvalidateAll(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		out := startMany(c, bg, "asked")
		c.InvalidateAll()
		b.nextMany(t).gate <- manyResult{m: map[string]int{"asked": 1, "more": 2}}
		require.NoError(t, (<-out).err)
		for _, key := range []string{"asked", "more"} {
			_, ok := c.Peek(key)
			require.False(t, ok)
		}
		require.Zero(t, c.Stats().Entries)
	})
}

// TestUnrequestedKeysOfAFailingLoadMany are kept too.
func TestUnrequestedKeysOfAFailingLoadMany(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		out := startMany(c, bg, "asked")
		b.nextMany(t).gate <- manyResult{m: map[string]int{"more": 2}, err: errLoad}
		require.True(t, errors.Is((<-out).err, errLoad))
		requireHas(t, c, "more", 2)
	})
}
