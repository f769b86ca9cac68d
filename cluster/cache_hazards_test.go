package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/dedup"
)

// TestCacheLoadThatPanicsExitsOrIsLeft leaves nothing, and another machine loads at once.
func TestCacheLoadThatPanicsExitsOrIsLeft(t *testing.T) {
	t.Parallel()
	all, l, _ := caches[string](t, 2, &cluster.CacheOptions[string]{LeaseTTL: endless, ErrorTTL: endless})
	for name, f := range map[string]func(){"panics": func() { panic("why") }, "exits": runtime.Goexit, "is left": nil} {
		under, next := newLoad(), newLoad()
		l.set(func(ctx context.Context, key string) (string, error) {
			v, err := under.f(ctx)
			if f != nil {
				f()
			}
			return v, err
		})
		ctx, cancel := context.WithCancel(bg)
		first := start(func() (string, error) { return all[0].Get(ctx, name) })
		loading := <-under.begun
		l.set(func(ctx context.Context, key string) (string, error) { return next.f(ctx) })
		second := get(all[1], name)
		requireCacheWaits(t, all[1], name)
		if f == nil {
			cancel()
			require.ErrorIs(t, (<-first).err, context.Canceled)
			<-loading.Done()
			require.ErrorIs(t, context.Cause(loading), dedup.ErrAbandoned)
			under.end <- result[string]{err: errors.New("of no use")}
		} else {
			under.end <- result[string]{}
			var panicked *dedup.PanicError
			require.ErrorAs(t, (<-first).err, &panicked)
		}
		<-next.begun
		next.end <- result[string]{v: "next"}
		require.Equal(t, result[string]{v: "next"}, <-second)
		cancel()
	}
}

// TestCacheUserCodeThatDoesNotReturn leaves no lease and no value.
func TestCacheUserCodeThatDoesNotReturn(t *testing.T) {
	for name, bad := range map[string]func(){"panics": func() { panic("why") }, "exits": runtime.Goexit} {
		k, b := newKeeper(t)
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		l := new(loader[string])
		for what, o := range map[string]*cluster.CacheOptions[string]{
			"Encode": {Codec: &badCodec{bad, bad}},
			"TTLOf":  {TTLOf: func(string, string) time.Duration { bad(); return 0 }},
		} {
			o.Name = what
			c := newCache(t, b, l, o)
			l.returns(result[string]{v: "value"})
			_, err := c.Get(ctx, "key")
			var panicked *dedup.PanicError
			require.ErrorAs(t, err, &panicked, name)
			k.requireEmpty(t)
			stored := make(chan bool)
			go func() {
				defer close(stored)
				defer func() { recover() }()
				c.Store(ctx, "key", "value")
				stored <- true
			}()
			_, returned := <-stored
			require.False(t, returned)
			k.requireEmpty(t)
		}
		c := newCache(t, b, l, &cluster.CacheOptions[string]{Name: "Error"})
		l.returns(result[string]{err: badError{bad}})
		_, err := c.Get(ctx, "key")
		require.Error(t, err)
		k.requireEmpty(t)

		decodes := badCodec{func() {}, bad}
		c = newCache(t, b, l, &cluster.CacheOptions[string]{Name: "Decode", Codec: &decodes})
		require.NoError(t, c.Store(bg, "key", "value"))
		_, err = c.Get(ctx, "key")
		var panicked *dedup.PanicError
		require.Condition(t, func() bool { return errors.Is(err, cluster.ErrDecode) || errors.As(err, &panicked) }, "%v", err)
		decodes.decode = func() {}
		requireGet(t, "value", c, "key")
	}
}

// TestCacheCallDuringALoad gets the outcome as it is, though other keys have changed since the load
// began.
func TestCacheCallDuringALoad(t *testing.T) {
	for _, want := range []result[string]{{err: io.ErrUnexpectedEOF}, {v: "value"}} {
		synctest.Test(t, func(t *testing.T) {
			_, b := newKeeper(t)
			l, under := new(loader[string]), newLoad()
			l.set(func(ctx context.Context, _ string) (string, error) { return under.f(ctx) })
			c := newCache(t, b, l, &cluster.CacheOptions[string]{TTLOf: func(string, string) time.Duration { return 0 }})
			store(t, newMap[string](t, b), "other", "before")
			first := get(c, "key")
			<-under.begun
			require.NoError(t, c.Invalidate(bg, "other"))
			second := get(c, "key")
			synctest.Wait()
			under.end <- want
			require.Equal(t, want, <-first)
			require.Equal(t, want, <-second)
			require.EqualValues(t, 1, l.calls.Load())
		})
	}
}

// TestCacheNested: a loader may call Get with its context, but cannot wait for itself.
func TestCacheNested(t *testing.T) {
	t.Parallel()
	all, l, _ := caches[string](t, 1, nil)
	l.set(func(ctx context.Context, key string) (string, error) {
		_, err := all[0].Get(ctx, key)
		if !errors.Is(err, dedup.ErrCycle) {
			return "", fmt.Errorf("%w, want ErrCycle", err)
		}
		_, ok := cluster.Fence(ctx)
		if key == "outer" && ok {
			return all[0].Get(ctx, "inner")
		}
		return key, all[0].Store(ctx, "stored by the load", key)
	})
	requireGet(t, "inner", all[0], "outer")
	requireGet(t, "inner", all[0], "stored by the load")
}

// TestCacheCutOff: Get returns what this process has until its TTL is over, and then waits
// until its context ends.
func TestCacheCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		l := new(loader[string])
		l.returns(result[string]{v: "loaded"})
		c := newCache(t, b, l, &cluster.CacheOptions[string]{TTL: 10 * time.Second})
		require.NoError(t, c.Store(bg, "copied", "1"))
		require.NoError(t, c.Store(bg, "seen", "2"))
		requireGet(t, "1", c, "copied")
		k.write = func(ctx context.Context, w engine.Write) (uint64, error) { // the engine cannot be reached
			<-ctx.Done()
			return 0, engine.ContextError(ctx)
		}
		time.Sleep(10*time.Second - 1)
		requireGet(t, "1", c, "copied")
		requireGet(t, "2", c, "seen")
		time.Sleep(time.Nanosecond)
		for _, key := range []string{"copied", "seen", "absent"} {
			ctx, cancel := context.WithTimeout(bg, time.Hour)
			_, err := c.Get(ctx, key)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		require.Zero(t, l.calls.Load())
		synctest.Wait()
		k.write = k.apply
		requireGet(t, "loaded", c, "copied") // in place of what is over
	})
}

// TestCacheHolderIsStopped: its result is refused, and its callers get the successor's.
func TestCacheHolderIsStopped(t *testing.T) {
	t.Parallel()
	all, l, machines := caches(t, 2, &cluster.CacheOptions[string]{LeaseTTL: brief})
	under, next := newLoad(), newLoad()
	l.set(func(ctx context.Context, key string) (string, error) { return under.f(ctx) })
	first := get(all[0], "key")
	loading := <-under.begun
	l.set(func(ctx context.Context, key string) (string, error) { return next.f(ctx) })
	machines[0].link.Cut()
	second := get(all[1], "key")
	<-next.begun
	<-loading.Done()
	require.ErrorIs(t, context.Cause(loading), cluster.ErrLeaseLost)
	machines[0].link.Heal()
	next.end <- result[string]{v: "successor's"}
	require.Equal(t, result[string]{v: "successor's"}, <-second)
	under.end <- result[string]{v: "late"}
	require.Equal(t, result[string]{v: "successor's"}, <-first)
}

// TestCacheFindsWhatItDoesNotKnow: another program has written to the key.
func TestCacheFindsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s, l := newSite(t), new(loader[string])
	m := s.machine(t)
	c := newCache(t, m.Bucket, l, nil)
	e := s.engine(t, enginetest.NewLink(s.dial))
	defer e.Close()
	for i, value := range []string{"", "junk", string(cluster.ResultRecord(nil)), string(cluster.ResultRecord([]byte("\xff2345678")))} {
		_, err := e.Write(bg, engine.Write{Key: "k\x00key", Value: []byte(value), Unconditional: true})
		require.NoError(t, err)
		require.NoError(t, m.Sync(bg))
		l.returns(result[string]{v: fmt.Sprint(i)})
		requireGet(t, fmt.Sprint(i), c, "key")
	}
}

func TestCacheCloseEndsCalls(t *testing.T) {
	t.Parallel()
	all, l, machines := caches[string](t, 2, nil)
	under := newLoad()
	l.set(func(ctx context.Context, key string) (string, error) { return under.f(ctx) })
	require.NoError(t, all[0].Store(bg, "there", "value"))
	first := get(all[0], "key")
	loading := <-under.begun
	second := get(all[1], "key")
	requireCacheWaits(t, all[1], "key")
	require.NoError(t, machines[1].Close())
	require.ErrorIs(t, (<-second).err, cluster.ErrClosed)
	require.NoError(t, machines[0].Close())
	<-loading.Done()
	require.ErrorIs(t, context.Cause(loading), cluster.ErrClosed)
	under.end <- result[string]{v: "value"}
	require.ErrorIs(t, (<-first).err, cluster.ErrClosed)
	_, err := all[0].Get(bg, "key")
	require.ErrorIs(t, err, cluster.ErrClosed)
	require.ErrorIs(t, all[0].Store(bg, "key", ""), cluster.ErrClosed)
	require.ErrorIs(t, all[0].Invalidate(bg, "key"), cluster.ErrClosed)
	requireGet(t, "value", all[0], "there")
}

// An origin has numbers that only grow, and says which of them may still be returned.
type origin struct {
	writing sync.Mutex
	now     atomic.Int64
	told    [2]atomic.Int64 // by machine: what its process must have seen
}

func raise(to *atomic.Int64, n int64) {
	for old := to.Load(); old < n && !to.CompareAndSwap(old, n); old = to.Load() {
	}
}

// TestCacheIsNeverOlderThanASync: machines that are cut off at any time change a number at its
// origin, and then Store it or Invalidate the copies. No Get returns a number that is older
// than what its process has seen.
func TestCacheIsNeverOlderThanASync(t *testing.T) {
	t.Parallel()
	all, l, machines := caches[int64](t, 2, &cluster.CacheOptions[int64]{LeaseTTL: endless, MaxEntries: 2})
	const keys = 3
	var origins [keys]origin
	l.set(func(_ context.Context, key string) (int64, error) {
		n := origins[key[0]-'0'].now.Load()
		for range rand.IntN(100) {
			runtime.Gosched()
		}
		if rand.IntN(10) == 0 {
			return 0, errors.New("not now")
		}
		return n, nil
	})
	stop := make(chan struct{})
	var faults, calls sync.WaitGroup
	faults.Go(func() { cutAll(machines, stop, func(int) {}) })
	for i := range 12 {
		calls.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range 25 {
				me, k := r.IntN(2), r.IntN(keys)
				c, o, key := all[me], &origins[k], fmt.Sprint(k)
				switch r.IntN(6) {
				case 0, 1:
					write := func(n int64) error { return c.Invalidate(bg, key) }
					if r.IntN(2) == 0 {
						write = func(n int64) error { return c.Store(bg, key, n) }
					}
					o.writing.Lock()
					n := o.now.Add(1)
					assert.NoError(t, write(n))
					o.writing.Unlock()
					raise(&o.told[me], n)
				case 2:
					before := o.told[1-me].Load()
					assert.NoError(t, machines[me].Sync(bg))
					raise(&o.told[me], before)
				default:
					least := o.told[me].Load()
					v, err := c.Get(bg, key)
					if err == nil {
						assert.GreaterOrEqual(t, v, least)
					}
				}
			}
		})
	}
	calls.Wait()
	close(stop)
	faults.Wait()
}
