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

func bounded(t testing.TB, b store.Bounds[*element]) storeOf {
	t.Helper()
	s, err := store.NewBounded[int](b)
	require.NoError(t, err)
	return s
}

// overStores runs f with every kind of Store, with enough room.
func overStores(t *testing.T, f func(t *testing.T, s storeOf)) {
	for name, s := range map[string]storeOf{
		"open":    store.NewUnbounded[int, *element](),
		"entries": bounded(t, store.Bounds[*element]{Entries: 100_000}),
		"weight":  bounded(t, store.Bounds[*element]{Weight: 100_000, Weigh: func(*element) uint32 { return 1 }}),
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
		b    store.Bounds[*element]
		most int
	}{
		"entries": {store.Bounds[*element]{Entries: 50}, 50},
		"weight":  {store.Bounds[*element]{Weight: 500, Weigh: func(e *element) uint32 { return uint32(e.n) }}, 50},
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
	_, err := store.NewBounded[int](store.Bounds[*element]{Entries: 1, Weight: 1, Weigh: func(*element) uint32 { return 1 }})
	require.Error(t, err)
}
