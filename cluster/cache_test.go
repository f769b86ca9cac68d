package cluster_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
)

// A loader is that of a Cache, which the test replaces.
type loader[V any] struct {
	f     atomic.Pointer[func(ctx context.Context, key string) (V, error)]
	calls atomic.Int64
}

func (l *loader[V]) set(f func(ctx context.Context, key string) (V, error)) { l.f.Store(&f) }

func (l *loader[V]) load(ctx context.Context, key string) (V, error) {
	l.calls.Add(1)
	return (*l.f.Load())(ctx, key)
}

// returns makes l return the results, one after the other, and then the last one always.
func (l *loader[V]) returns(all ...result[V]) {
	var n atomic.Int64
	l.set(func(context.Context, string) (V, error) {
		r := all[min(int(n.Add(1)), len(all))-1]
		return r.v, r.err
	})
}

func newCache[V any](t *testing.T, b *cluster.Bucket, l *loader[V], o *cluster.CacheOptions[V]) *cluster.Cache[V] {
	if o == nil {
		o = &cluster.CacheOptions[V]{LeaseTTL: endless}
	}
	c, err := cluster.NewCache(b, l.load, o)
	require.NoError(t, err)
	return c
}

// caches returns the Caches of n machines, whose loader is one.
func caches[V any](t *testing.T, n int, o *cluster.CacheOptions[V]) (all []*cluster.Cache[V], l *loader[V], machines []machine) {
	s, l := newSite(t), new(loader[V])
	for range n {
		machines = append(machines, s.machine(t))
		all = append(all, newCache(t, machines[len(machines)-1].Bucket, l, o))
	}
	return all, l, machines
}

func get[V any](c *cluster.Cache[V], key string) chan result[V] {
	return start(func() (V, error) { return c.Get(bg, key) })
}

func requireGet[V any](t *testing.T, want V, c *cluster.Cache[V], key string) {
	t.Helper()
	v, err := c.Get(bg, key)
	require.NoError(t, err)
	require.Equal(t, want, v)
}

// requireCacheWaits waits until a flight of the key waits for another machine.
func requireCacheWaits[V any](t *testing.T, c *cluster.Cache[V], key string) {
	t.Helper()
	require.Eventually(t, func() bool { return c.FlightWaits(key) }, time.Minute, time.Millisecond)
}

func TestCacheLoadsOnceForAllMachines(t *testing.T) {
	t.Parallel()
	all, l, machines := caches[string](t, 3, nil)
	under := newLoad()
	l.set(func(ctx context.Context, key string) (string, error) { return under.f(ctx) })
	var calls sync.WaitGroup
	for i := range 24 {
		calls.Go(func() {
			v, err := all[i%3].Get(bg, "key")
			assert.NoError(t, err)
			assert.Equal(t, "value", v)
		})
	}
	<-under.begun
	under.end <- result[string]{v: "value"}
	calls.Wait()
	for i, c := range all {
		require.NoError(t, machines[i].Sync(bg))
		requireGet(t, "value", c, "key") // also one that has not asked before
	}
	require.EqualValues(t, 1, l.calls.Load())
}

// A counting Codec counts the values that it decodes.
type countingCodec struct {
	cluster.Codec
	decoded atomic.Int64
}

func (c *countingCodec) Decode(data []byte, to any) error {
	c.decoded.Add(1)
	return c.Codec.Decode(data, to)
}

// TestCacheDecodesOnce until the value changes.
func TestCacheDecodesOnce(t *testing.T) {
	t.Parallel()
	codec := &countingCodec{Codec: cluster.JSON}
	all, l, machines := caches[string](t, 2, &cluster.CacheOptions[string]{Codec: codec})
	l.returns(result[string]{v: "unused"})
	for _, want := range []string{"1", "2", "2"} {
		require.NoError(t, all[0].Store(bg, "key", want))
		require.NoError(t, machines[1].Sync(bg))
		before := codec.decoded.Load()
		for range 10 {
			requireGet(t, want, all[1], "key")
		}
		require.EqualValues(t, 1, codec.decoded.Load()-before)
	}
	require.Zero(t, l.calls.Load())
	s := all[1].Stats()
	require.EqualValues(t, 27, s.Hits)
	require.EqualValues(t, 3, s.Misses)
	require.Zero(t, s.Loads)
	require.Equal(t, 1, s.Entries)
}

// TestCacheStoreReplacesAllCopies, and Invalidate removes them.
func TestCacheStoreReplacesAllCopies(t *testing.T) {
	t.Parallel()
	all, l, machines := caches[int](t, 2, nil)
	l.set(func(context.Context, string) (int, error) { return -int(l.calls.Load()), nil })
	for i := range 20 {
		writer, reader := i%2, (i/2)%2
		require.NoError(t, all[writer].Store(bg, "key", i))
		require.NoError(t, machines[reader].Sync(bg))
		requireGet(t, i, all[reader], "key")

		require.NoError(t, all[writer].Invalidate(bg, "key"))
		require.NoError(t, machines[reader].Sync(bg))
		requireGet(t, -i-1, all[reader], "key")
	}
}

// TestCacheLoadInProgressWhenAStoreComes: its result is not kept anywhere.
func TestCacheLoadInProgressWhenAStoreComes(t *testing.T) {
	t.Parallel()
	all, l, machines := caches[string](t, 2, nil)
	for _, loads := range []int{0, 1} {
		for _, stores := range []int{0, 1} {
			under := newLoad()
			l.set(func(ctx context.Context, key string) (string, error) { return under.f(ctx) })
			first := get(all[loads], "key")
			<-under.begun
			require.NoError(t, all[stores].Store(bg, "key", "stored"))
			require.NoError(t, machines[loads].Sync(bg))
			requireGet(t, "stored", all[loads], "key") // which does not wait
			under.end <- result[string]{v: "old"}
			require.Equal(t, result[string]{v: "stored"}, <-first)
			for i, c := range all {
				require.NoError(t, machines[i].Sync(bg))
				requireGet(t, "stored", c, "key")
			}
			require.NoError(t, all[0].Invalidate(bg, "key"))
			require.NoError(t, machines[1].Sync(bg))
		}
	}
}

// TestCacheLoadInProgressWhenInvalidated: it reaches those that had asked before, and a later
// call loads at once.
func TestCacheLoadInProgressWhenInvalidated(t *testing.T) {
	t.Parallel()
	all, l, machines := caches[string](t, 2, nil)
	for _, invalidates := range []int{0, 1} {
		under, next := newLoad(), newLoad()
		l.set(func(ctx context.Context, key string) (string, error) { return under.f(ctx) })
		first := get(all[0], "key")
		<-under.begun
		require.NoError(t, all[invalidates].Invalidate(bg, "key"))
		require.NoError(t, machines[0].Sync(bg))
		l.set(func(ctx context.Context, key string) (string, error) { return next.f(ctx) })
		second := get(all[0], "key")
		<-next.begun
		under.end <- result[string]{v: "old"}
		require.Equal(t, result[string]{v: "old"}, <-first)
		next.end <- result[string]{v: "new"}
		require.Equal(t, result[string]{v: "new"}, <-second)
		for i, c := range all {
			require.NoError(t, machines[i].Sync(bg))
			requireGet(t, "new", c, "key")
		}
		require.NoError(t, all[0].Invalidate(bg, "key"))
	}
}

// TestCacheErrorsAreSharedAndNotKept, unless there is an ErrorTTL.
func TestCacheErrorsAreSharedAndNotKept(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		o := &cluster.CacheOptions[string]{LeaseTTL: endless}
		if kept {
			o.ErrorTTL = endless
		}
		all, l, machines := caches(t, 2, o)
		under := newLoad()
		l.set(func(ctx context.Context, key string) (string, error) { return under.f(ctx) })
		first := get(all[0], "key")
		<-under.begun
		second := get(all[1], "key")
		requireCacheWaits(t, all[1], "key")
		under.end <- result[string]{err: io.ErrUnexpectedEOF}
		require.Equal(t, io.ErrUnexpectedEOF, (<-first).err)
		var remote *cluster.RemoteError
		require.ErrorAs(t, (<-second).err, &remote)
		require.Equal(t, io.ErrUnexpectedEOF.Error(), remote.Text)

		l.returns(result[string]{v: "value"})
		for i, c := range all {
			require.NoError(t, machines[i].Sync(bg))
			v, err := c.Get(bg, "key")
			if kept {
				require.ErrorAs(t, err, &remote)
				require.Empty(t, v)
			} else {
				require.NoError(t, err)
				require.Equal(t, "value", v)
			}
		}
		require.NoError(t, all[0].Store(bg, "key", "stored"))
		requireGet(t, "stored", all[0], "key")
	}
}

// TestCacheValueThatIsNotKept reaches those that wait for it.
func TestCacheValueThatIsNotKept(t *testing.T) {
	t.Parallel()
	o := &cluster.CacheOptions[int]{LeaseTTL: endless, TTLOf: func(_ string, v int) time.Duration {
		return time.Duration(v%2) * endless
	}}
	all, l, machines := caches(t, 2, o)
	l.set(func(context.Context, string) (int, error) { return int(l.calls.Load()) * 2, nil })
	requireGet(t, 2, all[0], "key")
	requireGet(t, 4, all[0], "key")
	requireGet(t, 6, all[1], "key")
	require.NoError(t, all[0].Store(bg, "key", 7))
	require.NoError(t, machines[1].Sync(bg))
	requireGet(t, 7, all[1], "key")
	require.NoError(t, all[0].Store(bg, "key", 8)) // as Invalidate
	require.NoError(t, machines[1].Sync(bg))
	requireGet(t, 8, all[1], "key") // the fourth load
	require.EqualValues(t, 4, l.calls.Load())
}

// TestCacheTTL: a value is gone everywhere when its time is over.
func TestCacheTTL(t *testing.T) {
	t.Parallel()
	all, l, machines := caches(t, 2, &cluster.CacheOptions[int]{TTL: time.Second})
	l.set(func(context.Context, string) (int, error) { return int(l.calls.Load()), nil })
	requireGet(t, 1, all[0], "key")
	require.NoError(t, machines[1].Sync(bg))
	for _, c := range all {
		require.Eventually(t, func() bool {
			v, err := c.Get(bg, "key")
			return assert.NoError(t, err) && v > 1
		}, time.Minute, 10*time.Millisecond)
	}
}

// TestCacheLimits: a copy that was evicted is decoded again, and not loaded.
func TestCacheLimits(t *testing.T) {
	t.Parallel()
	all, l, _ := caches(t, 1, &cluster.CacheOptions[string]{MaxWeight: 10, Weigh: func(key, v string) uint32 { return 4 }})
	l.set(func(_ context.Context, key string) (string, error) { return "value of " + key, nil })
	for range 3 {
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			requireGet(t, "value of "+key, all[0], key)
		}
	}
	s := all[0].Stats()
	require.EqualValues(t, 5, s.Loads)
	require.Positive(t, s.Evictions)
	require.Less(t, s.Entries, 5)
}

// TestCacheAfterTheHistoryIsLost: copies are dropped, and the next value is loaded.
func TestCacheAfterTheHistoryIsLost(t *testing.T) {
	t.Parallel()
	s, l := newSite(t), new(loader[string])
	m := s.machine(t)
	c := newCache(t, m.Bucket, l, nil)
	l.returns(result[string]{v: "before"}, result[string]{v: "after"})
	requireGet(t, "before", c, "key")
	requireGet(t, "before", c, "key")
	s.purge(t)
	require.NoError(t, m.Sync(bg))
	requireGet(t, "after", c, "key")
}

func TestCacheMisuse(t *testing.T) {
	t.Parallel()
	s, l := newSite(t), new(loader[string])
	b := s.machine(t).Bucket
	c := newCache(t, b, l, nil)
	_, err := cluster.NewCache(b, l.load, nil)
	require.ErrorContains(t, err, `cluster: the Bucket has a Cache "" already`)
	_, err = cluster.NewCache[string](b, nil, nil)
	require.ErrorContains(t, err, "cluster: NewCache needs a loader")
	for _, o := range []cluster.CacheOptions[string]{
		{TTL: time.Millisecond}, {TTL: -1}, {ErrorTTL: time.Millisecond}, {LeaseTTL: -time.Hour}, {Name: "\x00"},
	} {
		_, err := cluster.NewCache(b, l.load, &o)
		require.ErrorContains(t, err, "cluster: the ")
	}
	_, err = cluster.NewCache(b, l.load, &cluster.CacheOptions[string]{Name: "x", MaxWeight: 1})
	require.ErrorContains(t, err, "MaxWeight needs Weigh")

	//lint:ignore SA1012 it is what is tested
	require.PanicsWithValue(t, "cluster: nil context", func() { c.Get(nil, "key") })
	//lint:ignore SA1012 it is what is tested
	require.PanicsWithValue(t, "cluster: nil context", func() { c.Store(nil, "key", "") })
	//lint:ignore SA1012 it is what is tested
	require.PanicsWithValue(t, "cluster: nil context", func() { c.Invalidate(nil, "key") })

	ended, cancel := context.WithCancelCause(bg)
	cancel(io.EOF)
	_, err = c.Get(ended, "key")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, io.EOF)
	require.ErrorIs(t, c.Store(ended, "key", ""), io.EOF)
	require.ErrorIs(t, c.Invalidate(ended, "key"), io.EOF)
	require.NoError(t, c.Store(bg, "key", "value"))
	v, err := c.Get(ended, "key")
	require.True(t, err == nil && v == "value" || errors.Is(err, io.EOF)) // a copy that must be decoded first
	requireGet(t, "value", c, "key")
	v, err = c.Get(ended, "key")
	require.NoError(t, err)
	require.Equal(t, "value", v)
	require.Zero(t, l.calls.Load())
}
