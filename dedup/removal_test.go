package dedup_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// A removedValue is a value, as OnRemove was told of it.
type removedValue struct {
	key   string
	v     int
	cause dedup.RemoveCause
}

// A removals is an OnRemove that remembers its calls, and then does something.
type removals struct {
	mu   sync.Mutex
	told []removedValue
	then func(removedValue)
}

func (m *removals) onRemove(key string, v int, cause dedup.RemoveCause) {
	g := removedValue{key, v, cause}
	m.mu.Lock()
	m.told = append(m.told, g)
	m.mu.Unlock()
	if m.then != nil {
		m.then(g)
	}
}

// next returns the calls since the last next. It is for bubbles.
func (m *removals) next() []removedValue {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	told := m.told
	m.told = nil
	return told
}

// TestOnRemoveIsToldWhyAValueLeft, once, by each call that removes one.
func TestOnRemoveIsToldWhyAValueLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(removals)
		n := 0
		c := newCache(t, func(context.Context, string) (int, error) { n++; return n, nil },
			&options{TTL: time.Minute, OnRemove: m.onRemove})
		c.Invalidate("a")
		requireTold := func(want ...removedValue) {
			t.Helper()
			require.ElementsMatch(t, want, m.next())
		}
		requireTold()
		c.Put("a", -1)
		c.Put("a", -2)
		requireTold(removedValue{"a", -1, dedup.RemoveReplaced})
		require.NoError(t, c.Refresh(bg, "a"))
		requireTold(removedValue{"a", -2, dedup.RemoveReplaced})
		c.Invalidate("a")
		requireTold(removedValue{"a", 1, dedup.RemoveInvalidated})
		c.Put("a", -3)
		c.Put("b", -4)
		require.Equal(t, 1, c.InvalidateFunc(func(_ string, v int) bool { return v == -4 }))
		requireTold(removedValue{"b", -4, dedup.RemoveInvalidated})
		c.Put("b", -5)
		c.InvalidateAll()
		requireTold(removedValue{"a", -3, dedup.RemoveInvalidated}, removedValue{"b", -5, dedup.RemoveInvalidated})
		c.Put("a", -6)
		time.Sleep(time.Minute)
		_, err := c.Get(bg, "a")
		require.NoError(t, err)
		requireTold(removedValue{"a", -6, dedup.RemoveExpired})
		require.NoError(t, c.Close())
		requireTold(removedValue{"a", 2, dedup.RemoveInvalidated})
		c.Put("a", -7)
		requireTold()
	})
}

// TestOnRemoveIsNotToldOfWhatWasNotKept: errors, and values of loads that were detached.
func TestOnRemoveIsNotToldOfWhatWasNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m, l := new(removals), newLoader()
		c := newCache(t, l.loadKey, &options{ErrorTTL: time.Minute, OnRemove: m.onRemove})
		s := cacheOf(c)
		s.startN(1, bg, "a")
		l.next(t).fail(errLoad)
		synctest.Wait()
		c.Put("a", 1)
		s.startN(1, bg, "b")
		c.Invalidate("b")
		l.next(t).give(2)
		require.Empty(t, m.next())
	})
}

// TestAnOldValueThatStaysAfterAnError has not left, and leaves once.
func TestAnOldValueThatStaysAfterAnError(t *testing.T) {
	for name, o := range map[string]options{
		"kept error":    {ErrorTTL: time.Second},
		"no kept error": {},
		"bounded":       {MaxEntries: 10},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := new(removals)
				o.TTL, o.StaleIfError, o.OnRemove = time.Minute, time.Minute, m.onRemove
				c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &o)
				c.Put("k", 1)
				for range 3 {
					time.Sleep(20 * time.Second)
					require.Equal(t, errLoad, c.Refresh(bg, "k"))
				}
				requireGet(t, 1, c)
				require.Empty(t, m.next())
				time.Sleep(time.Minute)
				c.Put("k", 2)
				require.Equal(t, []removedValue{{"k", 1, dedup.RemoveExpired}}, m.next())
			})
		})
	}
}

// TestSweptValuesAreReported when other values are stored.
func TestSweptValuesAreReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(removals)
		c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &options{TTL: time.Minute, OnRemove: m.onRemove})
		for i := range 10 {
			c.Put(strconv.Itoa(i), i)
		}
		time.Sleep(time.Minute)
		for i := range 100 {
			c.Put("new", i)
		}
		expired := make(map[int]bool)
		for _, g := range m.next() {
			if g.cause == dedup.RemoveExpired {
				expired[g.v] = true
			}
		}
		require.Len(t, expired, 10)
	})
}

// TestEvictedValuesAreReported once, when they have left the Cache.
func TestEvictedValuesAreReported(t *testing.T) {
	for name, o := range map[string]options{
		"MaxEntries": {MaxEntries: 10},
		"MaxWeight":  {MaxWeight: 100, Weigh: func(string, int) uint32 { return 10 }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const n = 1000
				var c *dedup.Cache[string, int]
				m := &removals{then: func(g removedValue) {
					if v, ok := c.Peek(g.key); ok {
						t.Errorf("%v is there: %d", g, v)
					}
				}}
				o.OnRemove = m.onRemove
				c = newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &o)
				for i := range n {
					c.Put(strconv.Itoa(i), i)
				}
				time.Sleep(time.Second)
				left := maps.Collect(c.All())
				told := make(map[string]int)
				for _, g := range m.next() {
					require.Equal(t, dedup.RemoveEvicted, g.cause)
					require.NotContains(t, told, g.key)
					told[g.key] = g.v
				}
				require.EqualValues(t, len(told), c.Stats().Evictions)
				require.Len(t, told, n-len(left))
				m.then = nil
			})
		})
	}
}

// TestOnRemoveThatMisbehaves for one value is called for all others, and leaves nothing
// locked.
func TestOnRemoveThatMisbehaves(t *testing.T) {
	removers := map[string]func(c *dedup.Cache[string, int]){
		"InvalidateAll":  func(c *dedup.Cache[string, int]) { c.InvalidateAll() },
		"InvalidateFunc": func(c *dedup.Cache[string, int]) { c.InvalidateFunc(func(string, int) bool { return true }) },
		"Close":          func(c *dedup.Cache[string, int]) { _ = c.Close() },
		"Invalidate": func(c *dedup.Cache[string, int]) {
			for i := range 100 {
				done := make(chan struct{})
				go func() { defer close(done); c.Invalidate(strconv.Itoa(i)) }()
				<-done
			}
		},
		"Put": func(c *dedup.Cache[string, int]) {
			for i := range 100 {
				done := make(chan struct{})
				go func() { defer close(done); c.Put(strconv.Itoa(i), -1) }()
				<-done
			}
		},
		"Refresh": func(c *dedup.Cache[string, int]) {
			for i := range 100 {
				_ = c.Refresh(bg, strconv.Itoa(i))
			}
		},
		"sweep": func(c *dedup.Cache[string, int]) {
			time.Sleep(time.Minute)
			for i := range 200 {
				done := make(chan struct{})
				go func() { defer close(done); c.Put(fmt.Sprint("new", i), -1) }()
				<-done
			}
		},
		"eviction": func(c *dedup.Cache[string, int]) {
			for i := range 2000 {
				c.Put(fmt.Sprint("new", i), -1)
			}
			time.Sleep(time.Second)
		},
	}
	misdeeds := map[string]func(c *dedup.Cache[string, int]){
		"panics":     func(*dedup.Cache[string, int]) { panic("OnRemove") },
		"exits":      func(*dedup.Cache[string, int]) { runtime.Goexit() },
		"calls back": func(c *dedup.Cache[string, int]) { c.Put("back", -2); c.Invalidate("back"); c.Peek("0") },
	}
	for how, remove := range removers {
		for what, misbehave := range misdeeds {
			t.Run(how+" "+what, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var c *dedup.Cache[string, int]
					m := &removals{then: func(g removedValue) {
						if g.v%10 == 3 {
							misbehave(c)
						}
					}}
					o := &options{OnRemove: m.onRemove, TTL: time.Minute}
					if how == "eviction" {
						o.MaxEntries = 200
					}
					c = newCache(t, func(context.Context, string) (int, error) { return -1, nil }, o)
					for i := range 100 {
						c.Put(strconv.Itoa(i), i)
					}
					done := make(chan struct{})
					go func() { defer close(done); remove(c) }()
					<-done
					told := make(map[int]int)
					for _, g := range m.next() {
						told[g.v]++
					}
					m.then = nil
					c.Put("still works", 1)
					for i := range 100 {
						if how == "eviction" {
							require.LessOrEqual(t, told[i], 1)
						} else {
							require.Equal(t, 1, told[i], "of %d", i)
						}
					}
				})
			})
		}
	}
}

// TestOnRemoveOfKeysThatABatchWasNotAskedFor is called for what they replace, after the
// callers are woken.
func TestOnRemoveOfKeysThatABatchWasNotAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(removals)
		c := newCache(t, func(context.Context, string) (int, error) { return 0, errLoad }, &options{
			TTL: time.Minute, StaleWhileRevalidate: time.Minute, OnRemove: m.onRemove,
			LoadMany: func(context.Context, []string) (map[string]int, error) {
				return map[string]int{"asked": 2, "stale": 2}, nil
			},
		})
		c.Put("asked", 1)
		c.Put("stale", 1)
		time.Sleep(time.Minute)
		c.Invalidate("asked")
		require.Equal(t, []removedValue{{"asked", 1, dedup.RemoveInvalidated}}, m.next())
		_, err := c.GetMany(bg, []string{"asked"})
		require.NoError(t, err)
		require.Equal(t, []removedValue{{"stale", 1, dedup.RemoveReplaced}}, m.next())
	})
}

// TestRemoveCausesHaveNames for logs.
func TestRemoveCausesHaveNames(t *testing.T) {
	require.Equal(t, "[expired evicted invalidated replaced RemoveCause(0)]", fmt.Sprint([]dedup.RemoveCause{
		dedup.RemoveExpired, dedup.RemoveEvicted, dedup.RemoveInvalidated, dedup.RemoveReplaced, 0}))
}
