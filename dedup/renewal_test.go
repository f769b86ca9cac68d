package dedup_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// TestFailingRenewalsAreSpaced: the time between them doubles up to MaxBackoff, and begins
// anew after a success.
func TestFailingRenewalsAreSpaced(t *testing.T) {
	for name, o := range map[string]options{
		"StaleWhileRevalidate": {StaleWhileRevalidate: time.Hour},
		"StaleIfError":         {StaleIfError: time.Hour},
		"ErrorTTL":             {StaleIfError: time.Hour, ErrorTTL: time.Second},
		"bounded":              {StaleWhileRevalidate: time.Hour, MaxEntries: 10},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				fail := true
				var at []time.Duration
				var start time.Time
				o.TTL, o.MaxBackoff = time.Minute, 5*time.Second
				c := newCache(t, func(context.Context, string) (int, error) {
					at = append(at, time.Since(start))
					if fail {
						return 0, errLoad
					}
					return 1, nil
				}, &o)
				ask := func(d time.Duration) (times []time.Duration) {
					start, at = time.Now(), nil
					for range d / (100 * time.Millisecond) {
						requireGet(t, 1, c)
						synctest.Wait()
						time.Sleep(100 * time.Millisecond)
					}
					return at
				}
				c.Put("k", 1)
				s := time.Second
				for range 2 {
					time.Sleep(time.Minute)
					require.Equal(t, []time.Duration{0, s, 3 * s, 7 * s, 12 * s, 17 * s}, ask(20*s))
					fail = false
					require.Len(t, ask(5*s), 1)
					fail = true
				}
			})
		})
	}
}

// TestBackoffHasJitter, as a TTL has.
func TestBackoffHasJitter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		c := newCache(t, func(context.Context, string) (int, error) { n++; return 0, errLoad },
			&options{TTL: time.Minute, StaleWhileRevalidate: time.Hour, MaxBackoff: time.Second, Jitter: 1})
		c.Put("k", 1)
		time.Sleep(time.Minute)
		for range 1000 {
			requireGet(t, 1, c)
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		require.Greater(t, n, 11)
	})
}

// TestReloadWithGetsTheOldValue when one is there, even if its time is over.
func TestReloadWithGetsTheOldValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		loads := 0
		c := newCache(t, func(context.Context, string) (int, error) { loads++; return 100, nil }, &options{
			TTL: time.Minute, StaleWhileRevalidate: time.Minute,
			ReloadWith: func(_ context.Context, key string, old int) (int, error) {
				require.Equal(t, "k", key)
				return old + 1, nil
			},
		})
		requireGet(t, 100, c)
		require.NoError(t, c.Refresh(bg, "k"))
		requireGet(t, 101, c)
		time.Sleep(time.Minute)
		requireGet(t, 101, c)
		synctest.Wait()
		requireGet(t, 102, c)
		time.Sleep(time.Hour)
		requireGet(t, 103, c)
		require.NoError(t, c.RefreshMany(bg, []string{"k"}))
		requireGet(t, 104, c)
		require.Equal(t, 1, loads)
		c.Invalidate("k")
		requireGet(t, 100, c)
		c.InvalidateAll()
		requireGet(t, 100, c)
		require.Equal(t, 3, loads)
	})
}

// TestIdleValuesLeave: those that nobody asks for, whatever their TTL.
func TestIdleValuesLeave(t *testing.T) {
	for name, o := range map[string]options{
		"no TTL":  {},
		"TTL":     {TTL: time.Hour},
		"bounded": {MaxEntries: 10},
		"stale":   {TTL: time.Second, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := new(removals)
				o.IdleTTL, o.OnRemove = time.Minute, r.onRemove
				c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &o)
				c.Put("k", 1)
				stored := time.Now()
				asks := []func(){
					func() { requireGet(t, 1, c) },
					func() {
						m, err := c.GetMany(bg, []string{"k"})
						require.NoError(t, err)
						require.Len(t, m, 1)
					},
					func() { _, err := c.GetEntry(bg, "k"); require.NoError(t, err) },
				}
				for i := range 6 {
					time.Sleep(50 * time.Second)
					asks[i%3]()
				}
				for range 5 { // these do not ask
					time.Sleep(11 * time.Second)
					c.Peek("k")
					d, ok := c.Entry("k")
					require.True(t, ok)
					require.Equal(t, stored.Add(6*time.Minute).Round(0), d.KeptUntil.Round(0))
					for range c.All() {
					}
				}
				time.Sleep(5 * time.Second)
				_, ok := c.Entry("k")
				require.False(t, ok)
				requireGetFails(t, c)
				requireGetFails(t, c)
				c.Put("k", 2)
				require.Equal(t, []removedValue{{"k", 1, dedup.RemoveExpired}}, r.next())
			})
		})
	}
}

// TestIdleValuesAreSwept as others are stored.
func TestIdleValuesAreSwept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(context.Context, int) (int, error) { return 0, errLoad }, &dedup.CacheOptions[int, int]{IdleTTL: time.Minute})
		for i := range 1000 {
			c.Put(i, i)
			time.Sleep(time.Second)
		}
		require.Less(t, c.Stats().Entries, 200)
	})
}
