package shelf

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

type weighed struct{ weight uint32 }

// TestNeverTwiceTheBound, at any moment, however many store, delete and clear;
// and when all is quiet it is what is there that was counted.
func TestNeverTwiceTheBound(t *testing.T) {
	for _, writers := range []int{1, 8} {
		for _, bound := range []int{1, 2, 10, 1000} {
			t.Run(fmt.Sprintf("%d writers, %d entries", writers, bound), func(t *testing.T) {
				storeMuch(t, writers, Bounds[*weighed]{Entries: bound}, func(*rand.Rand) uint32 { return 1 })
			})
			t.Run(fmt.Sprintf("%d writers, weight %d", writers, 100*bound), func(t *testing.T) {
				b := Bounds[*weighed]{Weight: 100 * uint64(bound), Weigh: func(e *weighed) uint32 { return e.weight }}
				storeMuch(t, writers, b, func(r *rand.Rand) uint32 { return r.Uint32N(150) })
			})
		}
	}
}

func storeMuch(t *testing.T, writers int, b Bounds[*weighed], weight func(*rand.Rand) uint32) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	synctest.Test(t, func(t *testing.T) {
		made, err := NewBounded[int](b)
		require.NoError(t, err)
		s := made.(*bounded[int, *weighed])
		var over atomic.Int64
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(w), 1))
				for range rounds {
					key := r.IntN(5000)
					switch r.IntN(50) {
					case 0:
						s.Delete(key)
					case 1:
						s.Clear()
					default:
						s.Set(key, &weighed{weight(r)})
					}
					if n := s.seen(writers); n > 2*b.limit()+int64(writers)-1 {
						over.Store(n)
					}
					if n := s.used.Load(); n > 2*b.limit() {
						over.Store(n)
					}
				}
			})
		}
		wg.Wait()
		require.Zero(t, over.Load(), "of %d", b.limit())
		synctest.Wait()
		require.Equal(t, s.there(), s.used.Load()-s.going.Load())
		require.LessOrEqual(t, s.there(), b.limit())
	})
}

// seen is what is there at one moment. A sum of weights is not, if others store;
// otter's size is one of parts, too, and can be wrong by what each of them does.
func (s *bounded[K, E]) seen(writers int) int64 {
	if s.bounds.Weight != 0 && writers > 1 {
		return 0
	}
	return s.there()
}

// there is the weight of what can be seen.
func (s *bounded[K, E]) there() (sum int64) {
	if s.bounds.Weight == 0 {
		return int64(s.Len())
	}
	for _, e := range s.All() {
		sum += s.bounds.weigh(e)
	}
	return sum
}

// TestTooHeavy: what is heavier than the bound is not stored, nor is what was
// there before.
func TestTooHeavy(t *testing.T) {
	s, err := NewBounded[int](Bounds[*weighed]{Weight: 100, Weigh: func(e *weighed) uint32 { return e.weight }})
	require.NoError(t, err)
	s.Set(1, &weighed{100})
	s.Set(1, &weighed{101})
	_, ok := s.Get(1)
	require.False(t, ok)
	require.EqualValues(t, 1, s.Evictions())
}
