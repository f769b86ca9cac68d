package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBucketsAreInOrderAndNarrow(t *testing.T) {
	require.Zero(t, bucketOf(0))
	for i := range len(Histogram{}.buckets) - 1 {
		last := lastOf(i)
		require.Equal(t, i, bucketOf(last), "bucket %d ends at %d", i, last)
		require.Equal(t, i+1, bucketOf(last+1), "and the next begins")
		require.LessOrEqual(t, float64(lastOf(i+1)-last), 1+float64(last)/30)
	}
	require.Greater(t, lastOf(len(Histogram{}.buckets)-1), uint64(18*time.Minute))
}

// TestQuantilesAgainstASortedList: a quantile is the element of that rank,
// rounded up by 1/32 at most, and never more than the longest.
func TestQuantilesAgainstASortedList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		parts := make([]Histogram, 1+random.IntN(4))
		var list []time.Duration
		for range 1 + random.IntN(500) {
			d := time.Duration(random.Uint64N(1 << random.IntN(40)))
			parts[random.IntN(len(parts))].Record(d)
			list = append(list, d)
		}
		var all Histogram
		for i := range parts {
			all.Add(&parts[i])
		}
		require.EqualValues(t, len(list), all.Count())
		slices.Sort(list)
		for _, q := range []float64{0, .01, .25, .5, .9, .99, .999, 1} {
			rank := max(1, int(math.Ceil(q*float64(len(list)))))
			want, got := list[rank-1], all.Quantile(q)
			require.GreaterOrEqual(t, got, want, "%v of %d", q, len(list))
			require.LessOrEqual(t, got, min(want+want/32, list[len(list)-1]), "%v of %d", q, len(list))
		}
		require.Equal(t, list[len(list)-1], all.Quantile(1))
	}
}

func TestDurationsOutOfRangeAreCounted(t *testing.T) {
	var h Histogram
	require.Zero(t, h.Quantile(.5), "it is empty")
	h.Record(-time.Second)
	require.Zero(t, h.Quantile(1))
	h.Record(math.MaxInt64)
	require.Equal(t, time.Duration(math.MaxInt64), h.Quantile(1))
	require.EqualValues(t, 2, h.Count())
}

func TestSharedCountsWhatAllRecord(t *testing.T) {
	var s Shared
	require.Zero(t, s.Quantile(.5))
	var recorders sync.WaitGroup
	for i := range 10 {
		recorders.Go(func() {
			for ms := range 100 {
				s.Record(time.Duration(i*100+ms+1) * time.Millisecond)
			}
		})
	}
	recorders.Wait()
	require.EqualValues(t, 1000, s.h.Count())
	require.InEpsilon(t, 500*time.Millisecond, s.Quantile(.50), .04)
	require.InEpsilon(t, 990*time.Millisecond, s.Quantile(.99), .04)
	require.Equal(t, time.Second, s.Quantile(1))
}
