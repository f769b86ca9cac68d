package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

type weighed struct{ weight uint32 }

// TestNeverTwiceTheBound: the bound holds at any moment, however many goroutines store,
// delete and clear. When all is quiet, the count equals what is stored.
func TestNeverTwiceTheBound(t *testing.T) {
	for _, writers := range []int{1, 8} {
		for _, bound := range []int{1, 2, 10, 1000} {
			t.Run(fmt.Sprintf("%d writers, %d entries", writers, bound), func(t *testing.T) {
				storeMuch(t, writers, Bounds[int, *weighed]{Entries: bound}, func(*rand.Rand) uint32 { return 1 })
			})
			t.Run(fmt.Sprintf("%d writers, weight %d", writers, 100*bound), func(t *testing.T) {
				b := Bounds[int, *weighed]{Weight: 100 * uint64(bound), Weigh: func(e *weighed) uint32 { return e.weight }}
				storeMuch(t, writers, b, func(r *rand.Rand) uint32 { return r.Uint32N(150) })
			})
		}
	}
}

func storeMuch(t *testing.T, writers int, b Bounds[int, *weighed], weight func(*rand.Rand) uint32) {
	rounds := testkit.Scale(3000, 300)
	synctest.Test(t, func(t *testing.T) {
		made, err := NewBounded(b)
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
						s.Maintain(key%2 == 0)
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
		require.Equal(t, s.there(), s.used.Load()-s.evicting.Load())
		require.LessOrEqual(t, s.there(), b.limit())
	})
}

// seen returns what is stored at one moment, or zero if that cannot be told. A sum of
// weights is not of one moment while others store, and otter's size is a sum too, which
// can be wrong by one for each writer.
func (s *bounded[K, E]) seen(writers int) int64 {
	if s.bounds.Weight != 0 && writers > 1 {
		return 0
	}
	return s.there()
}

// there returns the weight of the stored elements.
func (s *bounded[K, E]) there() (sum int64) {
	if s.bounds.Weight == 0 {
		return int64(s.Len())
	}
	for _, e := range s.All() {
		sum += s.bounds.weigh(e)
	}
	return sum
}

// TestTooHeavy: an element that is heavier than the bound is not stored, and replaces
// what was stored.
func TestTooHeavy(t *testing.T) {
	s, err := NewBounded(Bounds[int, *weighed]{Weight: 100, Weigh: func(e *weighed) uint32 { return e.weight }})
	require.NoError(t, err)
	s.Set(1, &weighed{100})
	s.Set(1, &weighed{101})
	_, ok := s.Get(1)
	require.False(t, ok)
	require.EqualValues(t, 1, s.Evictions())
}

// TestMaintainInline: the work that a Set leaves is done when Maintain returns, if it is
// inline.
func TestMaintainInline(t *testing.T) {
	s, err := NewBounded(Bounds[int, *weighed]{Entries: 10})
	require.NoError(t, err)
	for i := range 1000 {
		s.Set(i, &weighed{1})
		s.Maintain(true)
		require.Equal(t, min(i+1, 10), s.Len())
	}
}

// TestExecuteOfAGet during a Set: it cannot tell whose work it is. The work is done,
// whether or not the Set has come to its Maintain.
func TestExecuteOfAGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, err := NewBounded(Bounds[int, *weighed]{Entries: 10})
		require.NoError(t, err)
		s := made.(*bounded[int, *weighed])
		n := 0
		s.execute(func() { n++ })
		synctest.Wait()
		require.Equal(t, 1, n)
		s.setsRunning.Add(1)
		s.execute(func() { n++ })
		synctest.Wait()
		require.Equal(t, 1, n, "left to the Set")
		s.setsRunning.Add(-1)
		s.Maintain(false)
		synctest.Wait()
		require.Equal(t, 2, n)
		s.Maintain(true)
		require.Equal(t, 2, n, "once")
	})
}

// TestStressExecute: the work of a Get is done, whatever a Set does at the same time.
func TestStressExecute(t *testing.T) {
	made, err := NewBounded(Bounds[int, *weighed]{Entries: 10})
	require.NoError(t, err)
	s := made.(*bounded[int, *weighed])
	for range 20_000 {
		var done atomic.Bool
		ready, both := make(chan struct{}), new(sync.WaitGroup)
		both.Go(func() {
			<-ready
			s.setsRunning.Add(1)
			s.setsRunning.Add(-1)
			s.Maintain(true)
		})
		both.Go(func() {
			<-ready
			s.execute(func() { done.Store(true) })
		})
		close(ready)
		both.Wait()
		require.Nil(t, s.pending.Load())
		for !done.Load() {
			runtime.Gosched()
		}
	}
}

// TestSetDuringEviction: the evicting goroutine has read the stores when another one
// comes, and the Store is not used afterwards. That element is evicted too.
func TestSetDuringEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var holdUp, held atomic.Bool
		release := make(chan struct{})
		made, err := NewBounded(Bounds[int, *weighed]{Weight: 500, Weigh: func(e *weighed) uint32 {
			if holdUp.Load() && held.CompareAndSwap(false, true) {
				<-release
			}
			return e.weight
		}})
		require.NoError(t, err)
		s := made.(*bounded[int, *weighed])
		for i := range 51 {
			s.Set(i, &weighed{10})
			if i == 50 {
				holdUp.Store(true)
			}
			s.Maintain(i < 50)
		}
		synctest.Wait()
		require.True(t, held.Load(), "an eviction is in progress")
		var stored atomic.Bool
		go func() {
			s.Set(51, &weighed{10})
			s.Maintain(true)
			stored.Store(true)
		}()
		// The eviction holds a lock of some keys: if 51 is one of them, the Set waits for it.
		for n := 0; n < 100_000 && !stored.Load(); n++ {
			runtime.Gosched()
		}
		close(release)
		time.Sleep(catchUpDelay)
		synctest.Wait()
		require.LessOrEqual(t, s.there(), int64(500))
		require.Equal(t, s.there(), s.used.Load()-s.evicting.Load())
	})
}

// TestCatchUpAgain: an element that is counted and not stored yet cannot be evicted. It is
// looked for again, since what follows its Set may not see it either.
func TestCatchUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, err := NewBounded(Bounds[int, *weighed]{Entries: 10})
		require.NoError(t, err)
		s := made.(*bounded[int, *weighed])
		s.used.Add(11)
		s.catchUp()
		require.True(t, s.catchingUp.Load())
		s.used.Add(-11)
		time.Sleep(catchUpDelay)
		synctest.Wait()
		require.False(t, s.catchingUp.Load())
	})
}
