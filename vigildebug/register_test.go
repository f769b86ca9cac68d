package vigildebug_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/vigildebug"
)

// pool describes an object that the package does not know.
func pool(d *vigildebug.Description) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	d.Counter("taken", time.Since(start).Seconds()*10, "Connections taken.")
	d.Gauge("idle", 3, "Connections that nobody uses.")
	d.Fact("version", "1.2 <b>")
	d.Plot("Connections", "taken", "idle")
	d.Wait(vigildebug.Wait{In: "part 1", Key: "unknown", Waiters: 1})
	d.Wait(vigildebug.Wait{In: "part 1", Key: "new", Waiters: 2, Since: start.Add(time.Second)})
	d.Wait(vigildebug.Wait{In: "part 2", Key: "old", Waiters: 3, Since: start})
	d.Lease(vigildebug.Lease{In: "part 1", Key: "theirs", Holder: "b", Fence: 8})
	d.Lease(vigildebug.Lease{In: "part 2", Key: "ours", Holder: "a", Ours: true, Fence: 7, Since: start})
	d.Lease(vigildebug.Lease{In: "part 3", Holder: "c", Fence: 9})
}

func TestObjectsOfOtherPackages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		unregister := vigildebug.Register("pool", "p", pool, vigildebug.In(&r), vigildebug.ShowKeys())
		r.Snapshot()
		time.Sleep(2 * time.Second)
		html := page(t, &r)
		s := find(t, html, "pool p")
		require.Equal(t, [][]string{
			{"part 2", "old", "3", "00:00:00.000", "2s"},
			{"part 1", "new", "2", "00:00:01.000", "1s"},
			{"part 1", "unknown", "1", "", ""},
		}, s.rows)
		require.Equal(t, [][]string{
			{"part 2", "ours", "a this process", "7", "00:00:00.000", "2s"},
			{"part 1", "theirs", "b", "8", "", ""},
			{"part 3", "", "c", "9", "", ""},
		}, s.leases)
		require.Equal(t, []string{"M320.0 0.0h0", "M0.0 56.0h0L320.0 56.0"}, s.paths, "a rate of 10, and the value 3")
		require.Contains(t, html, "1.2 &lt;b&gt;")
		require.Equal(t, [][]string{
			{"pool p, part 2", "old", "3", "00:00:00.000", "2s"},
			{"pool p, part 1", "new", "2", "00:00:01.000", "1s"},
			{"pool p, part 1", "unknown", "1", "", ""},
		}, find(t, html, "Waiting longest").rows)

		thing := jsonOf(t, &r).Things[0]
		require.Equal(t, map[string]float64{"taken": 20, "idle": 3}, thing.Metrics)
		require.Equal(t, map[string]string{"version": "1.2 <b>"}, thing.Facts)
		require.Equal(t, "part 2", thing.Waits[0].In)
		require.Len(t, thing.Leases, 3)
		require.EqualValues(t, 7, thing.Leases[0].Fence)
		require.True(t, thing.Leases[0].Ours)
		require.Equal(t, "0001-01-01T00:00:00Z", thing.Leases[1].Since)
		unregister()
		require.Empty(t, jsonOf(t, &r).Things)
	})
}

// TestKeysOfOtherPackagesAreHidden: equal ones have the same hash in waits and leases.
func TestKeysOfOtherPackagesAreHidden(t *testing.T) {
	const key = "Bearer topsecret"
	var r vigildebug.Registry
	defer vigildebug.Register("pool", "p", func(d *vigildebug.Description) {
		d.Wait(vigildebug.Wait{Key: key, Waiters: 1})
		d.Lease(vigildebug.Lease{Key: key})
	}, vigildebug.In(&r))()
	require.NotContains(t, page(t, &r), key)
	thing := jsonOf(t, &r).Things[0]
	require.Regexp(t, `^#[0-9a-f]{12}$`, thing.Waits[0].Key)
	require.Equal(t, thing.Waits[0].Key, thing.Leases[0].Key)
}

func TestLeasesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		start, long := time.Now(), strings.Repeat("x", 10000)
		defer vigildebug.Register("pool", "p", func(d *vigildebug.Description) {
			d.Fact("long", long)
			for i := range 2000 {
				d.Lease(vigildebug.Lease{Key: fmt.Sprint(i), Holder: long, Since: start.Add(-time.Duration(i))})
			}
		}, vigildebug.In(&r), vigildebug.ShowKeys())()
		html := page(t, &r)
		s := find(t, html, "pool p")
		require.Len(t, s.leases, 100)
		require.Equal(t, "1999", s.leases[0][1], "the oldest are kept")
		require.Contains(t, html, "1900 more are not shown")
		require.Less(t, len(html), 100_000)
		require.Equal(t, 1900, jsonOf(t, &r).Things[0].MoreLeases)
	})
}

// TestBadDescriptionSpoilsNothing: what cannot be shown is an error in its place.
func TestBadDescriptionSpoilsNothing(t *testing.T) {
	for name, describe := range map[string]func(*vigildebug.Description){
		"not a number": func(d *vigildebug.Description) { d.Gauge("x", math.NaN(), "") },
		"infinite":     func(d *vigildebug.Description) { d.Counter("x", math.Inf(1), "") },
		"no name":      func(d *vigildebug.Description) { d.Gauge("X y", 1, "") },
		"no fact":      func(d *vigildebug.Description) { d.Fact("", "text") },
		"twice":        func(d *vigildebug.Description) { d.Gauge("x", 1, ""); d.Counter("x", 1, "") },
		"no metric":    func(d *vigildebug.Description) { d.Gauge("x", 1, ""); d.Plot("Plot", "x", "y") },
		"panics":       func(d *vigildebug.Description) { panic("no") },
	} {
		var r vigildebug.Registry
		defer vigildebug.Register("bad", name, describe, vigildebug.In(&r))()
		defer vigildebug.Register("good", "p", pool, vigildebug.In(&r))()
		things := jsonOf(t, &r).Things
		require.Contains(t, things[0].Error, "panicked with a string", name)
		require.Len(t, things[1].Metrics, 2)
		require.Equal(t, http.StatusOK, ask(&r, "GET", "/debug/vigil/").Code)
	}
}

// TestMetricsThatChange: the plots begin anew.
func TestMetricsThatChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		names := []string{"x"}
		defer vigildebug.Register("pool", "p", func(d *vigildebug.Description) {
			for _, name := range names {
				d.Gauge(name, 1, "")
			}
		}, vigildebug.In(&r))()
		for range 2 {
			r.Snapshot()
			time.Sleep(time.Second)
		}
		names = append(names, "y")
		require.Equal(t, map[string][]float64{"x": {1}, "y": {1}}, jsonOf(t, &r).Things[0].History.Values)
	})
}

func TestRegisterRefuses(t *testing.T) {
	require.PanicsWithValue(t, "vigildebug: nil function", func() { vigildebug.Register("pool", "p", nil) })
	require.PanicsWithValue(t, "vigildebug: the kind map is taken", func() { vigildebug.Register("map", "p", pool) })
	for _, kind := range []string{"", "A", "a b", "1a", "a-b"} {
		require.Panics(t, func() { vigildebug.Register(kind, "p", pool) }, kind)
	}
}
