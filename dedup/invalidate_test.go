package dedup_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
)

// overKeepers runs f with caches that keep the errors of loads, with which an old value
// could be stored again.
func overKeepers(t *testing.T, f func(t *testing.T, o options)) {
	for name, o := range map[string]options{
		"open":           {},
		"errors kept":    {ErrorTTL: time.Second},
		"bounded":        {ErrorTTL: time.Second, MaxEntries: 1000},
		"stale if error": {ErrorTTL: time.Second, TTL: 1, StaleIfError: time.Hour},
	} {
		t.Run(name, func(t *testing.T) { f(t, o) })
	}
}

// TestInvalidateAllDuringAFailingLoad: the load must not store the old value again with
// its error.
func TestInvalidateAllDuringAFailingLoad(t *testing.T) {
	overKeepers(t, func(t *testing.T, o options) {
		bubble(t, func(t *testing.T) {
			l := newLoader()
			c := newCache(t, l.loadKey, &o)
			c.Put("k", 1)
			r := async(func() result { return result{err: c.Refresh(bg, "k")} })
			call := l.next(t)
			c.InvalidateAll()
			call.fail(errLoad)
			require.ErrorIs(t, (<-r).err, errLoad)
			requirePeek(t, 0, c)
			again := cacheOf(c).start(bg, "k")
			l.next(t).give(2)
			require.Equal(t, result{v: 2}, <-again)
		})
	})
}

// TestStressInvalidateAllDuringFailingLoads: nothing that was put before the call is
// returned after it.
func TestStressInvalidateAllDuringFailingLoads(t *testing.T) {
	overKeepers(t, func(t *testing.T, o options) {
		const keys = 16
		c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &o)
		var stop atomic.Bool
		var back atomic.Int64
		var wg sync.WaitGroup
		for w := range 2 {
			wg.Go(func() {
				for i := w; !stop.Load(); i++ {
					_ = c.Refresh(bg, fmt.Sprint(i%keys))
				}
			})
		}
		for round := range testkit.Scale(1000, 100) {
			for k := range keys {
				c.Put(fmt.Sprint(k), round+1)
			}
			c.InvalidateAll()
			for k := range keys {
				if v, ok := c.Peek(fmt.Sprint(k)); ok {
					back.Add(1)
					require.Zero(t, v, "came back")
				}
				if v, err := c.Get(bg, fmt.Sprint(k)); err == nil {
					require.Zero(t, v, "came back")
				}
			}
		}
		stop.Store(true)
		wg.Wait()
		require.Zero(t, back.Load())
	})
}

// TestStressPutDuringClose: a Put that began before leaves nothing in the closed cache,
// with and without bounds.
func TestStressPutDuringClose(t *testing.T) {
	for _, most := range []int{0, 100} {
		for range testkit.Scale(2000, 200) {
			c, err := dedup.NewCache(func(context.Context, int) (int, error) { return 1, nil }, &dedup.CacheOptions[int, int]{MaxEntries: most})
			require.NoError(t, err)
			testkit.Together(3, func(i int) {
				if i == 0 {
					_ = c.Close()
					return
				}
				for k := range 5 {
					c.Put(10*i+k, 1)
				}
			})
			require.Zero(t, c.Stats().Entries)
		}
	}
}
