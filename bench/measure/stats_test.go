package measure_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/vigil-go/vigil/bench/measure"
)

func TestMedian(t *testing.T) {
	assert.Equal(t, 3.0, measure.Median([]float64{9, 1, 3}))
	assert.Equal(t, 2.5, measure.Median([]float64{4, 1, 2, 3}))
	assert.Equal(t, 7.0, measure.Median([]float64{7}))
	assert.True(t, math.IsNaN(measure.Median(nil)))
}

func TestMedianLeavesItsArgumentInOrder(t *testing.T) {
	vs := []float64{9, 1, 3}
	measure.Median(vs)
	assert.Equal(t, []float64{9, 1, 3}, vs)
}

func TestGeomean(t *testing.T) {
	assert.InDelta(t, 1, measure.Geomean([]float64{0.5, 2}), 1e-12)
	assert.InDelta(t, 4, measure.Geomean([]float64{2, 8}), 1e-12)
	assert.True(t, math.IsNaN(measure.Geomean(nil)))
	assert.True(t, math.IsNaN(measure.Geomean([]float64{1, 0})), "a ratio of zero is a broken measurement")
	assert.True(t, math.IsNaN(measure.Geomean([]float64{1, math.NaN()})))
}

func TestCompareIsAboveOneWhenOursCostsLess(t *testing.T) {
	r := measure.Compare([]float64{20, 20, 20}, []float64{10, 10, 10})
	assert.Equal(t, 2.0, r.OfMedians)
	assert.Equal(t, 2.0, r.PerRound)
	r = measure.Compare([]float64{10}, []float64{20})
	assert.Equal(t, 0.5, r.OfMedians)
}

// TestComparePerRoundForgivesASlowRound checks that a machine that slows both down in one round moves the
// medians but not the ratios of the rounds.
func TestComparePerRoundForgivesASlowRound(t *testing.T) {
	theirs, ours := []float64{20, 60, 20}, []float64{10, 30, 30}
	r := measure.Compare(theirs, ours)
	assert.InDelta(t, 20.0/30, r.OfMedians, 1e-12)
	assert.Equal(t, 2.0, r.PerRound)
}

func TestGrowthIsNeverNegative(t *testing.T) {
	assert.Equal(t, 10.0, measure.Growth(100, 1100, 100))
	assert.Zero(t, measure.Growth(1100, 100, 100))
}

func TestQuantile(t *testing.T) {
	vs := []float64{4, 1, 3, 2}
	assert.Equal(t, 4.0, measure.Quantile(vs, 0.999))
	assert.Equal(t, 2.0, measure.Quantile(vs, 0.5))
	assert.Equal(t, 1.0, measure.Quantile(vs, 0))
	assert.True(t, math.IsNaN(measure.Quantile(nil, 0.5)))
}
