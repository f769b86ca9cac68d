package dedup_test

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/wake"
)

// Here the first caller runs the load, because it cannot leave: its context has neither an
// end nor a parker.

// endless returns such contexts. The contexts of leaving are others.
func endless() map[string]context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return map[string]context.Context{
		"Background": bg, "TODO": context.TODO(), "values": context.WithValue(bg, valueKey{}, 1),
		"WithoutCancel": context.WithoutCancel(ctx), "no parker": wake.WithParker(bg, nil),
	}
}

func leaving(t *testing.T) map[string]context.Context {
	ctx, cancel := context.WithCancel(bg)
	t.Cleanup(cancel)
	late, stop := context.WithTimeout(bg, time.Hour)
	t.Cleanup(stop)
	return map[string]context.Context{"cancel": ctx, "timeout": late, "parker": wake.WithParker(bg, wake.NewParker())}
}

// TestWhereTheLoadRuns for every kind of call and context.
func TestWhereTheLoadRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var stack string
		load := func(context.Context) (int, error) { stack = string(debug.Stack()); return 1, nil }
		c := newCache(t, func(ctx context.Context, _ string) (int, error) { return load(ctx) }, nil)
		bounded := newCache(t, func(ctx context.Context, _ string) (int, error) { return load(ctx) }, &options{MaxEntries: 10})
		var g dedup.Group[string, int]
		for name, call := range map[string]func(ctx context.Context) error{
			"Do":           func(ctx context.Context) error { _, _, err := g.Do(ctx, "k", load); return err },
			"Get":          func(ctx context.Context) error { c.Invalidate("k"); return get(c, ctx, "k").err },
			"Get, bounded": func(ctx context.Context) error { bounded.Invalidate("k"); return get(bounded, ctx, "k").err },
			"Refresh":      func(ctx context.Context) error { return c.Refresh(ctx, "k") },
		} {
			const here = "TestWhereTheLoadRuns"
			for which, ctx := range endless() {
				require.NoError(t, call(ctx))
				require.Contains(t, stack, here, "%s, %s", name, which)
			}
			for which, ctx := range leaving(t) {
				require.NoError(t, call(ctx))
				require.NotContains(t, stack, "testing.tRunner", "%s, %s", name, which)
			}
		}
		_, err := c.GetMany(bg, []string{"a"})
		require.NoError(t, err)
		require.NotContains(t, stack, "testing.tRunner", "GetMany loads all keys at the same time")
	})
}

// TestCallerThatRunsALoadCounts: it is a caller like the others, and keeps the load
// alive.
func TestCallerThatRunsALoadCounts(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		first := s.startN(1, bg, "k")[0]
		call := l.next(t)
		ctx, cancel := context.WithCancelCause(bg)
		leaver := s.startN(1, ctx, "k")[0]
		cancel(errCause)
		require.ErrorIs(t, (<-leaver).err, errCause, "leaves at once")
		synctest.Wait()
		require.NoError(t, call.ctx.Err(), "the load goes on for the first")
		stayer := s.startN(1, bg, "k")[0]
		l.requireNone(t)
		call.give(1)
		require.Equal(t, result{v: 1, shared: !s.stores}, <-first)
		require.Equal(t, result{v: 1, shared: !s.stores}, <-stayer)
		require.ErrorIs(t, call.ctx.Err(), context.Canceled)
	})
}

func TestCallerThatRunsALoadIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{MaxWaiters: 2})
		r := cacheOf(c).startN(1, bg, "k")[0]
		call := l.next(t)
		require.Equal(t, 1, c.Stats().InFlight)
		began := time.Now()
		time.Sleep(time.Minute)
		for key, info := range c.InFlight() {
			require.Equal(t, "k", key)
			require.Equal(t, dedup.FlightInfo{Waiters: 1, Started: began}, info)
		}
		second := cacheOf(c).startN(1, bg, "k")[0]
		require.ErrorIs(t, get(c, bg, "k").err, dedup.ErrTooManyWaiters)
		call.give(1)
		require.Equal(t, result{v: 1}, <-r)
		require.Equal(t, result{v: 1}, <-second)
		require.Equal(t, dedup.Stats{Misses: 3, Coalesced: 1, Loads: 1, Entries: 1, LoadTime: time.Minute}, c.Stats())
	})
}

// TestForgetALoadThatItsCallerRuns by Forget, Invalidate and the like: the caller gets
// the result of its load, and others start a new one.
func TestForgetALoadThatItsCallerRuns(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		l.lenient = true
		old := s.startN(1, bg, "k")[0]
		first := l.next(t)
		s.forget("k")
		synctest.Wait()
		require.NoError(t, first.ctx.Err())
		young := s.startN(1, bg, "k")[0]
		second := l.next(t)
		first.give(1)
		require.Equal(t, result{v: 1}, <-old)
		second.give(2)
		require.Equal(t, result{v: 2}, <-young)
		if s.stores {
			require.Equal(t, 2, s.do(bg, "k").v)
		}
	})
}

// TestCloseWhileACallerRunsALoad: the other callers get ErrClosed at once, and the one
// that runs the load when it has returned, whether or not the flight can be joined.
func TestCloseWhileACallerRunsALoad(t *testing.T) {
	for _, detached := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			l := newLoader()
			l.lenient = true
			told := make(chan dedup.LoadInfo[string], 1)
			c := newCache(t, l.loadKey, &options{OnLoad: func(i dedup.LoadInfo[string]) { told <- i }})
			first := cacheOf(c).startN(1, bg, "k")[0]
			call := l.next(t)
			second := cacheOf(c).startN(1, bg, "k")[0]
			if detached {
				c.Invalidate("k")
			}
			require.NoError(t, c.Close())
			require.Equal(t, result{err: dedup.ErrClosed}, <-second)
			require.Equal(t, dedup.ErrClosed, call.canceled())
			synctest.Wait()
			requirePending(t, first)
			call.give(1)
			require.Equal(t, result{err: dedup.ErrClosed}, <-first)
			require.Equal(t, dedup.LoadInfo[string]{Key: "k", Err: dedup.ErrClosed, Waiters: 2}, <-told)
			require.Zero(t, c.Stats().InFlight)
			require.Zero(t, c.Stats().Entries)
		})
	}
}

// TestGoexitInACaller ends its goroutine, the others get an error, and nothing is left of
// the load.
func TestGoexitInACaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		leave := func(context.Context) (int, error) { <-gate; runtime.Goexit(); return 1, nil }
		c := newCache(t, func(ctx context.Context, _ string) (int, error) { return leave(ctx) }, &options{MaxLoads: 1})
		ttl := newCache(t, func(context.Context, string) (int, error) { <-gate; return 1, nil },
			&options{TTLOf: func(string, int) time.Duration { runtime.Goexit(); return 1 }})
		var g dedup.Group[string, int]
		for name, s := range map[string]subject{"Do": groupOf(&g, leave), "Get": cacheOf(c), "TTLOf": cacheOf(ttl)} {
			left := make(chan bool, 1)
			go func() {
				returned := false
				defer func() { left <- returned }()
				s.do(bg, "k")
				returned = true
			}()
			synctest.Wait()
			other := s.startN(1, bg, "k")[0]
			gate <- struct{}{}
			require.False(t, <-left, name)
			require.ErrorIs(t, (<-other).err, dedup.ErrGoexit, name)
		}
		for range g.InFlight() {
			require.Fail(t, "nothing is in flight")
		}
		require.Zero(t, c.Stats().InFlight)
		require.EqualValues(t, 1, c.Stats().LoadErrors)
	})
}

// TestCallerDoesNotWaitForOnLoad, which has a goroutine of its own.
func TestCallerDoesNotWaitForOnLoad(t *testing.T) {
	for name, end := range map[string]func(){
		"returns": func() {}, "lasts": func() { time.Sleep(time.Hour) }, "panics": func() { panic("OnLoad") }, "exits": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				told := 0
				c := newCache(t, new(counting).load, &options{OnLoad: func(dedup.LoadInfo[string]) { told++; end() }})
				began := time.Now()
				require.Equal(t, result{v: 1}, get(c, bg, "k"))
				require.Zero(t, time.Since(began))
				synctest.Wait()
				require.Equal(t, 1, told)
				time.Sleep(time.Hour)
			})
		})
	}
}

// An endingParker wakes, and then ends the goroutine that called Wake.
type endingParker struct {
	wake.Parker
	end func()
}

func (p endingParker) Wake() { p.Parker.Wake(); p.end() }

// TestWakersThatEndTheGoroutine: a caller that runs a load survives the wakers of other
// callers.
func TestWakersThatEndTheGoroutine(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		rs := s.startN(1, bg, "k")
		call := l.next(t)
		for _, end := range []func(){runtime.Goexit, func() { panic("waker") }, runtime.Goexit} {
			rs = append(rs, s.startN(1, wake.WithParker(bg, endingParker{wake.NewParker(), end}), "k")...)
		}
		call.give(1)
		for _, r := range rs {
			require.Equal(t, 1, (<-r).v)
		}
	})
}

// TestOnLoadComesAfterAllWakers even if one takes long or ends its goroutine. A caller
// that runs the load waits for neither.
func TestOnLoadComesAfterAllWakers(t *testing.T) {
	for name, exit := range map[string]func(){"sleeps": func() {}, "exits": runtime.Goexit, "panics": func() { panic("waker") }} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLoader()
				var told []time.Duration
				began := time.Now()
				c := newCache(t, l.loadKey, &options{OnLoad: func(dedup.LoadInfo[string]) { told = append(told, time.Since(began)) }})
				first := cacheOf(c).startN(1, bg, "k")[0]
				call := l.next(t)
				slow := endingParker{wake.NewParker(), func() { time.Sleep(time.Hour); exit() }}
				second := cacheOf(c).startN(1, wake.WithParker(bg, slow), "k")[0]
				call.give(1)
				require.Equal(t, result{v: 1}, <-first)
				require.Equal(t, result{v: 1}, <-second)
				require.Zero(t, time.Since(began))
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				require.Equal(t, []time.Duration{time.Hour}, told)
			})
		})
	}
}

// TestCallerThatRunsALoadAsksForItsOwnKey: a load that its caller runs is still a load to
// the calls that it makes.
func TestCallerThatRunsALoadAsksForItsOwnKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var c *dedup.Cache[string, int]
		c = newCache(t, func(ctx context.Context, key string) (int, error) {
			switch key {
			case "self":
				return c.Get(context.WithoutCancel(ctx), "self")
			case "page":
				return c.Get(context.WithoutCancel(ctx), "part") // runs here, in its place
			case "cycle":
				return c.Get(context.WithoutCancel(ctx), "back")
			case "back":
				return c.Get(ctx, "cycle")
			}
			return 1, nil
		}, &options{MaxLoads: 1})
		require.Equal(t, dedup.ErrCycle, get(c, bg, "self").err)
		require.Equal(t, dedup.ErrCycle, get(c, bg, "cycle").err)
		require.Equal(t, result{v: 1}, get(c, bg, "page"))
		require.Zero(t, c.Stats().InFlight)
	})
}

// TestCallerWaitsForASlot until Close, like any other caller.
func TestCallerWaitsForASlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{MaxLoads: 1})
		running := cacheOf(c).startN(1, bg, "running")[0]
		l.next(t)
		queued := cacheOf(c).startN(1, bg, "queued")[0]
		l.requireNone(t)
		require.NoError(t, c.Close())
		require.Equal(t, result{err: dedup.ErrClosed}, <-running)
		require.Equal(t, result{err: dedup.ErrClosed}, <-queued)
		require.EqualValues(t, 1, l.total.Load())
	})
}

// TestCallerRunsLoadsOfAllKeys, NaN and unhashable ones among them.
func TestCallerRunsLoadsOfAllKeys(t *testing.T) {
	var g dedup.Group[any, int]
	n := 0
	count := func(context.Context) (int, error) { n++; return n, nil }
	for want := 1; want < 3; want++ {
		v, shared, err := g.Do(bg, math.NaN(), count)
		require.NoError(t, err)
		require.False(t, shared)
		require.Equal(t, want, v)
	}
	require.Contains(t, panicText(t, func() { _, _, _ = g.Do(bg, []int{1}, count) }), "hash of unhashable type")
	v, _, err := g.Do(bg, 1, count)
	require.NoError(t, err)
	require.Equal(t, 3, v, "nothing is locked")
}

// TestCallerDoesNotWaitForASweep that becomes due by its load.
func TestCallerDoesNotWaitForASweep(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, func(context.Context, int) (int, error) { return 1, nil }, &dedup.CacheOptions[int, int]{TTL: time.Second})
		for i := range 1000 {
			_, err := c.Get(bg, i)
			require.NoError(t, err)
			if i%100 == 99 {
				time.Sleep(time.Second)
			}
		}
		synctest.Wait()
		require.Less(t, c.Stats().Entries, 300)
	})
}
