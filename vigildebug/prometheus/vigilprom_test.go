package vigilprom_test

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/vigildebug"
	vigilprom "github.com/vigil-go/vigil/vigildebug/prometheus"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func newCache(t *testing.T) *dedup.Cache[string, int] {
	t.Helper()
	c, err := dedup.NewCache(func(context.Context, string) (int, error) { return 1, nil }, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestCountersAndGauges(t *testing.T) {
	var r vigildebug.Registry
	c := newCache(t)
	vigildebug.Cache("pages", c, vigildebug.In(&r))
	for range 4 {
		_, err := c.Get(bg, "k")
		require.NoError(t, err)
	}
	want := `
# HELP vigil_cache_entries Entries in the cache.
# TYPE vigil_cache_entries gauge
vigil_cache_entries{name="pages"} 1
# HELP vigil_cache_hits_total Keys answered by a stored value or error.
# TYPE vigil_cache_hits_total counter
vigil_cache_hits_total{name="pages"} 3
# HELP vigil_cache_misses_total Keys that were loaded, or whose load was joined.
# TYPE vigil_cache_misses_total counter
vigil_cache_misses_total{name="pages"} 1
`
	require.NoError(t, testutil.CollectAndCompare(vigilprom.NewCollector(&r), strings.NewReader(want),
		"vigil_cache_entries", "vigil_cache_hits_total", "vigil_cache_misses_total"))
}

func TestOldestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		var m waitmap.Map[string, int]
		vigildebug.Map("answers", &m, vigildebug.In(&r))
		defer m.Register("k", nil).Stop()
		time.Sleep(90 * time.Second)
		want := `
# HELP vigil_map_oldest_wait_seconds Duration of the oldest wait.
# TYPE vigil_map_oldest_wait_seconds gauge
vigil_map_oldest_wait_seconds{name="answers"} 90
`
		require.NoError(t, testutil.CollectAndCompare(vigilprom.NewCollector(&r), strings.NewReader(want), "vigil_map_oldest_wait_seconds"))
	})
}

// every registers two things of each kind, so that names must tell them apart.
func every(t *testing.T, r *vigildebug.Registry) (m *waitmap.Map[string, int]) {
	t.Helper()
	in := vigildebug.In(r)
	m = new(waitmap.Map[string, int])
	for _, name := range []string{"x", "y"} {
		vigildebug.Cache(name, newCache(t), in)
		vigildebug.Group(name, new(dedup.Group[string, int]), in)
		vigildebug.Map(name, m, in, vigildebug.ShowKeys())
		vigildebug.Notify(name, new(notify.Notify), in)
		vigildebug.WaitGroup(name, new(waitgroup.Group), in)
		vigildebug.Mutex(name, new(await.Mutex), in)
		vigildebug.RWMutex(name, new(await.RWMutex), in)
		vigildebug.Semaphore(name, new(await.Semaphore), in)
		vigildebug.Queue(name, await.NewQueue[string](1), in)
		if uringwake.Supported() == nil {
			l, err := uringwake.NewLoop(nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, l.Close(bg)) })
			vigildebug.Loop(name, l, in)
		}
	}
	return m
}

// TestNamesFollowTheConventions of Prometheus, as its linter sees them.
func TestNamesFollowTheConventions(t *testing.T) {
	var r vigildebug.Registry
	every(t, &r)
	problems, err := testutil.CollectAndLint(vigilprom.NewCollector(&r))
	require.NoError(t, err)
	require.Empty(t, problems)
	if uringwake.Supported() == nil {
		require.Equal(t, 2, testutil.CollectAndCount(vigilprom.NewCollector(&r), "vigil_loop_turns_total"))
	}
}

// TestNoKeyIsInALabel: the one label is the name, even where keys are shown.
func TestNoKeyIsInALabel(t *testing.T) {
	var r vigildebug.Registry
	defer every(t, &r).Register("secret", nil).Stop()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(vigilprom.NewCollector(&r)))
	families, err := registry.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			require.Len(t, m.GetLabel(), 1)
			require.Equal(t, "name", m.GetLabel()[0].GetName())
			require.Contains(t, []string{"x", "y"}, m.GetLabel()[0].GetValue())
		}
	}
}

// TestOddNames: whatever a thing is called, the scrape succeeds.
func TestOddNames(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[string, int]
	for _, name := range []string{"", "a\xffb", "a\xfeb", "\"\\\n{}", "same", "same"} {
		vigildebug.Map(name, &m, vigildebug.In(&r))
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(vigilprom.NewCollector(&r))
	families, err := registry.Gather()
	require.NoError(t, err)
	var names []string
	for _, metric := range families[0].GetMetric() {
		names = append(names, metric.GetLabel()[0].GetValue())
	}
	slices.Sort(names)
	require.Equal(t, []string{"", "\"\\\n{}", "a\uFFFDb", "a\uFFFDb#2", "same", "same#2"}, names)
}

func TestThingsComeAndGo(t *testing.T) {
	var r vigildebug.Registry
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(vigilprom.NewCollector(&r))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				vigildebug.Map("m", new(waitmap.Map[int, int]), vigildebug.In(&r))()
			}
		})
		all.Go(func() {
			for range 50 {
				if _, err := registry.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, testutil.CollectAndCount(vigilprom.NewCollector(&r)))
}

func TestDefaultRegistry(t *testing.T) {
	var n notify.Notify
	defer vigildebug.Notify("of the default registry", &n)()
	require.Equal(t, 1, testutil.CollectAndCount(vigilprom.NewCollector(nil), "vigil_notify_waiters"))
}

// A brokenGroup is what vigildebug.Group accepts, and cannot be read.
type brokenGroup struct{ fail func() }

func (g *brokenGroup) InFlight() iter.Seq2[string, dedup.FlightInfo] {
	return func(func(string, dedup.FlightInfo) bool) { g.fail() }
}

// TestThingThatFails is left out of the scrape, which succeeds.
func TestThingThatFails(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("secret \xff") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var r vigildebug.Registry
			vigildebug.Group("broken \xff", &brokenGroup{fail}, vigildebug.In(&r))
			vigildebug.Notify("whole \xff", new(notify.Notify), vigildebug.In(&r))
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(vigilprom.NewCollector(&r))
			families, err := registry.Gather()
			require.NoError(t, err)
			require.Len(t, families, 1)
			require.Equal(t, "vigil_notify_waiters", families[0].GetName())
			require.Equal(t, "whole \uFFFD", families[0].GetMetric()[0].GetLabel()[0].GetValue())
		})
	}
}
