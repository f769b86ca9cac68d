package dedup_test

import (
	"context"
	"maps"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// TestAllYieldsWhatPeekReturns: fresh values, not stale ones, and no errors.
func TestAllYieldsWhatPeekReturns(t *testing.T) {
	for name, o := range map[string]options{"open": {}, "bounded": {MaxEntries: 100}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o.TTL, o.StaleWhileRevalidate, o.ErrorTTL = time.Minute, time.Minute, time.Hour
				c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &o)
				require.Empty(t, maps.Collect(c.All()))
				c.Put("stale", 1)
				time.Sleep(time.Minute)
				c.Put("a", 1)
				c.Put("b", 2)
				_, _ = c.Get(bg, "error")
				stats := c.Stats()
				require.Equal(t, map[string]int{"a": 1, "b": 2}, maps.Collect(c.All()))
				for key := range c.All() { // the body may do anything
					c.Invalidate(key)
					c.Put("c", 3)
					break
				}
				require.Len(t, maps.Collect(c.All()), 2)
				require.Equal(t, stats.Hits, c.Stats().Hits)
				require.NoError(t, c.Close())
				require.Empty(t, maps.Collect(c.All()))
			})
		})
	}
}

// TestEntryTellsSinceWhenAndUntilWhen something is kept.
func TestEntryTellsSinceWhenAndUntilWhen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fail := errLoad
		c := newCache(t, func(context.Context, string) (int, error) { return 0, fail }, &options{
			TTLOf:    func(_ string, v int) time.Duration { return time.Duration(v) * time.Second },
			ErrorTTL: time.Hour, StaleIfError: time.Minute,
		})
		_, ok := c.Entry("a")
		require.False(t, ok)
		start := time.Now()
		at := func(d time.Duration) time.Time { return start.Add(d) }
		requireEntry := func(want dedup.Entry[int], key string) {
			t.Helper()
			got, ok := c.Entry(key)
			require.True(t, ok)
			requireSame(t, want, got)
		}
		c.Put("a", 10)
		want := dedup.Entry[int]{Value: 10, HasValue: true, Stored: start, FreshUntil: at(10 * time.Second), KeptUntil: at(70 * time.Second)}
		requireEntry(want, "a")
		time.Sleep(10 * time.Second)
		want.Stale = true
		requireEntry(want, "a")
		require.Equal(t, errLoad, c.Refresh(bg, "a"))
		want.Err, want.KeptUntil = errLoad, at(time.Hour+10*time.Second)
		requireEntry(want, "a")
		time.Sleep(time.Minute)
		requireEntry(dedup.Entry[int]{Err: errLoad, Stored: start, KeptUntil: want.KeptUntil}, "a")
		_, _ = c.Get(bg, "b")
		requireEntry(dedup.Entry[int]{Err: errLoad, Stored: time.Now(), KeptUntil: time.Now().Add(time.Hour)}, "b")
		time.Sleep(time.Hour)
		_, ok = c.Entry("b")
		require.False(t, ok, "its time is over")
		c.Put("c", 1)
		require.NoError(t, c.Close())
		_, ok = c.Entry("c")
		require.False(t, ok, "closed")
	})
}

// TestEntryWithoutTTLIsKeptForever, and without a limit its times are zero.
func TestEntryWithoutTTLIsKeptForever(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		got := cacheOf(c).startN(1, bg, "a")[0]
		time.Sleep(time.Second)
		l.next(t).give(7)
		require.Equal(t, result{v: 7}, <-got)
		stored := time.Now()
		time.Sleep(time.Hour)
		d, ok := c.Entry("a")
		require.True(t, ok)
		requireSame(t, dedup.Entry[int]{Value: 7, HasValue: true, Stored: stored}, d)
	})
}

func requireSame(t testing.TB, want, got dedup.Entry[int]) {
	t.Helper()
	for _, d := range []*dedup.Entry[int]{&want, &got} {
		d.Stored, d.FreshUntil, d.KeptUntil = d.Stored.Round(0), d.FreshUntil.Round(0), d.KeptUntil.Round(0)
	}
	require.Equal(t, want, got)
}

// TestGetEntryTellsWhetherTheValueIsStale, why, and since when it is kept.
func TestGetEntryTellsWhetherTheValueIsStale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{TTL: time.Minute, StaleIfError: time.Hour})
		start := time.Now()
		entry := func(end func(*call)) dedup.Entry[int] {
			var d dedup.Entry[int]
			got := async(func() result { var err error; d, err = c.GetEntry(bg, "k"); return result{err: err} })
			end(l.next(t))
			require.NoError(t, (<-got).err)
			return d
		}
		want := dedup.Entry[int]{Value: 1, HasValue: true, Stored: start, FreshUntil: start.Add(time.Minute), KeptUntil: start.Add(time.Minute + time.Hour)}
		requireSame(t, want, entry(func(c *call) { c.give(1) }))
		d, err := c.GetEntry(bg, "k")
		require.NoError(t, err)
		requireSame(t, want, d)
		time.Sleep(time.Minute)
		want.Stale, want.Err = true, errLoad
		requireSame(t, want, entry(func(c *call) { c.fail(errLoad) }))
		want.Err = nil
		d, err = c.GetEntry(bg, "k")
		require.NoError(t, err)
		requireSame(t, want, d)
		require.EqualValues(t, 2, c.Stats().Stale)
		require.EqualValues(t, 2, c.Stats().Hits)
	})
}

// TestGetEntryOfWhatIsNotKept: its time is over at once. What fails comes with the zero
// Entry.
func TestGetEntryOfWhatIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fail := error(nil)
		c := newCache(t, func(context.Context, string) (int, error) { return 1, fail }, &options{
			TTLOf: func(string, int) time.Duration { return 0 }, ErrorTTL: time.Minute,
		})
		d, err := c.GetEntry(bg, "k")
		require.NoError(t, err)
		now := time.Now()
		requireSame(t, dedup.Entry[int]{Value: 1, HasValue: true, Stored: now, FreshUntil: now, KeptUntil: now}, d)
		fail = errLoad
		for range 2 {
			d, err = c.GetEntry(bg, "k")
			require.Equal(t, errLoad, err)
			require.Zero(t, d)
		}
		require.EqualValues(t, 1, c.Stats().Hits, "the error")
		_, err = c.GetEntry(doneCtx(), "other")
		require.ErrorIs(t, err, errCause)
		require.NoError(t, c.Close())
		_, err = c.GetEntry(bg, "k")
		require.ErrorIs(t, err, dedup.ErrClosed)
		require.Contains(t, panicText(t, func() { _, _ = c.GetEntry(nilCtx, "k") }), "dedup: ")
	})
}

// TestGetEntryOfALoadDuringAPut has the times of the load, not those of the Put.
func TestGetEntryOfALoadDuringAPut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{TTL: time.Minute})
		var d dedup.Entry[int]
		got := async(func() result { var err error; d, err = c.GetEntry(bg, "k"); return result{err: err} })
		load := l.next(t)
		c.Put("k", 5)
		time.Sleep(time.Second)
		now := time.Now()
		load.give(1)
		require.NoError(t, (<-got).err)
		requireSame(t, dedup.Entry[int]{Value: 1, HasValue: true, Stored: now, FreshUntil: now, KeptUntil: now}, d)
	})
}

// TestInvalidateFuncRemovesWhatMatches, also stale values, and returns how many.
func TestInvalidateFuncRemovesWhatMatches(t *testing.T) {
	for name, o := range map[string]options{"open": {}, "bounded": {MaxEntries: 100}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o.TTL, o.StaleWhileRevalidate, o.ErrorTTL = time.Minute, time.Hour, time.Hour
				n := 0
				c := newCache(t, func(context.Context, string) (int, error) { n++; return 0, errLoad }, &o)
				c.Put("stale", 1)
				time.Sleep(time.Minute)
				for i := range 20 {
					c.Put(strconv.Itoa(i), i)
				}
				_, _ = c.Get(bg, "error")
				require.Equal(t, 1, n)
				odd := func(_ string, v int) bool { return v%2 == 1 }
				require.Equal(t, 11, c.InvalidateFunc(odd))
				require.Zero(t, c.InvalidateFunc(odd))
				require.Len(t, maps.Collect(c.All()), 10)
				_, ok := c.Entry("stale")
				require.False(t, ok)
				_, _ = c.Get(bg, "error")
				require.Equal(t, 1, n, "the error is kept")
				require.Equal(t, "dedup: InvalidateFunc of a nil function", panicText(t, func() { c.InvalidateFunc(nil) }))
			})
		})
	}
}

// TestInvalidateFuncDuringALoad: its result goes to its callers and is not stored, because
// it may be older than the call.
func TestInvalidateFuncDuringALoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		s := cacheOf(c)
		got := s.startN(2, bg, "a")
		load := l.next(t)
		require.Zero(t, c.InvalidateFunc(func(string, int) bool { return true }))
		later := s.startN(1, bg, "a")[0]
		l.next(t).give(2)
		load.give(1)
		for _, r := range got {
			require.Equal(t, 1, (<-r).v)
		}
		require.Equal(t, 2, (<-later).v)
		requireHas(t, c, "a", 2)
	})
}

// TestInvalidateFuncDuringABatch: keys that it was not asked for are not stored either.
func TestInvalidateFuncDuringABatch(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		out := startMany(c, bg, "asked")
		call := b.nextMany(t)
		require.Zero(t, c.InvalidateFunc(func(string, int) bool { return true }))
		call.gate <- manyResult{m: map[string]int{"asked": 1, "more": 2}}
		require.Equal(t, map[string]int{"asked": 1}, (<-out).m)
		require.Zero(t, c.Stats().Entries)
	})
}

// TestInvalidateFuncDuringALoadThatBeganMeanwhile: its callers get the old value instead of
// its error, but later ones do not.
func TestInvalidateFuncDuringALoadThatBeganMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		failed, goOn, errs := make(chan struct{}), make(chan struct{}), 0
		c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &options{
			TTL: time.Minute, StaleIfError: time.Hour,
			ErrorTTLOf: func(string, error) time.Duration {
				if errs++; errs == 1 {
					close(failed)
					<-goOn
				}
				return 0
			},
		})
		c.Put("k", 1)
		time.Sleep(time.Minute)
		var got <-chan result
		require.Equal(t, 1, c.InvalidateFunc(func(string, int) bool {
			got = async(func() result { return get(c, bg, "k") })
			<-failed
			return true
		}))
		requireGetFails(t, c)
		close(goOn)
		require.Equal(t, result{v: 1}, <-got)
		requireGetFails(t, c)
	})
}

// TestInvalidateFuncDuringABatchThatBeganMeanwhile: the batch does not store again what was
// removed during it.
func TestInvalidateFuncDuringABatchThatBeganMeanwhile(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("k", 1)
		var out <-chan manyOutcome
		require.Equal(t, 1, c.InvalidateFunc(func(string, int) bool {
			out = startMany(c, bg, "asked")
			return true
		}))
		b.nextMany(t).gate <- manyResult{m: map[string]int{"asked": 1, "k": 2}}
		require.NoError(t, (<-out).err)
		requirePeek(t, 0, c)
	})
}

// TestInvalidateFuncSeesAnEntryThatChanges while the function runs for it.
func TestInvalidateFuncSeesAnEntryThatChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, nil)
		c.Put("a", 1)
		var seen []int
		require.Equal(t, 1, c.InvalidateFunc(func(_ string, v int) bool {
			seen = append(seen, v)
			if v < 3 {
				c.Put("a", v+1)
			}
			return true
		}))
		require.Equal(t, []int{1, 2, 3}, seen)
		require.Zero(t, c.Stats().Entries)
	})
}

// TestInvalidateFuncThatMisbehaves has removed what it was called for before, and leaves
// nothing locked.
func TestInvalidateFuncThatMisbehaves(t *testing.T) {
	for name, misbehave := range map[string]func(){"panics": func() { panic("f") }, "exits": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := new(removals)
				c := newCache(t, func(context.Context, string) (int, error) { return 7, nil }, &options{OnRemove: r.onRemove})
				for i := range 10 {
					c.Put(strconv.Itoa(i), i)
				}
				calls := 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					c.InvalidateFunc(func(string, int) bool {
						if calls++; calls == 4 {
							misbehave()
						}
						return true
					})
				}()
				<-done
				require.Len(t, r.next(), 3)
				require.Equal(t, 7, c.Stats().Entries)
				require.Equal(t, 7, c.InvalidateFunc(func(string, int) bool { return true }))
				synctest.Wait()
				require.Len(t, r.next(), 7)
			})
		})
	}
}
