package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// Each test here is named after a fault that users of another library have met. It runs in
// a bubble, where the order is certain. hazards_stress_test.go runs the same freely.

// TestHazardLoaderRunsTwice: a caller that comes while a load ends finds the load or its
// value, never neither.
func TestHazardLoaderRunsTwice(t *testing.T) {
	for name, o := range map[string]*options{"open": {}, "bounded": {MaxEntries: 10}, "weighed": {MaxWeight: 10, Weigh: func(string, int) uint32 { return 1 }}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLoader()
				c := newCache(t, l.loadKey, o)
				first := cacheOf(c).startN(20, bg, "k")
				l.next(t).give(1)
				late := cacheOf(c).startN(20, bg, "k")
				for _, r := range append(first, late...) {
					require.Equal(t, result{v: 1}, <-r)
				}
				require.EqualValues(t, 1, l.total.Load())
			})
		})
	}
}

// TestHazardJoinsTheFinishedFlight: a caller that comes after the end starts a new load.
// It does not get the old result, even while the callers of the old load have not run
// yet.
func TestHazardJoinsTheFinishedFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		g := groupOf(new(dedup.Group[string, int]), l.load)
		for i := range 10 {
			old := g.startN(3, bg, "k")
			l.next(t).give(i)
			require.Equal(t, result{i, true, nil}, <-old[0])
			young := g.start(bg, "k") // the others of old have perhaps not run
			l.next(t).give(-i)
			require.Equal(t, result{-i, false, nil}, <-young)
			require.Equal(t, result{i, true, nil}, <-old[1])
			require.Equal(t, result{i, true, nil}, <-old[2])
		}
	})
}

// TestHazardFailedFlightIsNotJoined: the same after an error, which is not kept without
// ErrorTTL.
func TestHazardFailedFlightIsNotJoined(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		r := s.start(bg, "k")
		l.next(t).fail(errLoad)
		require.ErrorIs(t, (<-r).err, errLoad)
		r = s.start(bg, "k")
		l.next(t).give(1)
		require.Equal(t, result{v: 1}, <-r)
	})
}

// TestHazardLeadersEndFailsFollowers: the first caller returns when its context ends, the
// load continues, and the others get its value.
func TestHazardLeadersEndFailsFollowers(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		ctx, cancel := context.WithCancelCause(bg)
		leader := s.start(ctx, "k")
		c := l.next(t)
		followers := s.startN(3, bg, "k")
		cancel(errCause)
		err := (<-leader).err
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)
		synctest.Wait()
		require.NoError(t, c.ctx.Err(), "the load goes on")
		c.give(1)
		for _, r := range followers {
			require.Equal(t, 1, (<-r).v)
		}
		require.EqualValues(t, 1, l.total.Load())
	})
}

// TestHazardNewcomerJoinsACanceledFlight: after the last caller has left, the next one
// starts a load of its own, though the canceled one has not returned. The result of that
// one is dropped.
func TestHazardNewcomerJoinsACanceledFlight(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		l.lenient = true
		ctx, cancel := context.WithCancel(bg)
		quitter := s.start(ctx, "k")
		old := l.next(t)
		cancel()
		require.ErrorIs(t, (<-quitter).err, context.Canceled)
		require.ErrorIs(t, old.canceled(), dedup.ErrAbandoned)

		newcomer := s.start(bg, "k")
		young := l.next(t)
		old.give(1)
		synctest.Wait()
		requirePending(t, newcomer)
		joiner := s.start(bg, "k")
		l.requireNone(t)
		young.give(2)
		require.Equal(t, 2, (<-newcomer).v)
		require.Equal(t, 2, (<-joiner).v)
		if s.stores {
			require.Equal(t, 2, s.do(bg, "k").v, "stored")
		}
	})
}

// TestHazardLoadRunsOnForNobody: the load is canceled when its last caller leaves, and
// not before. After a Forget it also continues while it has callers.
func TestHazardLoadRunsOnForNobody(t *testing.T) {
	for _, forget := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgotten=%t", forget), func(t *testing.T) {
			overSubjects(t, func(t *testing.T, s subject, l *loader) { runsOnForNobody(t, s, l, forget) })
		})
	}
}

func runsOnForNobody(t *testing.T, s subject, l *loader, forget bool) {
	var cancels [5]context.CancelFunc
	var rs [5]<-chan result
	for i := range rs {
		var ctx context.Context
		ctx, cancels[i] = context.WithCancel(bg)
		rs[i] = s.start(ctx, "k")
	}
	c := l.next(t)
	if forget {
		s.forget("k")
	}
	for i, cancel := range cancels {
		synctest.Wait()
		require.NoError(t, c.ctx.Err(), "%d have left", i)
		cancel()
		require.ErrorIs(t, (<-rs[i]).err, context.Canceled)
	}
	synctest.Wait()
	require.ErrorIs(t, c.ctx.Err(), context.Canceled)
	require.ErrorIs(t, c.canceled(), dedup.ErrAbandoned)
	require.Zero(t, l.running.Load())
}

// TestHazardPanicWedgesTheKey: after a load panics, every caller has the panic's value
// and stack, and the process survives. So does a load that ends its goroutine, except for
// a caller whose goroutine that is. The key can be loaded again.
func TestHazardPanicWedgesTheKey(t *testing.T) {
	for name, end := range map[string]func(){
		"panic":  func() { panic(errCause) },
		"nil":    func() { panic(nil) },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				gate := make(chan func(), 10)
				load := func(context.Context) (int, error) { (<-gate)(); return 1, nil }
				c := newCache(t, func(ctx context.Context, _ string) (int, error) { return load(ctx) },
					&options{ErrorTTL: time.Hour})
				for _, s := range []subject{groupOf(new(dedup.Group[string, int]), load), cacheOf(c)} {
					ctx, cancel := context.WithCancel(bg)
					defer cancel()
					requirePanics(t, name, s.startN(3, ctx, "k"), func() { gate <- end })
					first := s.startN(1, bg, "k")[0] // it runs the load
					rs := s.startN(2, bg, "k")
					if name == "Goexit" {
						requirePanics(t, name, rs, func() { gate <- end })
						requirePending(t, first) // its goroutine has ended
					} else {
						requirePanics(t, name, append(rs, first), func() { gate <- end })
					}
					again := s.start(bg, "k")
					gate <- func() {}
					require.Equal(t, result{v: 1}, <-again, "usable again")
				}
			})
		})
	}
}

func requirePanics(t *testing.T, how string, rs []<-chan result, end func()) {
	t.Helper()
	end()
	for _, c := range rs {
		r := <-c
		p, ok := errors.AsType[*dedup.PanicError](r.err)
		require.True(t, ok, "%v", r.err)
		require.Contains(t, string(p.Stack), "hazards_test.go")
		require.Zero(t, r.v)
		switch how {
		case "Goexit":
			require.ErrorIs(t, r.err, dedup.ErrGoexit)
			require.NotContains(t, r.err.Error(), "hazards_test.go", "nothing to look for")
		case "panic":
			require.Equal(t, errCause, p.Value)
			require.ErrorIs(t, r.err, errCause)
			require.Contains(t, r.err.Error(), errCause.Error())
			require.Contains(t, r.err.Error(), "hazards_test.go")
		default:
			require.NotErrorIs(t, r.err, dedup.ErrGoexit)
		}
	}
}

// TestHazardOldEndDeletesNewFlight: after Forget a new flight begins, then the old one
// ends. The new one can still be joined.
func TestHazardOldEndDeletesNewFlight(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		a := s.start(bg, "k")
		old := l.next(t)
		s.forget("k")
		b := s.start(bg, "k")
		young := l.next(t)
		old.give(1)
		require.Equal(t, result{v: 1}, <-a)
		c := s.start(bg, "k")
		l.requireNone(t)
		young.give(2)
		require.Equal(t, 2, (<-b).v)
		require.Equal(t, 2, (<-c).v)
		require.EqualValues(t, 2, l.total.Load())
	})
}

// TestHazardOldValueStoredAfterInvalidate: whatever happens to a key while it is loaded,
// the load's value goes to its own callers and is not stored.
func TestHazardOldValueStoredAfterInvalidate(t *testing.T) {
	type cache = dedup.Cache[string, int]
	for name, change := range map[string]struct {
		do   func(c *cache)
		want int // what is there afterwards; 0: nothing
	}{
		"Invalidate":         {func(c *cache) { c.Invalidate("k") }, 0},
		"InvalidateAll":      {func(c *cache) { c.InvalidateAll() }, 0},
		"Put":                {func(c *cache) { c.Put("k", 2) }, 2},
		"Put and Invalidate": {func(c *cache) { c.Put("k", 2); c.Invalidate("k") }, 0},
		"Invalidate and Put": {func(c *cache) { c.Invalidate("k"); c.Put("k", 2) }, 2},
	} {
		for _, o := range []*options{nil, {MaxEntries: 10}} {
			t.Run(fmt.Sprint(name, o != nil), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newLoader()
					c := newCache(t, l.loadKey, o)
					rs := cacheOf(c).startN(2, bg, "k")
					old := l.next(t)
					change.do(c)
					old.give(1)
					require.Equal(t, result{v: 1}, <-rs[0])
					require.Equal(t, result{v: 1}, <-rs[1])
					v, ok := c.Peek("k")
					require.Equal(t, change.want, v)
					require.Equal(t, change.want != 0, ok)
				})
			})
		}
	}
}

// TestHazardWaitersRerunAFailingLoad: one failure is the result of all callers that
// waited for it.
func TestHazardWaitersRerunAFailingLoad(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		rs := s.startN(50, bg, "k")
		l.next(t).fail(errLoad)
		for _, r := range rs {
			require.ErrorIs(t, (<-r).err, errLoad)
		}
		l.requireNone(t)
		require.EqualValues(t, 1, l.total.Load())
	})
}

// TestHazardWaitersWithoutBound: MaxWaiters callers wait for a key and no more. When one
// leaves, another one may wait.
func TestHazardWaitersWithoutBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		s := cacheOf(newCache(t, l.loadKey, &options{MaxWaiters: 3}))
		ctx, cancel := context.WithCancel(bg)
		rs := append(s.startN(1, ctx, "k"), s.startN(2, bg, "k")...)
		require.ErrorIs(t, s.do(bg, "k").err, dedup.ErrTooManyWaiters)
		require.ErrorIs(t, s.do(bg, "k").err, dedup.ErrTooManyWaiters)
		other := s.start(bg, "other")
		cancel()
		<-rs[0]
		again := s.startN(1, bg, "k")
		require.ErrorIs(t, s.do(bg, "k").err, dedup.ErrTooManyWaiters)
		l.next(t).give(1)
		l.next(t).give(1)
		for _, r := range append(rs[1:], again[0], other) {
			require.Equal(t, result{v: 1}, <-r)
		}
		require.EqualValues(t, 2, l.total.Load())
	})
}

// TestHazardExpiredBeforeTheWaiterLooks: a value with the shortest TTL is still the
// result of the callers that waited for it, and so is one that is not stored.
func TestHazardExpiredBeforeTheWaiterLooks(t *testing.T) {
	for name, o := range map[string]*options{
		"short":      {TTL: time.Nanosecond},
		"not stored": {TTLOf: func(string, int) time.Duration { return 0 }},
		"evicted":    {MaxWeight: 1, Weigh: func(string, int) uint32 { return 1000 }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLoader()
				s := cacheOf(newCache(t, l.loadKey, o))
				rs := s.startN(20, bg, "k")
				l.next(t).give(1)
				time.Sleep(time.Second)
				for _, r := range rs {
					require.Equal(t, result{v: 1}, <-r)
				}
				again := s.start(bg, "k")
				l.next(t).give(2)
				require.Equal(t, result{v: 2}, <-again)
			})
		})
	}
}

// TestHazardNilErrorWithoutAValue: a failed load never looks like one that returned a
// zero value.
func TestHazardNilErrorWithoutAValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		failing := true
		c := newCache(t, func(context.Context, string) (*int, error) {
			if failing {
				return new(int), errLoad
			}
			return nil, nil
		}, &dedup.CacheOptions[string, *int]{ErrorTTL: time.Minute})
		for range 3 { // loaded, then kept
			v, err := c.Get(bg, "k")
			require.ErrorIs(t, err, errLoad)
			require.Nil(t, v, "no value with an error")
			_, ok := c.Peek("k")
			require.False(t, ok)
		}
		failing = false
		time.Sleep(time.Minute)
		v, err := c.Get(bg, "k")
		require.NoError(t, err)
		require.Nil(t, v, "the loader's own nil is a value")
		_, ok := c.Peek("k")
		require.True(t, ok)
		m, err := c.GetMany(bg, []string{"k"})
		require.NoError(t, err)
		require.Contains(t, m, "k")
	})
}
