package store_test

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/dedup/internal/store"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type element struct{ n int }

type storeOf = store.Store[int, *element]

func bounded(t testing.TB, b store.Bounds[int, *element]) storeOf {
	t.Helper()
	s, err := store.NewBounded(b)
	require.NoError(t, err)
	return s
}

// overStores runs f with every kind of Store, with enough room.
func overStores(t *testing.T, f func(t *testing.T, s storeOf)) {
	for name, s := range map[string]storeOf{
		"open":    store.NewUnbounded[int, *element](),
		"entries": bounded(t, store.Bounds[int, *element]{Entries: 100_000}),
		"weight":  bounded(t, store.Bounds[int, *element]{Weight: 100_000, Weigh: func(*element) uint32 { return 1 }}),
	} {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

func TestStore(t *testing.T) {
	overStores(t, func(t *testing.T, s storeOf) {
		_, ok := s.Get(1)
		require.False(t, ok)
		s.Delete(1)
		a, b := &element{1}, &element{1}
		s.Set(1, a)
		s.Set(2, b)
		e, ok := s.Get(1)
		require.True(t, ok)
		require.Same(t, a, e)
		require.Equal(t, map[int]*element{1: a, 2: b}, maps.Collect(s.All()))
		require.Equal(t, 2, s.Len())

		s.DeleteIf(1, b) // equal, but another one
		s.DeleteIf(3, b)
		require.Equal(t, 2, s.Len())
		s.DeleteIf(1, a)
		_, ok = s.Get(1)
		require.False(t, ok)
		s.Set(2, a)
		e, _ = s.Get(2)
		require.Same(t, a, e)
		s.Delete(2)
		require.Zero(t, s.Len())
		s.Set(1, a)
		s.Set(2, a)
		s.Clear()
		require.Zero(t, s.Len())
		require.Empty(t, slices.Collect(maps.Keys(maps.Collect(s.All()))))
		for range s.All() {
			require.Fail(t, "something is left")
		}
		require.Zero(t, s.Evictions(), "nothing had to go")
	})
}

// TestWhatLeavesIsReturned by the call that removes it.
func TestWhatLeavesIsReturned(t *testing.T) {
	overStores(t, func(t *testing.T, s storeOf) {
		a, b := &element{1}, &element{1}
		old, ok := s.Set(1, a)
		require.False(t, ok)
		require.Nil(t, old)
		old, ok = s.Set(1, b)
		require.True(t, ok)
		require.Same(t, a, old)
		require.False(t, s.DeleteIf(1, a))
		require.True(t, s.DeleteIf(1, b))
		require.False(t, s.DeleteIf(1, b))
		_, ok = s.Delete(1)
		require.False(t, ok)
		s.Set(1, a)
		old, ok = s.Delete(1)
		require.True(t, ok)
		require.Same(t, a, old)
	})
}

// TestReplaceNeedsTheOldElement and stores nothing otherwise.
func TestReplaceNeedsTheOldElement(t *testing.T) {
	overStores(t, func(t *testing.T, s storeOf) {
		a, b := &element{1}, &element{1}
		require.False(t, s.Replace(1, a, b))
		require.Zero(t, s.Len())
		s.Set(1, b)
		require.False(t, s.Replace(1, a, b))
		require.True(t, s.Replace(1, b, a))
		s.Maintain(false)
		e, _ := s.Get(1)
		require.Same(t, a, e)
		require.Equal(t, 1, s.Len())
	})
}

// TestEachElementLeavesOnce, whatever several goroutines do at the same time: those that
// were stored are those that are there and those that were returned, deleted, or evicted.
func TestEachElementLeavesOnce(t *testing.T) {
	const writers, rounds = 4, 5000
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		left := make(map[*element]int)
		leave := func(e *element) {
			mu.Lock()
			defer mu.Unlock()
			left[e]++
		}
		for _, bound := range []int{0, 20} {
			clear(left)
			s := store.NewUnbounded[int, *element]()
			if bound > 0 {
				s = bounded(t, store.Bounds[int, *element]{Entries: bound, OnEvict: func(_ int, e *element) { leave(e) }})
			}
			var all [writers][]*element
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := range rounds {
						key, e := (i*7+w)%40, new(element)
						if old, ok := s.Get(key); ok && i%4 == 0 {
							if !s.Replace(key, old, e) {
								continue
							}
							leave(old)
						} else if ok && i%4 == 1 {
							if s.DeleteIf(key, old) {
								leave(old)
							}
							continue
						} else if i%4 == 2 {
							if old, ok := s.Delete(key); ok {
								leave(old)
							}
							continue
						} else if old, ok := s.Set(key, e); ok {
							leave(old)
						}
						all[w] = append(all[w], e)
						s.Maintain(i%2 == 0)
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Second)
			s.Flush()
			for _, e := range s.All() {
				leave(e)
			}
			stored := 0
			for _, list := range all {
				stored += len(list)
				for _, e := range list {
					require.Equal(t, 1, left[e])
				}
			}
			require.Len(t, left, stored)
		}
	})
}

// TestClearTakesAllThatWasThere while others store.
func TestClearTakesAllThatWasThere(t *testing.T) {
	overStores(t, func(t *testing.T, s storeOf) {
		var wg sync.WaitGroup
		for w := range 2 {
			wg.Go(func() {
				for i := range 2000 {
					k, e := 2*i+w, new(element)
					s.Set(k, e)
					if i%20 == 0 {
						s.Clear()
						if got, _ := s.Get(k); got == e {
							t.Error("still there")
						}
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestBounds(t *testing.T) {
	for name, c := range map[string]struct {
		b    store.Bounds[int, *element]
		most int
	}{
		"entries": {store.Bounds[int, *element]{Entries: 50}, 50},
		"weight":  {store.Bounds[int, *element]{Weight: 500, Weigh: func(e *element) uint32 { return uint32(e.n) }}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := bounded(t, c.b)
				for i := range 1000 {
					s.Set(i, &element{10})
					s.Maintain(i%2 == 0)
				}
				time.Sleep(time.Millisecond) // what was stored during an eviction is evicted then
				synctest.Wait()
				require.LessOrEqual(t, s.Len(), c.most)
				require.Positive(t, s.Len())
				require.EqualValues(t, 1000-s.Len(), s.Evictions())
			})
		})
	}
}

// TestBoundsThatContradict are refused.
func TestBoundsThatContradict(t *testing.T) {
	_, err := store.NewBounded(store.Bounds[int, *element]{Entries: 1, Weight: 1, Weigh: func(*element) uint32 { return 1 }})
	require.Error(t, err)
}
