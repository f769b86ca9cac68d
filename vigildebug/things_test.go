package vigildebug_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

var bg = context.Background()

func TestGroupShowsItsFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		var g dedup.Group[string, int]
		defer vigildebug.Group("g", &g, vigildebug.In(&r), vigildebug.ShowKeys())()
		land := make(chan struct{})
		call := func(key string) {
			go g.Do(bg, key, func(context.Context) (int, error) { <-land; return 0, nil })
			synctest.Wait()
			time.Sleep(time.Second)
		}
		call("old")
		call("new")
		call("old")
		require.Equal(t, [][]string{
			{"old", "2", "00:00:00.000", "3s"},
			{"new", "1", "00:00:01.000", "2s"},
		}, find(t, page(t, &r), "group g").rows)
		require.Equal(t, map[string]float64{"flights": 2, "waiters": 3, "oldest_flight_seconds": 3}, jsonOf(t, &r).Things[0].Metrics)
		close(land)
		synctest.Wait()
		require.Equal(t, map[string]float64{"flights": 0, "waiters": 0, "oldest_flight_seconds": 0}, jsonOf(t, &r).Things[0].Metrics)
	})
}

func TestCacheShowsItsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		c, err := dedup.NewCache(func(_ context.Context, key string) (int, error) {
			time.Sleep(10 * time.Second)
			if key == "bad" {
				return 0, errors.New("no")
			}
			return 1, nil
		}, nil)
		require.NoError(t, err)
		defer c.Close()
		defer vigildebug.Cache("c", c, vigildebug.In(&r), vigildebug.ShowKeys())()
		for _, key := range []string{"good", "good", "good", "bad"} {
			go c.Get(bg, key)
			synctest.Wait()
			time.Sleep(time.Second)
		}
		require.Equal(t, [][]string{
			{"good", "3", "00:00:00.000", "4s"},
			{"bad", "1", "00:00:03.000", "1s"},
		}, find(t, page(t, &r), "cache c").rows)

		time.Sleep(time.Minute)
		_, err = c.Get(bg, "good")
		require.NoError(t, err)
		got := jsonOf(t, &r).Things[0].Metrics
		for metric, want := range map[string]float64{
			"hits": 1, "misses": 4, "coalesced": 2, "loads": 2, "load_errors": 1, "load_seconds": 20,
			"entries": 1, "in_flight": 0, "waiters": 0,
		} {
			require.Equal(t, want, got[metric], metric)
		}
		s := find(t, page(t, &r), "cache c")
		require.Empty(t, s.rows)
		require.Regexp(t, `^M320\.0 0\.0h0$`, s.paths[0], "of calls since the first look 100 percent hit")
	})
}

func TestCountsOfNotifyAndWaitGroup(t *testing.T) {
	var r vigildebug.Registry
	var n notify.Notify
	var g waitgroup.Group
	defer vigildebug.Notify("n", &n, vigildebug.In(&r))()
	defer vigildebug.WaitGroup("g", &g, vigildebug.In(&r))()
	defer n.Listen().Stop()
	g.Add(3)
	things := jsonOf(t, &r).Things
	require.Equal(t, map[string]float64{"waiters": 1}, things[0].Metrics)
	require.Equal(t, map[string]float64{"pending": 3}, things[1].Metrics)
	require.Equal(t, "waitgroup g", find(t, page(t, &r), "waitgroup g").heading)
	g.Add(-3)
}

func TestLoopShowsItsCounts(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip("no loop here: ", err)
	}
	var r vigildebug.Registry
	l, err := uringwake.NewLoop(nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close(bg)) }()
	defer vigildebug.Loop("l", l, vigildebug.In(&r))()
	done := make(chan struct{})
	require.NoError(t, l.Post(func() { close(done) }))
	<-done
	for l.Stats().Mail == 0 { // it tells when it goes to sleep
		runtime.Gosched()
	}
	got := jsonOf(t, &r).Things[0]
	require.Equal(t, "loop", got.Kind)
	require.Positive(t, got.Metrics["turns"])
	require.Positive(t, got.Metrics["mail"])
	require.Len(t, find(t, page(t, &r), "loop l").paths, 5)
}

// everyKind registers one thing of each kind.
func everyKind(t *testing.T, r *vigildebug.Registry) {
	in := vigildebug.In(r)
	c, err := dedup.NewCache(func(context.Context, int) (int, error) { return 0, nil }, nil)
	require.NoError(t, err)
	vigildebug.Cache("x", c, in)
	vigildebug.Group("x", new(dedup.Group[int, int]), in)
	vigildebug.Map("x", new(waitmap.Map[int, int]), in)
	vigildebug.Notify("x", new(notify.Notify), in)
	vigildebug.WaitGroup("x", new(waitgroup.Group), in)
	vigildebug.Mutex("x", new(await.Mutex), in)
	vigildebug.RWMutex("x", new(await.RWMutex), in)
	vigildebug.Semaphore("x", new(await.Semaphore), in)
	vigildebug.Queue("x", await.NewQueue[int](1), in)
	if uringwake.Supported() == nil {
		l, err := uringwake.NewLoop(nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.Close(bg)) })
		vigildebug.Loop("x", l, in)
	}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
}

// TestNamesInJSON: the metrics are those in the package's documentation.
func TestNamesInJSON(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(text), "a + marks a counter:\n")
	table, _, _ = strings.Cut(table, "# Concurrency")
	table = regexp.MustCompile(`(?m)^//\t {4,}|^//`).ReplaceAllString(table, " ")
	documented := make(map[string][]string)
	var kind string
	for _, word := range strings.Fields(strings.ReplaceAll(table, "\n", " ")) {
		if slices.Contains([]string{"map", "group", "cache", "notify", "waitgroup", "mutex", "rwmutex", "semaphore", "queue", "loop"}, word) {
			kind = word
			continue
		}
		documented[kind] = append(documented[kind], word)
	}

	var r vigildebug.Registry
	everyKind(t, &r)
	for _, thing := range r.Snapshot().Things {
		var got []string
		for _, m := range thing.Metrics {
			if m.Counter {
				m.Name += "+"
			}
			require.NotEmpty(t, m.Help)
			got = append(got, m.Name)
		}
		require.Equal(t, documented[thing.Kind], got, thing.Kind)
	}
	for _, thing := range jsonOf(t, &r).Things {
		require.NotNil(t, thing.Waits, "[], not null")
		require.Equal(t, slices.Sorted(maps.Keys(thing.Metrics)), slices.Sorted(maps.Keys(thing.History.Values)))
		for _, values := range thing.History.Values {
			require.Len(t, values, len(thing.History.Times))
		}
	}
}

func TestHistoryIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		var g waitgroup.Group
		defer vigildebug.WaitGroup("g", &g, vigildebug.In(&r))()
		for i := range 350 {
			g.Add(1)
			r.Snapshot()
			g.Add(1)
			r.Snapshot() // too soon for a sample
			require.Len(t, r.Snapshot().Things[0].History.Times, min(i+1, 300))
			time.Sleep(time.Second)
		}
		h := r.Snapshot().Things[0].History
		require.Len(t, h.Times, 300)
		require.Equal(t, 299*time.Second, h.Times[299].Sub(h.Times[0]))
		require.EqualValues(t, 700, h.Values["pending"][299])
		require.EqualValues(t, 699, h.Values["pending"][298])
		g.Add(-700)
	})
}
