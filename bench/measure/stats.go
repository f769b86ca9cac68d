// Package measure times rivals side by side in one process. Rounds are interleaved,
// results are medians, and ratios are taken within one round, because absolute
// times differ between runs and the state of the machine changes within one.
package measure

import (
	"math"
	"slices"
)

// Median returns the middle of vs, the mean of the two middles if their number is
// even, and NaN if vs is empty. It does not reorder vs.
func Median(vs []float64) float64 {
	if len(vs) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(vs))
	mid := len(s) / 2
	if len(s)%2 == 1 {
		return s[mid]
	}
	return (s[mid-1] + s[mid]) / 2
}

// Quantile returns the smallest of vs that is no smaller than the share q of them,
// and NaN if vs is empty.
func Quantile(vs []float64, q float64) float64 {
	if len(vs) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(vs))
	at := int(math.Ceil(q*float64(len(s)))) - 1
	return s[min(max(at, 0), len(s)-1)]
}

// Mean returns the arithmetic mean of vs, and NaN if vs is empty.
func Mean(vs []float64) float64 {
	sum := 0.0
	for _, v := range vs {
		sum += v
	}
	return sum / float64(len(vs))
}

// Geomean returns the geometric mean of vs. It returns NaN if vs is empty or one of
// them is not positive: a ratio of zero is a broken measurement.
func Geomean(vs []float64) float64 {
	if len(vs) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range vs {
		if !(v > 0) {
			return math.NaN()
		}
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(vs)))
}

// Ratio is how many times ours is better than theirs, where less is better.
type Ratio struct {
	OfMedians float64 // median(theirs) / median(ours)
	PerRound  float64 // median over the rounds of theirs / ours
}

// Compare returns how many times faster (or smaller) ours is than theirs: above 1
// ours is better.
func Compare(theirs, ours []float64) Ratio {
	n := min(len(theirs), len(ours))
	per := make([]float64, n)
	for i := range n {
		per[i] = theirs[i] / ours[i]
	}
	return Ratio{OfMedians: Median(theirs) / Median(ours), PerRound: Median(per)}
}

// Spread returns half the distance between the quartiles divided by the median:
// 0.05 means "give or take 5 %".
func Spread(vs []float64) float64 {
	if len(vs) < 2 {
		return 0
	}
	s := slices.Sorted(slices.Values(vs))
	lo, hi := s[len(s)/4], s[(3*len(s))/4]
	return (hi - lo) / 2 / Median(s)
}
