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

func TestTTL(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := new(counting)
		c := newCache(t, l.load, &options{TTL: time.Minute})
		requireGet(t, 1, c)
		time.Sleep(time.Minute - 1)
		requireGet(t, 1, c)
		requirePeek(t, 1, c)
		time.Sleep(time.Nanosecond)
		requirePeek(t, 0, c)
		requireGet(t, 2, c)
		c.Put("k", 10)
		time.Sleep(time.Minute - 1)
		requireGet(t, 10, c)
		time.Sleep(time.Nanosecond)
		requireGet(t, 3, c)
	})
}

// TestTTLBeginsWhenTheLoadEnds, not when it begins.
func TestTTLBeginsWhenTheLoadEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{TTL: time.Minute})
		r := cacheOf(c).start(bg, "k")
		call := l.next(t)
		time.Sleep(time.Hour)
		call.give(1)
		<-r
		time.Sleep(time.Minute - 1)
		requirePeek(t, 1, c)
	})
}

func TestNoTTLIsForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := new(counting)
		c := newCache(t, l.load, nil)
		requireGet(t, 1, c)
		time.Sleep(50 * 365 * 24 * time.Hour)
		requireGet(t, 1, c)
		huge := newCache(t, l.load, &options{TTL: math.MaxInt64})
		requireGet(t, 2, huge)
		time.Sleep(50 * 365 * 24 * time.Hour)
		requireGet(t, 2, huge)
	})
}

func TestTTLOfOverrides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := new(counting)
		ttl := 2 * time.Minute
		c := newCache(t, l.load, &options{TTL: time.Hour, TTLOf: func(key string, v int) time.Duration {
			require.Equal(t, "k", key)
			require.Equal(t, l.n, v)
			return ttl
		}})
		requireGet(t, 1, c)
		time.Sleep(2*time.Minute - 1)
		requireGet(t, 1, c)
		time.Sleep(time.Nanosecond)
		ttl = 0
		requireGet(t, 2, c)
		requireGet(t, 3, c)
		ttl = time.Minute
		requireGet(t, 4, c)
		requirePeek(t, 4, c)
		ttl = -1
		l.n = 5
		c.Put("k", 5)
		requirePeek(t, 0, c)
	})
}

func TestErrorTTL(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &counting{failing: true}
		c := newCache(t, l.load, &options{ErrorTTL: time.Minute})
		requireGetFails(t, c)
		time.Sleep(time.Minute - 1)
		requireGetFails(t, c)
		require.Equal(t, 1, l.n)
		time.Sleep(time.Nanosecond)
		l.failing = false
		requireGet(t, 2, c)
		require.Equal(t, dedup.Stats{Hits: 1, Misses: 2, Loads: 2, LoadErrors: 1, Entries: 1, LoadTime: 0}, c.Stats())
	})
}

func TestErrorTTLOfOverrides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &counting{failing: true}
		ttl := time.Duration(0)
		c := newCache(t, l.load, &options{ErrorTTL: time.Hour, ErrorTTLOf: func(key string, err error) time.Duration {
			require.Equal(t, "k", key)
			require.Equal(t, errLoad, err)
			return ttl
		}})
		requireGetFails(t, c)
		requireGetFails(t, c)
		require.Equal(t, 2, l.n)
		ttl = time.Minute
		requireGetFails(t, c)
		time.Sleep(time.Minute - 1)
		requireGetFails(t, c)
		require.Equal(t, 3, l.n)
		time.Sleep(time.Nanosecond)
		requireGetFails(t, c)
		require.Equal(t, 4, l.n)
	})
}

// TestInvalidateDropsKeptErrors, as does Put.
func TestInvalidateDropsKeptErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &counting{failing: true}
		c := newCache(t, l.load, &options{ErrorTTL: time.Hour})
		requireGetFails(t, c)
		c.Invalidate("k")
		requireGetFails(t, c)
		require.Equal(t, 2, l.n)
		c.Put("k", 7)
		requireGet(t, 7, c)
	})
}

// TestJitter shortens TTLs by up to the fraction, and not all of them by the same.
func TestJitter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(context.Context, int) (int, error) { return 1, nil },
			&dedup.CacheOptions[int, int]{TTL: time.Hour, Jitter: 0.5})
		const n = 200
		for i := range n {
			c.Put(i, 1)
		}
		left := func() (left int) {
			for i := range n {
				if _, ok := c.Peek(i); ok {
					left++
				}
			}
			return left
		}
		time.Sleep(30*time.Minute - 1)
		require.Equal(t, n, left())
		time.Sleep(15 * time.Minute)
		require.InDelta(t, n/2, left(), n/4) // binomial: 7 standard deviations
		time.Sleep(15*time.Minute + 1)
		require.Zero(t, left())
	})
}

// TestJitterOfAll never shortens a TTL to zero.
func TestJitterOfAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, new(counting).load, &options{TTL: 1, Jitter: 1})
		for range 50 {
			c.Put("k", 1)
			requirePeek(t, 1, c)
		}
	})
}

func TestStaleWhileRevalidate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute})
		c.Put("k", 1)
		time.Sleep(time.Minute)
		type key struct{}
		v, err := c.Get(context.WithValue(doneCtx(), key{}, "value"), "k") // stale, at once
		require.NoError(t, err)
		require.Equal(t, 1, v)
		call := l.next(t)
		require.NoError(t, call.ctx.Err(), "nobody's end is the load's")
		require.Equal(t, "value", call.ctx.Value(key{}))
		requireGet(t, 1, c)
		l.requireNone(t)
		requirePeek(t, 0, c)
		require.Equal(t, dedup.Stats{Hits: 2, Stale: 2, Entries: 1, InFlight: 1}, c.Stats())
		for _, info := range c.InFlight() {
			require.Zero(t, info.Waiters)
		}
		call.give(2)
		synctest.Wait()
		requireGet(t, 2, c)
		requirePeek(t, 2, c)

		time.Sleep(2*time.Minute - 1) // the last moment
		requireGet(t, 2, c)
		l.next(t).fail(errLoad)
		synctest.Wait()
		time.Sleep(time.Nanosecond)
		r := cacheOf(c).start(bg, "k")
		l.next(t).give(3)
		require.Equal(t, result{v: 3}, <-r, "too old to be served")
	})
}

// TestRevalidationIsNotCanceled when a caller that joined it leaves.
func TestRevalidationIsNotCanceled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute})
		c.Put("k", 1)
		time.Sleep(time.Minute)
		requireGet(t, 1, c)
		call := l.next(t)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithCancel(bg)
		r := cacheOf(c).start(ctx, "k")
		l.requireNone(t)
		cancel()
		require.ErrorIs(t, (<-r).err, context.Canceled)
		synctest.Wait()
		require.NoError(t, call.ctx.Err())
		call.give(2)
		synctest.Wait()
		requirePeek(t, 2, c)
	})
}

// TestStaleIfError: a failed load is not repeated for a second while an old value can be
// served.
func TestStaleIfError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := new(counting)
		c := newCache(t, l.load, &options{TTL: time.Minute, StaleIfError: time.Minute})
		requireGet(t, 1, c)
		time.Sleep(time.Minute)
		l.failing = true
		requireGet(t, 1, c)
		time.Sleep(time.Second - 1)
		requireGet(t, 1, c)
		require.Equal(t, 2, l.n, "too early")
		time.Sleep(time.Nanosecond)
		requireGet(t, 1, c)
		require.Equal(t, 3, l.n)
		require.Equal(t, dedup.Stats{Hits: 1, Misses: 3, Loads: 3, LoadErrors: 2, Stale: 3, Entries: 1}, c.Stats())
		time.Sleep(time.Second)
		l.failing = false
		requireGet(t, 4, c)
		l.failing = true
		time.Sleep(2*time.Minute - 1)
		requireGet(t, 4, c)
		time.Sleep(time.Nanosecond)
		requireGetFails(t, c)
	})
}

// TestStaleIfPanic: a panic is a failure too.
func TestStaleIfPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(context.Context, string) (int, error) { panic("no") },
			&options{TTL: time.Minute, StaleIfError: time.Minute})
		c.Put("k", 1)
		time.Sleep(time.Minute)
		requireGet(t, 1, c)
	})
}

// TestStaleIfErrorWithErrorTTL: while the error is kept, the stale value is served
// without another load. When the value is too old, the error is.
func TestStaleIfErrorWithErrorTTL(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := new(counting)
		c := newCache(t, l.load, &options{TTL: time.Minute, StaleIfError: 90 * time.Second, ErrorTTL: time.Minute})
		requireGet(t, 1, c)
		l.failing = true
		time.Sleep(time.Minute)
		requireGet(t, 1, c)
		time.Sleep(time.Minute - 1)
		requireGet(t, 1, c)
		require.Equal(t, 2, l.n)
		time.Sleep(time.Nanosecond)
		requireGet(t, 1, c)
		require.Equal(t, 3, l.n)
		time.Sleep(30 * time.Second)
		requireGetFails(t, c)
		require.Equal(t, 3, l.n)
		require.EqualValues(t, 3, c.Stats().Stale)
	})
}

// TestSweep: expired entries are removed as new ones come, though nobody asks for their
// keys. Entries that may still be served stay.
func TestSweep(t *testing.T) {
	for name, o := range map[string]*dedup.CacheOptions[int, int]{
		"open": {}, "bounded": {MaxEntries: 1_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o.TTL, o.StaleIfError, o.ErrorTTL = time.Minute, time.Minute, 3*time.Minute
				c := newCache(t, func(_ context.Context, k int) (int, error) { return 0, errLoad }, o)
				const n = 1000
				fill := func(from int) {
					for i := range n {
						c.Put(from+i, 1)
					}
					synctest.Wait()
				}
				fill(0)
				time.Sleep(2*time.Minute - 1)
				fill(n)
				require.Equal(t, 2*n, c.Stats().Entries, "may be served")
				time.Sleep(time.Nanosecond)
				fill(2 * n)
				fill(3 * n)
				require.Equal(t, 3*n, c.Stats().Entries)
				for i := range n {
					c.Get(bg, 10*n+i) // kept errors
				}
				time.Sleep(3*time.Minute - 1)
				fill(4 * n)
				fill(5 * n)
				fill(6 * n)
				require.Equal(t, 4*n, c.Stats().Entries, "errors and what is new")
				time.Sleep(time.Nanosecond)
				fill(7 * n)
				fill(8 * n)
				fill(9 * n)
				require.Equal(t, 6*n, c.Stats().Entries)
			})
		})
	}
}

// TestResultsThatAreNotStoredReplaceTheOld: a load returns a value that is not to be
// kept, so the old value is removed.
func TestResultsThatAreNotStoredReplaceTheOld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ttl := time.Minute
		c := newCache(t, new(counting).load, &options{TTLOf: func(string, int) time.Duration { return ttl }})
		requireGet(t, 1, c)
		ttl = 0
		require.NoError(t, c.Refresh(bg, "k"))
		requirePeek(t, 0, c)
	})
}

// TestRevalidationForNothing: Put and Invalidate make a load in the background useless
// unless a caller has joined it. Then it is canceled.
func TestRevalidationForNothing(t *testing.T) {
	for name, change := range map[string]func(c *dedup.Cache[string, int]){
		"Put":           func(c *dedup.Cache[string, int]) { c.Put("k", 1) },
		"Invalidate":    func(c *dedup.Cache[string, int]) { c.Invalidate("k") },
		"InvalidateAll": func(c *dedup.Cache[string, int]) { c.InvalidateAll() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLoader()
				c := newCache(t, l.loadKey, &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute})
				for _, joined := range []bool{false, true} {
					c.Put("k", 1)
					time.Sleep(time.Minute)
					requireGet(t, 1, c)
					call := l.next(t)
					ctx, cancel := context.WithCancel(bg)
					if joined {
						async(func() result { return result{err: c.Refresh(ctx, "k")} })
						synctest.Wait()
					}
					change(c)
					synctest.Wait()
					require.Equal(t, joined, call.ctx.Err() == nil)
					cancel()
					synctest.Wait()
					require.ErrorIs(t, call.canceled(), dedup.ErrAbandoned)
					require.Zero(t, c.Stats().InFlight)
				}
			})
		})
	}
}

// TestErrorsWithoutTTLAreNotStored: an error that is not kept leaves no entry behind,
// not even an expired one.
func TestErrorsWithoutTTLAreNotStored(t *testing.T) {
	c, err := dedup.NewCache(func(context.Context, int) (int, error) { return 0, errLoad },
		&dedup.CacheOptions[int, int]{StaleIfError: time.Hour})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Get(bg, 1)
	require.ErrorIs(t, err, errLoad)
	require.Zero(t, c.Stats().Entries)
}

// TestValuesOfNoTTLAreNotStored: a value that is not stored is not served stale either.
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
			v, err := c.Get(bg, 1)
			require.NoError(t, err)
			require.Equal(t, want, v)
			require.Zero(t, c.Stats().Entries)
		}
	}
}
