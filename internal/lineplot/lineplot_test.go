package lineplot

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPathLeavesGaps(t *testing.T) {
	nan := math.NaN()
	var times []time.Time
	for i := range 5 {
		times = append(times, time.Unix(int64(10*i), 0))
	}
	f := Frame{Width: 320, Height: 80, Top: 10}
	require.Equal(t, "M80.0 80.0h0L160.0 40.0M320.0 0.0h0", f.Path(times, []float64{nan, 0, 5, nan, 10}))
	require.Empty(t, f.Path(times, []float64{nan, nan, nan, nan, nan}))
	require.Empty(t, f.Path(nil, nil))
	require.Equal(t, "M320.0 40.0h0", f.Path(times[:1], []float64{5}))
}

func TestRoundUp(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.3: 1, 1: 1, 1.1: 2, 2: 2, 3: 5, 7: 10, 10: 10, 11: 20, 4999: 5000, 70000: 100000} {
		require.Equal(t, want, RoundUp(v), "%v", v)
	}
}
