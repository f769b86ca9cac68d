package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// TestUsed: the count equals what is stored, after goroutines have stored and deleted the
// same few keys and elements at the same time.
func TestUsed(t *testing.T) {
	for _, b := range []Bounds[int, *weighed]{{Entries: 1}, {Entries: 7}, {Weight: 50, Weigh: func(e *weighed) uint32 { return e.weight }}} {
		t.Run(fmt.Sprint(b.Entries, b.Weight), func(t *testing.T) {
			made, err := NewBounded(b)
			require.NoError(t, err)
			s := made.(*bounded[int, *weighed])
			same := []*weighed{{0}, {1}, {50}, {51}, {7}}
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(w), 2))
					for range testkit.Scale(30000, 6000) {
						key, e := r.IntN(12), same[r.IntN(len(same))]
						switch r.IntN(12) {
						case 0:
							s.Delete(key)
						case 1, 2, 3:
							s.DeleteIf(key, e)
						case 4:
							if r.IntN(50) == 0 {
								s.Clear()
							}
						default:
							s.Set(key, e)
							s.Maintain(key%2 == 0)
						}
					}
				})
			}
			wg.Wait()
			s.c.CleanUp()
			require.Eventually(t, func() bool { s.c.CleanUp(); return s.there() == s.used.Load()-s.evicting.Load() }, 5*time.Second, time.Millisecond, "%d there, %d used", s.there(), s.used.Load()-s.evicting.Load())
			s.Clear()
			require.Zero(t, s.used.Load()-s.evicting.Load())
		})
	}
}

// TestHugeBounds do not overflow.
func TestHugeBounds(t *testing.T) {
	weigh := func(e *weighed) uint32 { return e.weight }
	for _, b := range []Bounds[int, *weighed]{
		{Weight: math.MaxUint64, Weigh: weigh}, {Weight: 1 << 63, Weigh: weigh}, {Weight: 1<<63 - 1, Weigh: weigh},
		{Entries: math.MaxInt}, {Weight: 1, Weigh: weigh},
	} {
		s, err := NewBounded(b)
		require.NoError(t, err)
		for i := range 1000 {
			s.Set(i, &weighed{math.MaxUint32})
			s.Set(i, &weighed{1})
			s.Set(i, &weighed{0})
		}
		_, ok := s.Get(999)
		require.True(t, ok)
	}
}

// TestOneWriter: a goroutine sees of its own stores at most an eighth more than the
// bound, and one that is being evicted.
func TestOneWriter(t *testing.T) {
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		s, err := NewBounded(Bounds[int, *weighed]{Entries: n})
		require.NoError(t, err)
		most := 0
		for i := range 4 * n {
			s.Set(i, &weighed{1})
			most = max(most, s.Len())
		}
		require.LessOrEqual(t, most, n+n/8+1)
	}
}
