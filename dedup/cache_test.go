package dedup_test

import (
	"context"
	"errors"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

func TestNewCacheReportsEveryError(t *testing.T) {
	_, err := dedup.NewCache(nil, &options{
		MaxEntries: -1, MaxWaiters: -2, MaxLoads: -3, MaxWeight: 4,
		TTL: -5, ErrorTTL: -6, StaleWhileRevalidate: -7, StaleIfError: -8, Jitter: 1.5,
	})
	for _, want := range []string{
		"dedup: NewCache needs a loader",
		"dedup: CacheOptions: MaxEntries is -1, must not be negative",
		"dedup: CacheOptions: MaxWaiters is -2, must not be negative",
		"dedup: CacheOptions: MaxLoads is -3, must not be negative",
		"dedup: CacheOptions: TTL is -5ns, must not be negative",
		"dedup: CacheOptions: ErrorTTL is -6ns, must not be negative",
		"dedup: CacheOptions: StaleWhileRevalidate is -7ns, must not be negative",
		"dedup: CacheOptions: StaleIfError is -8ns, must not be negative",
		"dedup: CacheOptions: Jitter is 1.5, must be from 0 to 1",
		"dedup: CacheOptions: MaxWeight needs Weigh",
	} {
		require.ErrorContains(t, err, want)
	}
	load := newLoader().loadKey
	weigh := func(string, int) uint32 { return 1 }
	for want, o := range map[string]*options{
		"MaxEntries and MaxWeight are both set": {MaxEntries: 1, MaxWeight: 1, Weigh: weigh},
		"Weigh needs MaxWeight":                 {Weigh: weigh},
		"Jitter is NaN":                         {Jitter: math.NaN()},
		"Jitter is -0.1":                        {Jitter: -0.1},
	} {
		_, err := dedup.NewCache(load, o)
		require.ErrorContains(t, err, want)
	}
	c, err := dedup.NewCache(load, nil)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestNilArguments(t *testing.T) {
	c := newCache(t, newLoader().loadKey, nil)
	var g dedup.Group[string, int]
	for _, f := range []func(){
		func() { c.Get(nilCtx, "k") },
		func() { c.GetMany(nilCtx, nil) },
		func() { c.Refresh(nilCtx, "k") },
		func() { g.Do(nilCtx, "k", newLoader().load) },
	} {
		require.Equal(t, "dedup: nil context", panicText(t, f))
	}
	require.Equal(t, "dedup: Do of a nil function", panicText(t, func() { g.Do(bg, "k", nil) }))
}

// counting is a loader that returns 1, 2, 3 and so on, or fails.
type counting struct {
	n       int
	failing bool
}

func (l *counting) load(context.Context, string) (int, error) {
	l.n++
	if l.failing {
		return 0, errLoad
	}
	return l.n, nil
}

// requireGet requires that Get returns want.
func requireGet(t testing.TB, want int, c *dedup.Cache[string, int]) {
	t.Helper()
	v, err := c.Get(bg, "k")
	require.NoError(t, err)
	require.Equal(t, want, v)
}

func requireGetFails(t testing.TB, c *dedup.Cache[string, int]) {
	t.Helper()
	v, err := c.Get(bg, "k")
	require.ErrorIs(t, err, errLoad)
	require.Zero(t, v)
}

func requirePeek(t testing.TB, want int, c *dedup.Cache[string, int]) {
	t.Helper()
	v, ok := c.Peek("k")
	require.Equal(t, want, v)
	require.Equal(t, want != 0, ok)
}

func TestRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		c.Put("k", 1)
		r := async(func() result { return result{err: c.Refresh(bg, "k")} })
		call := l.next(t)
		requireGet(t, 1, c)
		again := async(func() result { return result{err: c.Refresh(bg, "k")} })
		l.requireNone(t)
		call.give(2)
		require.NoError(t, (<-r).err)
		require.NoError(t, (<-again).err)
		requireGet(t, 2, c)

		r = async(func() result { return result{err: c.Refresh(bg, "k")} })
		l.next(t).fail(errLoad)
		require.ErrorIs(t, (<-r).err, errLoad)
		requireGet(t, 2, c)

		require.ErrorIs(t, c.Refresh(doneCtx(), "k"), errCause)
		l.requireNone(t)
		require.Equal(t, uint64(0), c.Stats().Misses)
	})
}

// TestRefreshReturnsTheLoadsError although Get is served a stale value, and a kept error
// does not hide a fresh one.
func TestRefreshReturnsTheLoadsError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &counting{failing: true}
		c := newCache(t, l.load, &options{TTL: time.Minute, StaleIfError: time.Minute, ErrorTTL: time.Minute})
		c.Put("k", 7)
		require.ErrorIs(t, c.Refresh(bg, "k"), errLoad)
		requireGet(t, 7, c)
		requirePeek(t, 7, c)
		time.Sleep(time.Minute)
		requireGet(t, 7, c)
		require.ErrorIs(t, c.Refresh(bg, "k"), errLoad)
		require.Equal(t, 3, l.n)
	})
}

// TestRefreshOfAMissingKey loads it, and callers of Get join the load.
func TestRefreshOfAMissingKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		r := async(func() result { return result{err: c.Refresh(bg, "k")} })
		call := l.next(t)
		g := cacheOf(c).startN(1, bg, "k")[0]
		call.give(1)
		require.NoError(t, (<-r).err)
		require.Equal(t, result{v: 1}, <-g)
		require.EqualValues(t, 1, l.total.Load())
		require.Equal(t, dedup.Stats{Misses: 1, Coalesced: 1, Loads: 1, Entries: 1}, c.Stats())
	})
}

// TestMaxLoads: the other loads wait in their order, and a load that leaves the line
// never runs.
func TestMaxLoads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		s := cacheOf(newCache(t, l.loadKey, &options{MaxLoads: 2}))
		var rs []<-chan result
		for i := range 4 {
			rs = append(rs, s.startN(1, bg, strconv.Itoa(i))...)
		}
		ctx, cancel := context.WithCancelCause(bg)
		quitter := s.startN(1, ctx, "quitter")[0]
		last := s.startN(1, bg, "last")[0]
		first, second := l.next(t), l.next(t)
		l.requireNone(t)
		cancel(errCause)
		require.ErrorIs(t, (<-quitter).err, errCause)
		second.give(1)
		require.Equal(t, result{v: 1}, <-rs[1])
		l.next(t).give(2)
		require.Equal(t, result{v: 2}, <-rs[2])
		l.next(t).give(3)
		require.Equal(t, result{v: 3}, <-rs[3])
		l.next(t).give(4)
		require.Equal(t, result{v: 4}, <-last)
		first.give(0)
		require.Equal(t, result{v: 0}, <-rs[0])
		require.EqualValues(t, 2, l.peak.Load())
		require.EqualValues(t, 5, l.total.Load())
	})
}

// TestSlotsComeBack after a load that panicked.
func TestSlotsComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(context.Context, string) (int, error) { panic(errLoad) }, &options{MaxLoads: 1})
		for range 3 {
			requireGetFails(t, c)
		}
	})
}

func TestMaxWaitersLeavesOutBackgroundLoads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute, MaxWaiters: 1})
		c.Put("k", 1)
		time.Sleep(time.Minute)
		for range 5 {
			requireGet(t, 1, c)
		}
		r := async(func() result { return result{err: c.Refresh(bg, "k")} })
		synctest.Wait()
		require.ErrorIs(t, c.Refresh(bg, "k"), dedup.ErrTooManyWaiters)
		l.next(t).give(2)
		require.NoError(t, (<-r).err)
	})
}

func TestOnLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		var infos []dedup.LoadInfo[string]
		var c *dedup.Cache[string, int]
		c = newCache(t, l.loadKey, &options{TTL: time.Minute, StaleIfError: time.Hour, OnLoad: func(i dedup.LoadInfo[string]) {
			infos = append(infos, i)
			if i.Err == nil {
				v, ok := c.Peek(i.Key)
				require.True(t, ok, "published before")
				require.Equal(t, 1, v)
				c.Invalidate("another") // nothing is locked
				c.Put(i.Key, v)
			}
			panic("dropped")
		}})
		rs := cacheOf(c).startN(3, bg, "k")
		call := l.next(t)
		time.Sleep(time.Second)
		call.give(1)
		<-rs[2]
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []dedup.LoadInfo[string]{{Key: "k", Took: time.Second, Waiters: 3}}, infos)
		r := cacheOf(c).start(bg, "k")
		l.next(t).fail(errLoad)
		require.Equal(t, result{v: 1}, <-r)
		synctest.Wait()
		require.Equal(t, dedup.LoadInfo[string]{Key: "k", Err: errLoad, Waiters: 1}, infos[1])
		require.Equal(t, time.Second, c.Stats().LoadTime)
	})
}

// TestOnLoadOfACanceledLoad and an OnLoad that ends its goroutine.
func TestOnLoadOfACanceledLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		var infos []dedup.LoadInfo[string]
		c := newCache(t, l.loadKey, &options{OnLoad: func(i dedup.LoadInfo[string]) {
			infos = append(infos, i)
			panic(nil)
		}})
		ctx, cancel := context.WithCancel(bg)
		cacheOf(c).start(ctx, "k")
		l.next(t)
		cancel()
		synctest.Wait()
		require.Len(t, infos, 1)
		require.ErrorIs(t, infos[0].Err, dedup.ErrAbandoned)
		require.Zero(t, infos[0].Waiters)
		require.Equal(t, dedup.Stats{Misses: 1, Loads: 1, LoadErrors: 1}, c.Stats())
	})
}

func TestStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		rs := cacheOf(c).startN(3, bg, "k")
		call := l.next(t)
		require.Equal(t, dedup.Stats{Misses: 3, Coalesced: 2, InFlight: 1}, c.Stats())
		time.Sleep(time.Second)
		c.Invalidate("k") // detached, but a caller waits
		require.Equal(t, 1, c.Stats().InFlight)
		call.give(1)
		<-rs[0]
		synctest.Wait()
		require.Equal(t, dedup.Stats{Misses: 3, Coalesced: 2, Loads: 1, LoadTime: time.Second}, c.Stats())
		c.Put("k", 1)
		requireGet(t, 1, c)
		require.Equal(t, dedup.Stats{Hits: 1, Misses: 3, Coalesced: 2, Loads: 1, Entries: 1, LoadTime: time.Second}, c.Stats())
	})
}

func TestInFlight(t *testing.T) {
	overSubjectsInFlight := func(inFlight func(func(string, dedup.FlightInfo) bool), s subject, l *loader) {
		began := time.Now()
		ctx, cancel := context.WithCancel(bg)
		r := s.startN(1, ctx, "a")[0]
		time.Sleep(time.Minute)
		rs := append(s.startN(1, bg, "a"), s.startN(1, bg, "b")...)
		got := make(map[string]dedup.FlightInfo)
		for key, info := range inFlight {
			got[key] = info
		}
		require.Len(t, got, 2)
		require.Equal(t, 2, got["a"].Waiters)
		require.Equal(t, began, got["a"].Started)
		require.Equal(t, 1, got["b"].Waiters)
		require.Equal(t, began.Add(time.Minute), got["b"].Started)
		for range inFlight {
			break // stops
		}
		cancel()
		<-r
		s.forget("b")
		for key, info := range inFlight {
			require.Equal(t, "a", key)
			require.Equal(t, 1, info.Waiters)
		}
		l.next(t).give(1)
		l.next(t).give(1)
		<-rs[0]
		<-rs[1]
		for key := range inFlight {
			require.Fail(t, "still there", key)
		}
	}
	bubble(t, func(t *testing.T) {
		var g dedup.Group[string, int]
		l := newLoader()
		overSubjectsInFlight(g.InFlight(), groupOf(&g, l.load), l)
	})
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		overSubjectsInFlight(c.InFlight(), cacheOf(c), l)
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		l.lenient = true
		c := newCache(t, l.loadKey, &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute, MaxLoads: 3})
		c.Put("stale", 1)
		time.Sleep(time.Minute)
		c.Put("there", 1)
		_, err := c.Get(bg, "stale")
		require.NoError(t, err)
		background := l.next(t)
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		callers := cacheOf(c).startN(2, ctx, "loading")
		loading := l.next(t)
		ofDetached := cacheOf(c).startN(1, ctx, "detached")[0]
		detached := l.next(t)
		c.Invalidate("detached")
		queued := cacheOf(c).startN(1, ctx, "queued")[0]

		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		before := c.Stats()
		for _, r := range append(callers, ofDetached, queued) {
			require.Equal(t, result{err: dedup.ErrClosed}, <-r, "though the loads go on")
		}
		for _, call := range []*call{background, loading, detached} {
			require.ErrorIs(t, call.ctx.Err(), context.Canceled)
			require.Equal(t, dedup.ErrClosed, call.canceled())
		}
		requireClosed(t, c)
		background.give(1)
		loading.give(1)
		detached.give(1)
		synctest.Wait()
		requireClosed(t, c)
		require.EqualValues(t, 3, l.total.Load(), "the queued one never ran")
		require.Equal(t, before.Hits, c.Stats().Hits, "ErrClosed is none")
		require.Zero(t, c.Stats().InFlight)
		require.Zero(t, c.Stats().Entries)
	})
}

func requireClosed(t testing.TB, c *dedup.Cache[string, int]) {
	t.Helper()
	_, err := c.Get(bg, "there")
	require.Equal(t, dedup.ErrClosed, err)
	_, err = c.Get(bg, "loading")
	require.Equal(t, dedup.ErrClosed, err)
	require.Equal(t, dedup.ErrClosed, c.Refresh(bg, "there"))
	_, err = c.GetMany(bg, []string{"a", "b"})
	require.ErrorIs(t, err, dedup.ErrClosed)
	c.Put("put", 1)
	c.Invalidate("there")
	c.InvalidateAll()
	for _, key := range []string{"there", "put"} {
		_, ok := c.Peek(key)
		require.False(t, ok)
	}
}

func TestMaxEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(_ context.Context, k int) (int, error) { return k, nil },
			&dedup.CacheOptions[int, int]{MaxEntries: 100})
		for i := range 1000 {
			v, err := c.Get(bg, i)
			require.NoError(t, err)
			require.Equal(t, i, v)
		}
		time.Sleep(time.Millisecond) // what was stored during an eviction is evicted then
		synctest.Wait()
		s := c.Stats()
		require.LessOrEqual(t, s.Entries, 100)
		require.Greater(t, s.Entries, 50)
		require.EqualValues(t, 1000-s.Entries, s.Evictions)
	})
}

func TestMaxWeight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(_ context.Context, k int) (int, error) {
			if k == -1 {
				return 0, errLoad
			}
			return k, nil
		}, &dedup.CacheOptions[int, int]{MaxWeight: 1000, ErrorTTL: time.Minute, Weigh: func(k, v int) uint32 {
			require.Equal(t, k, v)
			return 100
		}})
		for i := range 50 {
			_, err := c.Get(bg, i)
			require.NoError(t, err)
		}
		_, err := c.Get(bg, -1)
		require.ErrorIs(t, err, errLoad)
		time.Sleep(time.Millisecond) // what was stored during an eviction is evicted then
		synctest.Wait()
		require.LessOrEqual(t, c.Stats().Entries, 10)
		require.Positive(t, c.Stats().Entries)
	})
}

// TestOptionsThatPanic: the panic is the load's error, or Put's panic, and no key is
// stuck.
func TestOptionsThatPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		no := func() { panic(errCause) }
		l := new(counting)
		for _, o := range []*options{
			{TTLOf: func(string, int) time.Duration { no(); return 0 }},
			{MaxWeight: 1, Weigh: func(string, int) uint32 { no(); return 0 }},
		} {
			c := newCache(t, l.load, o)
			for range 2 {
				_, err := c.Get(bg, "k")
				require.ErrorIs(t, err, errCause)
				require.Equal(t, errCause.Error(), panicText(t, func() { c.Put("k", 1) }))
				requirePeek(t, 0, c)
			}
		}
		l.failing = true
		c := newCache(t, l.load, &options{ErrorTTLOf: func(string, error) time.Duration { no(); return 0 }})
		_, err := c.Get(bg, "k")
		require.ErrorIs(t, err, errCause)
	})
}

// TestKeysThatAreNotThemselves: NaN is loaded each time and leaves nothing behind.
func TestKeysThatAreNotThemselves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		load := func(context.Context, float64) (int, error) { n++; return n, nil }
		c := newCache(t, load, nil)
		var g dedup.Group[float64, int]
		for i := range 5 {
			v, err := c.Get(bg, math.NaN())
			require.NoError(t, err)
			require.Equal(t, 2*i+1, v)
			v, _, err = g.Do(bg, math.NaN(), func(ctx context.Context) (int, error) { return load(ctx, 0) })
			require.NoError(t, err)
			require.Equal(t, 2*i+2, v)
			c.Put(math.NaN(), 1)
			c.Invalidate(math.NaN())
			_, ok := c.Peek(math.NaN())
			require.False(t, ok)
		}
		synctest.Wait()
		s := c.Stats()
		require.Zero(t, s.Entries)
		require.Zero(t, s.InFlight)
		for range g.InFlight() {
			require.Fail(t, "left behind")
		}
	})
}

// TestGetManyOfKeysThatAreNotThemselves: LoadMany could return no value for them, so the
// Loader is called.
func TestGetManyOfKeysThatAreNotThemselves(t *testing.T) {
	for _, most := range []int{0, 1} {
		bubble(t, func(t *testing.T) {
			var asked []float64
			c := newCache(t, func(context.Context, float64) (int, error) { return 7, nil }, &dedup.CacheOptions[float64, int]{
				MaxBatch: most,
				LoadMany: func(_ context.Context, keys []float64) (map[float64]int, error) {
					asked = append(asked, keys...)
					return map[float64]int{1: 1}, nil
				},
			})
			keys := []float64{math.NaN(), 1, math.NaN()}
			m, err := c.GetMany(bg, keys)
			require.NoError(t, err)
			require.Len(t, m, 3)
			require.NoError(t, c.RefreshMany(bg, keys))
			require.Equal(t, []float64{1, 1}, asked)
			require.Equal(t, 1, c.Stats().Entries)
		})
	}
}

// TestClosedWhileNaNIsLoaded: the flight is in no map, and its callers get ErrClosed.
func TestClosedWhileNaNIsLoaded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(ctx context.Context, _ float64) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, nil)
		r := async(func() result { _, err := c.Get(bg, math.NaN()); return result{err: err} })
		synctest.Wait()
		require.NoError(t, c.Close())
		require.Equal(t, dedup.ErrClosed, (<-r).err)
	})
}

// TestUnhashableKeys panic as in a built-in map, and nothing is left behind.
func TestUnhashableKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(context.Context, any) (int, error) { return 1, nil }, nil)
		batches := newCache(t, func(context.Context, any) (int, error) { return 1, nil }, &dedup.CacheOptions[any, int]{
			MaxBatch: 1, LoadMany: func(context.Context, []any) (map[any]int, error) { return map[any]int{1: 1}, nil }})
		var g dedup.Group[any, int]
		bad := []int{1}
		for _, f := range []func(){
			func() { c.Get(bg, bad) },
			func() { c.GetMany(bg, []any{1, bad}) },
			func() { c.Refresh(bg, bad) },
			func() { c.RefreshMany(bg, []any{1, bad}) },
			func() { c.GetEntry(bg, bad) },
			func() { c.Entry(bad) },
			func() { c.Peek(bad) },
			func() { batches.Get(bg, bad) },
			func() { batches.Refresh(bg, bad) },
			func() { c.Put(bad, 1) },
			func() { c.Invalidate(bad) },
			func() { g.Do(bg, bad, func(context.Context) (int, error) { return 1, nil }) },
			func() { g.DoChan(bg, bad, func(context.Context) (int, error) { return 1, nil }) },
			func() { g.Forget(bad) },
			func() { g.ForgetUnshared(bad) },
		} {
			require.Regexp(t, "runtime error: (hash of unhashable|comparing uncomparable) type", panicText(t, f))
		}
		for _, c := range []*dedup.Cache[any, int]{c, batches} {
			require.Zero(t, c.Stats().InFlight)
			v, err := c.Get(bg, 1)
			require.NoError(t, err)
			require.Equal(t, 1, v)
		}
	})
}

func TestPanicErrorUnwrapsErrorsOnly(t *testing.T) {
	require.Equal(t, errCause, errors.Unwrap(&dedup.PanicError{Value: errCause}))
	require.NoError(t, errors.Unwrap(&dedup.PanicError{Value: "text"}))
	require.Contains(t, (&dedup.PanicError{Value: "text", Stack: []byte("stack")}).Error(), "text\n\nstack")
	require.NotPanics(t, func() { _ = (&dedup.PanicError{Value: []int{1}}).Error() }, "not comparable")
}
