package vigildebug

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// historyOf makes a history of n samples ten seconds apart.
func historyOf(n int, values map[string][]float64) History {
	h := History{Values: values}
	for i := range n {
		h.Times = append(h.Times, time.Unix(int64(10*i), 0))
	}
	return h
}

func TestCurves(t *testing.T) {
	nan := math.NaN()
	a := []float64{0, 10, 10, 40, 100}
	b := []float64{0, 30, 30, 30, 0} // a counter that shrinks is none
	h := historyOf(5, map[string][]float64{"a": a, "b": b})
	for _, c := range []struct {
		curve curve
		want  []float64
	}{
		{level("a"), a},
		{rate("a"), []float64{nan, 1, 0, 3, 6}},
		{share("a", "a", "b"), []float64{nan, 25, nan, 100, 100}},
		{share("a", "b"), []float64{nan, 100.0 / 3, nan, nan, nan}},
	} {
		for i, want := range c.want {
			require.InDelta(t, want, c.curve.at(h, i), 1e-9, "%s at %d", c.curve.label, i)
		}
	}
}

func TestEveryKindHasItsPlots(t *testing.T) {
	for _, kind := range kinds {
		require.NotEmpty(t, charts[kind], kind)
	}
	require.Len(t, charts, len(kinds))
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12345678: "12345678", 12.345: "12.3", 1.2345: "1.23", 0.0012345: "0.00123", 6.34e-7: "<0.001"} {
		require.Equal(t, want, number(v))
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1234567: "1ms", 1234567890: "1.2s", 12345 * time.Millisecond: "12s", 3723 * time.Second: "1h2m3s",
	} {
		require.Equal(t, want, age(d))
	}
}

// TestLongestKeepsTheOldest: as sorting all and cutting does.
func TestLongestKeepsTheOldest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 99, 100, 101, 1000} {
		var l longest[int]
		var all []row[int]
		for i := range n {
			r := row[int]{i, 1, time.Unix(random.Int64N(500), 0)}
			all = append(all, r)
			l.add(r.key, r.waiters, r.since)
		}
		slices.SortStableFunc(all, func(a, b row[int]) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.key, b.key)) })
		require.True(t, slices.Equal(all[:min(n, maxWaits)], l.rows), n)
		require.Equal(t, n, l.keys)
		require.Equal(t, n, l.waiters)
	}
}

// TestHashesSeeWhatEqualitySees: keys of any type, and no collision among many.
func TestHashesSeeWhatEqualitySees(t *testing.T) {
	p, q := new(int), new(int)
	require.Equal(t, hide(p), hide(p))
	require.NotEqual(t, hide(p), hide(q))
	require.Equal(t, hide(any("a")), hide(any("a")))
	require.NotEqual(t, hide(any(1)), hide(any("1")))
	type wide struct {
		_ [1024]byte
		s string
	}
	require.Equal(t, hide(wide{s: "x"}), hide(wide{s: "x"}))
	require.NotEqual(t, hide(wide{s: "x"}), hide(wide{s: "y"}))
	seen := make(map[string]bool)
	for i := range 10000 {
		seen[hide(i)] = true
	}
	require.Len(t, seen, 10000)
}
