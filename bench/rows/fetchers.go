package rows

import (
	"context"
	"errors"
	"math"
	"sort"
	"sync"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/maypok86/otter/v2"
	"github.com/viccon/sturdyc"
	"golang.org/x/sync/singleflight"

	"github.com/vigil-go/vigil/dedup"
)

// A fetcher loads a key once for all its callers.
type fetcher struct {
	name string
	// keeps reports whether the fetcher stores what was loaded.
	keeps bool
	open  func(capacity int, load loadFunc) fetching
}

// fetching is a fetcher in use.
type fetching struct {
	get   func(ctx context.Context, key string) (int, error)
	many  func(ctx context.Context, keys []string) (map[string]int, error) // or nil
	close func()
}

type loadFunc func(key string) (int, error)

// all loads several keys, one after another.
func (load loadFunc) all(keys []string) (map[string]int, error) {
	found := make(map[string]int, len(keys))
	for _, k := range keys {
		v, err := load(k)
		if err != nil {
			return nil, err
		}
		found[k] = v
	}
	return found, nil
}

const vigilCache = "vigil Cache"

// coalescers store nothing.
var coalescers = []fetcher{
	{name: "singleflight", open: openSingleflight},
	{name: "once values", open: openOnceValues},
	{name: "vigil Group", open: openGroup(background)},
	{name: "vigil Group, cancelable", open: openGroup(cancelable)},
}

// caches hold that many entries; unbounded ones have no limit.
var caches = []fetcher{
	{name: "otter", keeps: true, open: openOtter},
	{name: "sturdyc", keeps: true, open: openSturdyc},
	{name: "ristretto, singleflight", keeps: true, open: openRistretto},
	{name: vigilCache, keeps: true, open: openCache(bounded, background)},
	{name: vigilCache + ", unbounded", keeps: true, open: openCache(unbounded, background)},
	{name: vigilCache + ", cancelable", keeps: true, open: openCache(bounded, cancelable)},
	{name: vigilCache + ", unbounded, cancelable", keeps: true, open: openCache(unbounded, cancelable)},
}

func bounded(n int) int { return n }
func unbounded(int) int { return 0 }

// background is the context of a caller that cannot leave and so runs its load
// itself; cancelable is that of a caller that can leave.
func background(context.Context) context.Context     { return context.Background() }
func cancelable(ctx context.Context) context.Context { return ctx }

// aGoroutine does not coalesce: it shows the least that a load in a goroutine of
// its own costs.
var aGoroutine = fetcher{name: "a goroutine, nothing else", open: func(_ int, load loadFunc) fetching {
	return fetching{close: nothing, get: func(_ context.Context, key string) (v int, err error) {
		var done sync.WaitGroup
		done.Go(func() { v, err = load(key) })
		done.Wait()
		return v, err
	}}
}}

func nothing() {}

func openSingleflight(_ int, load loadFunc) fetching {
	var g singleflight.Group
	return fetching{close: nothing, get: func(_ context.Context, key string) (int, error) {
		v, err, _ := g.Do(key, func() (any, error) {
			v, err := load(key)
			return v, err
		})
		n, _ := v.(int)
		return n, err
	}}
}

// onceValue is the common hand-written version: a map of functions that load once.
// The first caller with the value removes the function from the map.
type onceValue struct{ get func() (int, error) }

func openOnceValues(_ int, load loadFunc) fetching {
	var m sync.Map
	return fetching{close: nothing, get: func(_ context.Context, key string) (int, error) {
		own := &onceValue{sync.OnceValues(func() (int, error) { return load(key) })}
		there, loaded := m.LoadOrStore(key, own)
		v, err := there.(*onceValue).get()
		if !loaded {
			m.CompareAndDelete(key, own)
		}
		return v, err
	}}
}

func openGroup(under func(context.Context) context.Context) func(int, loadFunc) fetching {
	return func(_ int, load loadFunc) fetching {
		var g dedup.Group[string, int]
		return fetching{close: nothing, get: func(ctx context.Context, key string) (int, error) {
			v, _, err := g.Do(under(ctx), key, func(context.Context) (int, error) { return load(key) })
			return v, err
		}}
	}
}

func openOtter(capacity int, load loadFunc) fetching {
	c := otter.Must(&otter.Options[string, int]{MaximumSize: capacity})
	one := otter.LoaderFunc[string, int](func(_ context.Context, key string) (int, error) { return load(key) })
	bulk := otter.BulkLoaderFunc[string, int](func(_ context.Context, keys []string) (map[string]int, error) { return load.all(keys) })
	return fetching{
		get:   func(ctx context.Context, key string) (int, error) { return c.Get(ctx, key, one) },
		many:  func(ctx context.Context, keys []string) (map[string]int, error) { return c.BulkGet(ctx, keys, bulk) },
		close: func() { c.StopAllGoroutines() },
	}
}

func openSturdyc(capacity int, load loadFunc) fetching {
	const shards, evict = 16, 10 // percent
	c := sturdyc.New[int](capacity, shards, 24*time.Hour, evict, sturdyc.WithNoContinuousEvictions())
	return fetching{
		close: nothing,
		get: func(ctx context.Context, key string) (int, error) {
			return c.GetOrFetch(ctx, key, func(context.Context) (int, error) { return load(key) })
		},
		many: func(ctx context.Context, keys []string) (map[string]int, error) {
			return c.GetOrFetchBatch(ctx, keys, func(id string) string { return id },
				func(_ context.Context, keys []string) (map[string]int, error) { return load.all(keys) })
		},
	}
}

// openRistretto loads with singleflight, because ristretto does not load itself.
// Ristretto stores an entry later, or drops it, so a key may be loaded twice.
func openRistretto(capacity int, load loadFunc) fetching {
	c, err := ristretto.NewCache(&ristretto.Config[string, int]{
		NumCounters: int64(10 * capacity), MaxCost: int64(capacity), BufferItems: 64, IgnoreInternalCost: true,
	})
	mustNot(err)
	loading := openSingleflight(0, func(key string) (int, error) {
		v, err := load(key)
		if err == nil {
			c.Set(key, v, 1)
		}
		return v, err
	})
	return fetching{close: c.Close, get: func(ctx context.Context, key string) (int, error) {
		if v, ok := c.Get(key); ok {
			return v, nil
		}
		return loading.get(ctx, key)
	}}
}

func openCache(bound func(capacity int) int, under func(context.Context) context.Context) func(int, loadFunc) fetching {
	return func(capacity int, load loadFunc) fetching {
		c, err := dedup.NewCache(
			func(_ context.Context, key string) (int, error) { return load(key) },
			&dedup.CacheOptions[string, int]{
				MaxEntries: bound(capacity),
				LoadMany:   func(_ context.Context, keys []string) (map[string]int, error) { return load.all(keys) },
			})
		mustNot(err)
		return fetching{
			get:   func(ctx context.Context, key string) (int, error) { return c.Get(under(ctx), key) },
			many:  c.GetMany,
			close: func() { mustNot(c.Close()) },
		}
	}
}

var errLoad = errors.New("rows: this load fails")

// zipf returns n draws of keys, in which the k-th most frequent key is drawn 1/k^s
// times as often as the first. rand.Zipf does not support s below 1.
func zipf(keys []string, s float64, n int, random func() float64) []string {
	sums := make([]float64, len(keys))
	sum := 0.0
	for k := range sums {
		sum += math.Pow(float64(k+1), -s)
		sums[k] = sum
	}
	draws := make([]string, n)
	for i := range draws {
		draws[i] = keys[sort.SearchFloat64s(sums, random()*sum)]
	}
	return draws
}
