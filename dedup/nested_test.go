package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// Here loads call other loads with their own contexts.

// A site is a cache whose pages consist of other keys: a load calls for the parts of its
// key, at the same time or one after the other.
type site struct {
	c       *dedup.Cache[string, int]
	parts   map[string][]string
	many    bool // by GetMany
	cycles  atomic.Int32
	running atomic.Int32
	peak    atomic.Int32 // that run and do not wait
}

func newSite(t testing.TB, parts map[string][]string, o options) *site {
	s := &site{parts: parts}
	if s.many = o.LoadMany != nil; s.many {
		o.LoadMany = s.loadMany
	}
	s.c = newCache(t, s.load, &o)
	return s
}

// load returns one more than the sum of the parts.
func (s *site) load(ctx context.Context, key string) (int, error) {
	s.work()
	sum := 1
	if s.many {
		found, err := s.c.GetMany(ctx, s.parts[key])
		for _, v := range found {
			sum += v
		}
		s.work()
		return sum, s.noted(err)
	}
	for _, part := range s.parts[key] {
		v, err := s.c.Get(ctx, part)
		if err != nil {
			return 0, s.noted(err)
		}
		sum += v
	}
	s.work()
	return sum, nil
}

// work takes a while, and counts the loads that run meanwhile.
func (s *site) work() {
	now := s.running.Add(1)
	for m := s.peak.Load(); now > m && !s.peak.CompareAndSwap(m, now); {
		m = s.peak.Load()
	}
	time.Sleep(time.Millisecond)
	s.running.Add(-1)
}

func (s *site) noted(err error) error {
	if errors.Is(err, dedup.ErrCycle) {
		s.cycles.Add(1)
	}
	return err
}

func (s *site) loadMany(ctx context.Context, keys []string) (map[string]int, error) {
	found := make(map[string]int)
	for _, key := range keys {
		v, err := s.load(ctx, key)
		if err != nil {
			return found, err
		}
		found[key] = v
	}
	return found, nil
}

// TestMaxLoadsOfLoadsThatNeedLoads: a load that waits for another one lends it its slot.
// No more than MaxLoads run at the same time.
func TestMaxLoadsOfLoadsThatNeedLoads(t *testing.T) {
	shapes := map[string]map[string][]string{
		"one":    {"page": {"template"}},
		"chain":  {"page": {"a"}, "a": {"b"}, "b": {"c"}, "c": {"d"}},
		"fan":    {"page": {"a", "b", "c", "d", "e"}},
		"shared": {"page": {"a", "b"}, "other": {"b", "a"}, "a": {"template"}, "b": {"template"}},
	}
	for name, parts := range shapes {
		for _, slots := range []int{1, 2} {
			for _, many := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %d slots, GetMany %t", name, slots, many), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						o := options{MaxLoads: slots}
						if many {
							o.LoadMany = func(context.Context, []string) (map[string]int, error) { return nil, nil }
						}
						s := newSite(t, parts, o)
						var rs []<-chan result
						for _, key := range []string{"page", "other", "template", "a", "page"} {
							rs = append(rs, cacheOf(s.c).start(bg, key))
						}
						for _, r := range rs {
							require.NoError(t, (<-r).err)
						}
						require.LessOrEqual(t, s.peak.Load(), int32(slots))
						requireAllSlots(t, s.c, slots)
					})
				})
			}
		}
	}
}

// requireAllSlots requires that MaxLoads loads can run: no slot is lost, and none is
// there twice.
func requireAllSlots(t testing.TB, c *dedup.Cache[string, int], slots int) {
	t.Helper()
	synctest.Wait()
	require.Zero(t, c.Stats().InFlight)
	before := c.Stats().Loads
	start := time.Now()
	var rs []<-chan result
	for i := range 4 * slots {
		rs = append(rs, cacheOf(c).start(bg, fmt.Sprint("new ", i)))
	}
	for _, r := range rs {
		require.NoError(t, (<-r).err)
	}
	require.EqualValues(t, 4*slots, c.Stats().Loads-before)
	require.Equal(t, 4*2*time.Millisecond, time.Since(start), "of bubble time")
}

// TestMaxLoadsAndAQueuedPart: a load waits for a part that is already in line for a slot,
// because of another caller.
func TestMaxLoadsAndAQueuedPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		var c *dedup.Cache[string, int]
		c = newCache(t, func(ctx context.Context, key string) (int, error) {
			if key != "page" {
				return 1, nil
			}
			<-gate
			v, err := c.Get(ctx, "template")
			return v + 1, err
		}, &options{MaxLoads: 1})
		page := cacheOf(c).startN(1, bg, "page")[0]
		others := cacheOf(c).startN(1, bg, "other")
		template := cacheOf(c).startN(1, bg, "template")[0]
		close(gate)
		require.Equal(t, result{v: 2}, <-page)
		require.Equal(t, result{v: 1}, <-template)
		require.Equal(t, result{v: 1}, <-others[0])
	})
}

// TestSlotOfALenderThatGoesOn: a load leaves the load that it called, and ends first. The
// slot is then the borrower's, and comes back.
func TestSlotOfALenderThatGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		var c *dedup.Cache[string, int]
		c = newCache(t, func(ctx context.Context, key string) (int, error) {
			if key != "page" {
				return l.load(ctx)
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := c.Get(ctx, "part")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			return 7, nil
		}, &options{MaxLoads: 1})
		page := cacheOf(c).startN(1, bg, "page")[0]
		stays := cacheOf(c).startN(1, bg, "part")[0]
		call := l.next(t)
		require.Equal(t, result{v: 7}, <-page)
		third := cacheOf(c).startN(1, bg, "third")[0]
		l.requireNone(t)
		call.give(1)
		require.Equal(t, 1, (<-stays).v)
		l.next(t).give(2)
		require.Equal(t, 2, (<-third).v)
	})
}

// TestMaxLoadsThroughAnotherCache: a load waits for another one through a cache without
// MaxLoads.
func TestMaxLoadsThroughAnotherCache(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var outer, inner *dedup.Cache[string, int]
		outer = newCache(t, func(ctx context.Context, key string) (int, error) {
			if key == "page" {
				return inner.Get(ctx, "middle")
			}
			return 3, nil
		}, &options{MaxLoads: 1})
		inner = newCache(t, func(ctx context.Context, _ string) (int, error) { return outer.Get(ctx, "template") }, nil)
		require.Equal(t, result{v: 3}, get(outer, bg, "page"))
	})
}

// TestALoadInLineForASlotIsCanceled, also one that could have borrowed a slot.
func TestALoadInLineForASlotIsCanceled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, &options{MaxLoads: 1})
		first := cacheOf(c).startN(1, bg, "first")[0]
		ctx, cancel := context.WithCancelCause(bg)
		second := cacheOf(c).startN(1, ctx, "second")[0]
		third := cacheOf(c).startN(1, bg, "third")[0]
		cancel(errCause)
		require.ErrorIs(t, (<-second).err, errCause)
		l.next(t).give(1)
		require.Equal(t, 1, (<-first).v)
		l.next(t).give(3)
		require.Equal(t, 3, (<-third).v)
		require.EqualValues(t, 2, l.total.Load(), "the second never ran")
	})
}

// TestLoadAsksForItsOwnKey: it would wait for itself.
func TestLoadAsksForItsOwnKey(t *testing.T) {
	type asks struct {
		name string
		ask  func(c *dedup.Cache[string, int], ctx context.Context) error
	}
	for _, a := range []asks{
		{"Get", func(c *dedup.Cache[string, int], ctx context.Context) error { return get(c, ctx, "k").err }},
		{"GetMany", func(c *dedup.Cache[string, int], ctx context.Context) error {
			_, err := c.GetMany(ctx, []string{"k", "other"})
			return err
		}},
		{"Refresh", func(c *dedup.Cache[string, int], ctx context.Context) error { return c.Refresh(ctx, "k") }},
		{"a derived context", func(c *dedup.Cache[string, int], ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			return get(c, ctx, "k").err
		}},
	} {
		for name, o := range map[string]options{"": {}, ", MaxLoads": {MaxLoads: 1}, ", LoadMany": {LoadMany: func(context.Context, []string) (map[string]int, error) { return nil, nil }}} {
			t.Run(a.name+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var c *dedup.Cache[string, int]
					var got error
					load := func(ctx context.Context, key string) (int, error) {
						if key == "k" {
							got = a.ask(c, ctx)
						}
						return 1, nil
					}
					if o.LoadMany != nil {
						o.LoadMany = func(ctx context.Context, keys []string) (map[string]int, error) {
							v, err := load(ctx, keys[0])
							return map[string]int{keys[0]: v}, err
						}
					}
					c = newCache(t, load, &o)
					m, err := c.GetMany(bg, []string{"k"})
					require.NoError(t, err)
					require.Equal(t, map[string]int{"k": 1}, m)
					require.ErrorIs(t, got, dedup.ErrCycle)
					require.Zero(t, c.Stats().InFlight)
				})
			})
		}
	}
}

// TestLoadsThatWaitForEachOther: the call that closes the cycle gets ErrCycle, however
// long the cycle is and whichever load began.
func TestLoadsThatWaitForEachOther(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, starts := range []int{1, n} {
			for _, slots := range []int{0, 1, n} {
				t.Run(fmt.Sprintf("%d keys, %d starts, MaxLoads %d", n, starts, slots), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						parts := make(map[string][]string)
						for i := range n {
							parts[fmt.Sprint(i)] = []string{fmt.Sprint((i + 1) % n)}
						}
						s := newSite(t, parts, options{MaxLoads: slots})
						var rs []<-chan result
						for i := range starts {
							rs = append(rs, cacheOf(s.c).start(bg, fmt.Sprint(i)))
						}
						for _, r := range rs {
							require.ErrorIs(t, (<-r).err, dedup.ErrCycle)
						}
						require.Positive(t, s.cycles.Load())
						synctest.Wait()
						require.Zero(t, s.c.Stats().InFlight)
						if slots > 0 {
							requireAllSlots(t, s.c, slots)
						}
					})
				})
			}
		}
	}
}

// TestGroupsThatWaitForEachOther: the same in a Group, and from one Group to another.
func TestGroupsThatWaitForEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var a, b dedup.Group[string, int]
		var inner error
		_, _, err := a.Do(bg, "k", func(ctx context.Context) (int, error) {
			v, _, err := b.Do(ctx, "k", func(ctx context.Context) (int, error) { // another group's k
				_, _, inner = a.Do(ctx, "k", func(context.Context) (int, error) { return 1, nil })
				v, _, err := a.Do(ctx, "other", func(context.Context) (int, error) { return 2, nil })
				return v, err
			})
			return v, err
		})
		require.NoError(t, err)
		require.ErrorIs(t, inner, dedup.ErrCycle)
	})
}

// TestWaitsThatHaveEndedCloseNoCycle: a call has left, and a load has no callers any
// more.
func TestWaitsThatHaveEndedCloseNoCycle(t *testing.T) {
	for name, ask := range map[string]func(c *dedup.Cache[string, int], ctx context.Context) error{
		"Get": func(c *dedup.Cache[string, int], ctx context.Context) error { return get(c, ctx, "b").err },
		"GetMany": func(c *dedup.Cache[string, int], ctx context.Context) error {
			_, err := c.GetMany(ctx, []string{"b"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var c *dedup.Cache[string, int]
				gate := make(chan struct{})
				c = newCache(t, func(ctx context.Context, key string) (int, error) {
					if key == "b" {
						<-gate
						return c.Get(ctx, "a") // which waits no longer
					}
					short, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					require.ErrorIs(t, ask(c, short), context.DeadlineExceeded)
					close(gate)
					time.Sleep(time.Second)
					return 1, nil
				}, nil)
				b := cacheOf(c).startN(1, bg, "b")[0]
				require.Equal(t, result{v: 1}, get(c, bg, "a"))
				require.Equal(t, result{v: 1}, <-b)
			})
		})
	}
}

// shared is made outside any bubble, like a variable of a package.
var shared = sharedCache()

func sharedCache() *dedup.Cache[string, int] {
	c, err := dedup.NewCache(func(ctx context.Context, key string) (int, error) {
		time.Sleep(time.Second)
		return len(key), nil
	}, &options{MaxLoads: 1, MaxEntries: 10})
	if err != nil {
		panic(err)
	}
	return c
}

// TestHazardPackageLevelCacheInABubble (golang/go#75626, dataloader#117): waits
// for a slot are durable, so time goes on.
func TestHazardPackageLevelCacheInABubble(t *testing.T) {
	shared.InvalidateAll() // with -count it has been used
	for i := range 3 {
		bubble(t, func(t *testing.T) {
			start := time.Now()
			rs := cacheOf(shared).startN(1, bg, fmt.Sprint("a", i))
			rs = append(rs, cacheOf(shared).startN(1, bg, fmt.Sprint("b", i))...)
			rs = append(rs, cacheOf(shared).startN(1, bg, fmt.Sprint("c", i))...)
			for _, r := range rs {
				require.Equal(t, result{v: 2}, <-r)
			}
			require.Equal(t, 3*time.Second, time.Since(start))
		})
	}
}
