package dedup_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

const gatherDelay = 10 * time.Millisecond

// overGathered runs f with a MaxBatch of 3 unless o has another, in a bubble.
func overGathered(t *testing.T, o options, f func(t *testing.T, c *dedup.Cache[string, int], b *batcher)) {
	t.Helper()
	if o.MaxBatch == 0 {
		o.MaxBatch, o.BatchDelay = 3, gatherDelay
	}
	overBatches(t, o, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		f(t, c, b)
		b.requireNone(t) // no Loader
		require.Empty(t, b.many)
	})
}

// getEach starts a Get of each key, one after the other.
func getEach(c *dedup.Cache[string, int], ctx context.Context, keys ...string) (got []<-chan result) {
	for _, key := range keys {
		got = append(got, cacheOf(c).startN(1, ctx, key)...)
	}
	return got
}

// TestGetsThatComeTogetherAreLoadedTogether, BatchDelay after the first, with a key that
// several callers ask for once.
func TestGetsThatComeTogetherAreLoadedTogether(t *testing.T) {
	overGathered(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		began := time.Now()
		got := getEach(c, bg, "a")
		time.Sleep(gatherDelay / 2)
		got = append(got, getEach(c, bg, "b", "a")...)
		require.Empty(t, b.many)
		call := <-b.many
		require.Equal(t, gatherDelay, time.Since(began))
		require.Equal(t, []string{"a", "b"}, call.keys)
		got = append(got, getEach(c, bg, "b")...)
		call.gate <- manyResult{m: map[string]int{"a": 1, "b": 2, "extra": 3}}
		for i, v := range []int{1, 2, 1, 2} {
			require.Equal(t, result{v: v}, <-got[i])
		}
		synctest.Wait()
		requireHas(t, c, "extra", 3)
		require.Equal(t, dedup.Stats{Misses: 4, Coalesced: 2, Loads: 2, Entries: 3, LoadTime: 3 * gatherDelay / 2}, c.Stats())
	})
}

// TestAFullBatchIsLoadedAtOnce, and the next key begins another one.
func TestAFullBatchIsLoadedAtOnce(t *testing.T) {
	overGathered(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		began := time.Now()
		got := getEach(c, bg, "a", "b", "c", "d")
		full := b.nextMany(t)
		require.Equal(t, []string{"a", "b", "c"}, full.keys)
		require.Equal(t, began, time.Now())
		next := <-b.many
		require.Equal(t, []string{"d"}, next.keys)
		require.Equal(t, gatherDelay, time.Since(began))
		next.gate <- manyResult{m: map[string]int{"d": 4}}
		full.gate <- manyResult{m: map[string]int{"a": 1, "b": 2, "c": 3}}
		for i := range got {
			require.Equal(t, result{v: i + 1}, <-got[i])
		}
	})
}

// TestABatchOfOne is a load without a delay.
func TestABatchOfOne(t *testing.T) {
	overGathered(t, options{MaxBatch: 1, BatchDelay: time.Hour}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		got := getEach(c, bg, "a")[0]
		b.nextMany(t).gate <- manyResult{m: map[string]int{"a": 1}}
		require.Equal(t, result{v: 1}, <-got)
	})
}

// TestKeysAreGatheredUntilThereIsASlot, also without a BatchDelay.
func TestKeysAreGatheredUntilThereIsASlot(t *testing.T) {
	overGathered(t, options{MaxBatch: 3, MaxLoads: 1}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		got := getEach(c, bg, "a", "b", "c", "d", "e")
		for _, keys := range [][]string{{"a"}, {"b", "c", "d"}, {"e"}} {
			call := b.nextMany(t)
			require.Equal(t, keys, call.keys)
			m := make(map[string]int)
			for _, key := range keys {
				m[key] = int(key[0])
			}
			call.gate <- manyResult{m: m}
		}
		for i := range got {
			require.Equal(t, result{v: 'a' + i}, <-got[i])
		}
	})
}

// TestEachCallerOfAGatheredKeyLeavesAtOnce: a key that nobody waits for any more is not
// loaded, and when nobody waits for any key the load is canceled.
func TestEachCallerOfAGatheredKeyLeavesAtOnce(t *testing.T) {
	overGathered(t, options{MaxBatch: 4, BatchDelay: gatherDelay}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		ctx, cancel := context.WithCancelCause(bg)
		left := getEach(c, ctx, "left")[0]
		ctx2, cancel2 := context.WithCancelCause(bg)
		got := getEach(c, ctx2, "a", "b")
		cancel(errCause)
		require.ErrorIs(t, (<-left).err, errCause)
		call := b.nextOf(t, "a", "b")
		require.NoError(t, call.ctx.Err())
		cancel2(errCause)
		for i := range got {
			require.ErrorIs(t, (<-got[i]).err, errCause)
		}
		synctest.Wait()
		require.ErrorIs(t, context.Cause(call.ctx), dedup.ErrAbandoned)
	})
}

// TestABatchThatAllLeaveIsNotLoaded, and a caller who comes then begins another one.
func TestABatchThatAllLeaveIsNotLoaded(t *testing.T) {
	overGathered(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		leave := func() {
			ctx, cancel := context.WithCancelCause(bg)
			got := getEach(c, ctx, "a", "b")
			cancel(errCause)
			for i := range got {
				require.ErrorIs(t, (<-got[i]).err, errCause)
			}
		}
		leave()
		time.Sleep(2 * gatherDelay)
		require.Empty(t, b.many)
		require.Zero(t, c.Stats().InFlight)
		leave()
		time.Sleep(gatherDelay / 2)
		began := time.Now()
		got := getEach(c, bg, "a")[0]
		call := b.nextOf(t, "a")
		require.Equal(t, gatherDelay, time.Since(began))
		call.gate <- manyResult{m: map[string]int{"a": 1}}
		require.Equal(t, result{v: 1}, <-got)
		synctest.Wait()
		require.EqualValues(t, 1, c.Stats().Loads)
	})
}

// TestKeysThatWereLeftCountForMaxBatch while others are waited for.
func TestKeysThatWereLeftCountForMaxBatch(t *testing.T) {
	overGathered(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		got := getEach(c, bg, "a")[0]
		ctx, cancel := context.WithCancel(bg)
		left := getEach(c, ctx, "left")[0]
		cancel()
		require.Error(t, (<-left).err)
		other := getEach(c, bg, "b")[0]
		call := b.nextMany(t) // full
		require.Equal(t, []string{"a", "b"}, call.keys)
		call.gate <- manyResult{m: map[string]int{"a": 1, "b": 2}}
		require.Equal(t, result{v: 1}, <-got)
		require.Equal(t, result{v: 2}, <-other)
	})
}

// TestAGatheredKeyThatIsInvalidated and asked for again is loaded once for both callers,
// and the extra keys of that call are stored.
func TestAGatheredKeyThatIsInvalidated(t *testing.T) {
	overGathered(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		first := getEach(c, bg, "a")[0]
		c.Invalidate("a")
		second := getEach(c, bg, "a")[0]
		c.InvalidateAll()
		third := getEach(c, bg, "a")[0]
		call := b.nextMany(t)
		require.Equal(t, []string{"a"}, call.keys)
		call.gate <- manyResult{m: map[string]int{"a": 1, "b": 2, "c": 3}}
		for _, got := range []<-chan result{first, second, third} {
			require.Equal(t, result{v: 1}, <-got)
		}
		synctest.Wait()
		requireHas(t, c, "a", 1)
		requireHas(t, c, "b", 2)
		requireHas(t, c, "c", 3)
	})
}

// TestAGatheredKeyThatIsPut is loaded for its caller only.
func TestAGatheredKeyThatIsPut(t *testing.T) {
	overGathered(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		got := getEach(c, bg, "a")[0]
		c.Put("a", 5)
		require.Equal(t, result{v: 5}, get(c, bg, "a"))
		b.nextOf(t, "a").gate <- manyResult{m: map[string]int{"a": 1}}
		require.Equal(t, result{v: 1}, <-got)
		synctest.Wait()
		requireHas(t, c, "a", 5)
	})
}

// nextOf waits for the next call of LoadMany, which must be for keys.
func (b *batcher) nextOf(t testing.TB, keys ...string) *manyCall {
	t.Helper()
	call := <-b.many
	require.Equal(t, keys, call.keys)
	return call
}

// TestErrorsOfABatchThatWasGathered reach the callers of their keys.
func TestErrorsOfABatchThatWasGathered(t *testing.T) {
	overGathered(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		got := getEach(c, bg, "a", "b", "c")
		b.nextOf(t, "a", "b", "c").gate <- manyResult{m: map[string]int{"a": 1}, err: dedup.KeyErrors[string]{"b": errLoad}}
		require.Equal(t, result{v: 1}, <-got[0])
		require.Equal(t, result{err: errLoad}, <-got[1])
		require.Equal(t, result{err: dedup.ErrNotLoaded}, <-got[2])
		crashed := getEach(c, bg, "d", "e")
		b.nextOf(t, "d", "e").gate <- manyResult{end: func() { panic(errCause) }}
		for i := range crashed {
			require.ErrorIs(t, (<-crashed[i]).err, errCause)
		}
	})
}

// TestALoadThatAsksItsOwnCacheIsGathered: it waits for the next batch, even if there is one
// slot only, and not for itself.
func TestALoadThatAsksItsOwnCacheIsGathered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var c *dedup.Cache[string, int]
		var calls [][]string
		c = newCache(t, newLoader().loadKey, &options{MaxBatch: 3, BatchDelay: gatherDelay, MaxLoads: 1,
			LoadMany: func(ctx context.Context, keys []string) (map[string]int, error) {
				calls = append(calls, keys)
				m := make(map[string]int)
				for _, key := range keys {
					_, err := c.Get(ctx, key)
					require.ErrorIs(t, err, dedup.ErrCycle)
					if len(key) > 1 {
						v, err := c.Get(ctx, key[1:])
						require.NoError(t, err)
						m[key] = 1 + v
					} else {
						m[key] = 1
					}
				}
				return m, nil
			}})
		got := getEach(c, bg, "abcd", "efg")
		require.Equal(t, result{v: 4}, <-got[0])
		require.Equal(t, result{v: 3}, <-got[1])
		require.Equal(t, [][]string{{"abcd", "efg"}, {"bcd"}, {"cd"}, {"d"}, {"fg"}, {"g"}}, calls)
	})
}

// TestCloseEndsABatchThatGathers at once, also one that waits for a slot.
func TestCloseEndsABatchThatGathers(t *testing.T) {
	for name, loads := range map[string]int{"before its time": 0, "in line for a slot": 1} {
		t.Run(name, func(t *testing.T) {
			overGathered(t, options{MaxBatch: 3, BatchDelay: gatherDelay, MaxLoads: loads}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
				var stuck chan manyResult
				if loads > 0 {
					busy := startMany(c, bg, "busy")
					stuck = b.nextOf(t, "busy").gate
					defer func() { <-busy }()
				}
				got := getEach(c, bg, "a", "b")
				if loads > 0 {
					time.Sleep(2 * gatherDelay)
				}
				require.NoError(t, c.Close())
				for i := range got {
					require.ErrorIs(t, (<-got[i]).err, dedup.ErrClosed)
				}
				require.ErrorIs(t, get(c, bg, "c").err, dedup.ErrClosed)
				if loads > 0 {
					stuck <- manyResult{}
				}
				time.Sleep(2 * gatherDelay)
			})
		})
	}
}

// TestBackgroundLoadsAreGathered with the keys that callers wait for, and so are the loads
// of Refresh and GetEntry. GetMany does not wait for them.
func TestBackgroundLoadsAreGathered(t *testing.T) {
	o := options{MaxBatch: 4, BatchDelay: gatherDelay, TTL: time.Second, StaleWhileRevalidate: time.Minute}
	overGathered(t, o, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("stale", 1)
		time.Sleep(time.Second)
		require.Equal(t, result{v: 1}, get(c, bg, "stale"))
		refreshed := async(func() result { return result{err: c.Refresh(bg, "r")} })
		synctest.Wait()
		entry := async(func() result { e, err := c.GetEntry(bg, "e"); return result{v: e.Value, err: err} })
		many := startMany(c, bg, "m")
		b.nextOf(t, "m").gate <- manyResult{m: map[string]int{"m": 9}}
		require.Equal(t, manyOutcome{m: map[string]int{"m": 9}}, <-many)
		b.nextOf(t, "stale", "r", "e").gate <- manyResult{m: map[string]int{"stale": 2, "r": 3, "e": 4}}
		require.Equal(t, result{}, <-refreshed)
		require.Equal(t, result{v: 4}, <-entry)
		require.Equal(t, result{v: 2}, get(c, bg, "stale"))
		requireHas(t, c, "r", 3)
	})
}

// TestTheContextOfAGatheredBatch has the values of the first caller's context, and neither
// its end nor those of others.
func TestTheContextOfAGatheredBatch(t *testing.T) {
	type key struct{}
	overGathered(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		ctx, cancel := context.WithCancel(context.WithValue(bg, key{}, "first"))
		first := getEach(c, ctx, "a")[0]
		second := getEach(c, context.WithValue(bg, key{}, "second"), "b")[0]
		call := b.nextOf(t, "a", "b")
		cancel()
		require.Error(t, (<-first).err)
		synctest.Wait()
		require.NoError(t, call.ctx.Err())
		require.Equal(t, "first", call.ctx.Value(key{}))
		call.gate <- manyResult{m: map[string]int{"b": 2}}
		require.Equal(t, result{v: 2}, <-second)
	})
}

// TestEachGatheredKeyIsReported to OnLoad, with the time since its first call.
func TestEachGatheredKeyIsReported(t *testing.T) {
	var told []dedup.LoadInfo[string]
	o := options{OnLoad: func(i dedup.LoadInfo[string]) { told = append(told, i) }}
	overGathered(t, o, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		got := getEach(c, bg, "a", "a", "b")
		b.nextOf(t, "a", "b").gate <- manyResult{m: map[string]int{"a": 1}}
		for i := range got {
			<-got[i]
		}
		synctest.Wait()
		require.Equal(t, []dedup.LoadInfo[string]{{"a", gatherDelay, nil, 2}, {"b", gatherDelay, dedup.ErrNotLoaded, 1}}, told)
	})
}

// TestAKeyThatIsNotEqualToItselfIsNotGathered: LoadMany could return no value for it.
func TestAKeyThatIsNotEqualToItselfIsNotGathered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(_ context.Context, key float64) (int, error) { return 1, nil },
			&dedup.CacheOptions[float64, int]{MaxBatch: 2, LoadMany: func(context.Context, []float64) (map[float64]int, error) { return nil, nil }})
		nan := 0.0
		nan /= nan
		for _, ctx := range []context.Context{bg, t.Context()} {
			v, err := c.Get(ctx, nan)
			require.NoError(t, err)
			require.Equal(t, 1, v)
		}
	})
}

func TestOptionsOfBatchesThatAreInvalid(t *testing.T) {
	many := newBatcher().loadMany
	for text, o := range map[string]options{
		"MaxBatch is -1, must not be negative":     {MaxBatch: -1, LoadMany: many},
		"BatchDelay is -1ns, must not be negative": {MaxBatch: 1, BatchDelay: -1, LoadMany: many},
		"MaxBatch needs LoadMany":                  {MaxBatch: 1},
		"BatchDelay needs MaxBatch":                {BatchDelay: 1, LoadMany: many},
	} {
		_, err := dedup.NewCache(newLoader().loadKey, &o)
		require.EqualError(t, err, "dedup: CacheOptions: "+text)
	}
}

// TestNoCallIsAboveMaxBatch, also for GetMany and RefreshMany, with loads in the
// background. All calls are made at the same time.
func TestNoCallIsAboveMaxBatch(t *testing.T) {
	overGathered(t, options{MaxBatch: 2, TTL: time.Minute, StaleWhileRevalidate: time.Minute}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("stale", 1)
		time.Sleep(time.Minute)
		keys := []string{"a", "stale", "b", "a", "c", "d"}
		answer := func() {
			var calls [][]string
			synctest.Wait()
			for range 3 {
				require.NotEmpty(t, b.many, "all begin at the same time")
				call := <-b.many
				calls = append(calls, call.keys)
				m := map[string]int{}
				for _, key := range call.keys {
					m[key] = 2
				}
				call.gate <- manyResult{m: m}
			}
			require.ElementsMatch(t, [][]string{{"a", "stale"}, {"b", "c"}, {"d"}}, calls)
		}
		out := startMany(c, bg, keys...)
		answer()
		require.Equal(t, manyOutcome{m: map[string]int{"a": 2, "stale": 1, "b": 2, "c": 2, "d": 2}}, <-out)
		got := async(func() result { return result{err: c.RefreshMany(bg, keys)} })
		answer()
		require.NoError(t, (<-got).err)
		synctest.Wait()
		requireHas(t, c, "stale", 2)
	})
}
