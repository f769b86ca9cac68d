package scale

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMeasuredInputsAreWhole(t *testing.T) {
	in, err := Measure(Settings{Slice: 20 * time.Millisecond, Rounds: 1, Followers: []int{1, 8}, Keys: 100})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.Len(t, in.Runs, 2)
	require.Positive(t, in.Event)
	require.Positive(t, in.SyncedAt)
	require.Positive(t, in.KeysRead)
	for _, r := range in.Runs {
		for _, l := range []Load{r.Full, r.Slow} {
			require.Positive(t, l.Writes)
			require.Positive(t, l.Server)
			require.Positive(t, l.Median)
			require.Equal(t, r.Followers > 1, l.Follower > 0)
		}
	}
	file := filepath.Join(t.TempDir(), "in.json")
	require.NoError(t, in.Write(file))
	again, err := Read(file)
	require.NoError(t, err)
	require.Equal(t, in, again)
}

// TestAQueueIsThatOfTheory compares with the formula of Pollaczek and Khinchin for writes at
// random that each take the same time.
func TestAQueueIsThatOfTheory(t *testing.T) {
	const each, rate = 100e-6, 5000.0
	r := Simulate(Costs{Write: each}, Place{Cores: 2}, 1, Drive{Rate: rate}, 20)
	require.InDelta(t, rate*each/2, r.Server, 0.01)
	require.InDelta(t, rate, r.Writes, 0.02*rate)
	require.GreaterOrEqual(t, r.Median, each-1e-12)
	require.InEpsilon(t, each+each*rate*each/2/(1-rate*each), r.Mean, 0.03)
}

func TestEachPartLimits(t *testing.T) {
	c := Costs{Write: 1e-6, Deliver: 1e-6, Follow: 1e-6, Event: 100, Sync: 1e-3}
	for limit, of := range map[string]struct {
		costs Costs
		place Place
		most  float64
	}{
		"the server's disk":                                 {c, Place{Cores: 1, Synced: true}, 1000},
		"the server's network connection":                   {c, Place{Cores: 1, Link: 1e6}, 1000},
		"the server's processors":                           {Costs{Write: 1e-6, Deliver: 1e-4}, Place{Cores: 2}, 2000},
		"each follower's processor":                         {Costs{Write: 1e-6, Follow: 1e-3}, Place{Cores: 1}, 1000},
		"the stream, which takes one write after the other": {Costs{Write: 1e-3}, Place{Cores: 8}, 1000},
	} {
		m := FindMost(of.costs, of.place, 10)
		require.Equal(t, limit, m.Limit)
		if limit != "the server's processors" && limit != "the server's network connection" {
			require.InEpsilon(t, of.most, m.Writes, 0.15, limit)
		} else {
			require.Less(t, m.Writes, of.most*1.15, limit)
			require.Greater(t, m.Writes, of.most*0.7, limit)
		}
	}
}

func TestWritersShareTheProcessors(t *testing.T) {
	c := Costs{Writer: 10e-6, Write: 20e-6, Deliver: 5e-6, Follow: 15e-6}
	for _, n := range []int{1, 4} {
		r := Simulate(c, Place{Cores: 2, Shared: true}, n, Drive{Writers: 32}, 1)
		require.InEpsilon(t, 2/(30e-6+float64(n)*20e-6), r.Writes, 0.05)
	}
}

func TestNumbersHaveTwoDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.0334: "0.033", 7.648: "7.6", 29: "29", 325.6: "330", 34385: "34,000", 1534: "1,500"} {
		require.Equal(t, want, number(v))
	}
}
