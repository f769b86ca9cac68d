package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/wake"
)

// A manyCall is a call of LoadMany.
type manyCall struct {
	ctx  context.Context
	keys []string
	gate chan manyResult
}

type manyResult struct {
	m   map[string]int
	err error
	end func() // instead of returning
}

// A batcher is a loader and a LoadMany that the test controls.
type batcher struct {
	*loader
	many chan *manyCall
}

func newBatcher() *batcher { return &batcher{newLoader(), make(chan *manyCall, 100)} }

func (b *batcher) loadMany(ctx context.Context, keys []string) (map[string]int, error) {
	c := &manyCall{ctx, keys, make(chan manyResult, 1)}
	b.many <- c
	select {
	case r := <-c.gate:
		if r.end != nil {
			r.end()
		}
		return r.m, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (b *batcher) nextMany(t testing.TB) *manyCall {
	t.Helper()
	synctest.Wait()
	require.NotEmpty(t, b.many, "no LoadMany began")
	return <-b.many
}

type manyOutcome struct {
	m   map[string]int
	err error
}

func startMany(c *dedup.Cache[string, int], ctx context.Context, keys ...string) <-chan manyOutcome {
	ch := make(chan manyOutcome, 1)
	go func() {
		m, err := c.GetMany(ctx, keys)
		ch <- manyOutcome{m, err}
	}()
	synctest.Wait()
	return ch
}

// overBatches runs f with a LoadMany, in a bubble.
func overBatches(t *testing.T, o options, f func(t *testing.T, c *dedup.Cache[string, int], b *batcher)) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		b := newBatcher()
		o.LoadMany = b.loadMany
		f(t, newCache(t, b.loadKey, &o), b)
	})
}

// keyErrors returns the errors that GetMany joined.
func keyErrors(t testing.TB, err error) (errs []*dedup.KeyError[string]) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	for _, err := range joined.Unwrap() {
		k, ok := errors.AsType[*dedup.KeyError[string]](err)
		require.True(t, ok)
		errs = append(errs, k)
	}
	return errs
}

// TestGetManyLoadsWhatIsNotLoading: one call loads each key once, without the keys that
// are stored or in flight.
func TestGetManyLoadsWhatIsNotLoading(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("there", 1)
		single := cacheOf(c).startN(1, bg, "loading")[0]
		first := startMany(c, bg, "a", "there", "b", "a", "loading")
		second := startMany(c, bg, "b", "c", "b")
		one, two := b.nextMany(t), b.nextMany(t)
		require.Equal(t, []string{"a", "b"}, one.keys)
		require.Equal(t, []string{"c"}, two.keys)
		joiner := cacheOf(c).startN(1, bg, "a")[0]
		one.gate <- manyResult{m: map[string]int{"a": 2, "b": 3, "unrequested": 9}}
		require.Equal(t, result{v: 2}, <-joiner)
		two.gate <- manyResult{m: map[string]int{"c": 4}}
		require.Equal(t, manyOutcome{map[string]int{"b": 3, "c": 4}, nil}, <-second)
		b.next(t).give(5)
		require.Equal(t, manyOutcome{map[string]int{"a": 2, "there": 1, "b": 3, "loading": 5}, nil}, <-first)
		require.Equal(t, result{v: 5}, <-single)
		require.Empty(t, b.many)
		requireHas(t, c, "unrequested", 9)
		synctest.Wait()
		require.Equal(t, dedup.Stats{Hits: 1, Misses: 7, Coalesced: 3, Loads: 4, Entries: 6}, c.Stats())
	})
}

func TestGetManyOfStoredKeys(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("a", 1)
		for _, keys := range [][]string{nil, {"a"}, {"a", "a"}} {
			m, err := c.GetMany(doneCtx(), keys)
			require.NoError(t, err)
			require.Len(t, m, min(1, len(keys)))
		}
		synctest.Wait()
		require.Empty(t, b.many)
	})
}

// TestGetManyWithoutLoadMany loads each key, all at the same time.
func TestGetManyWithoutLoadMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, func(ctx context.Context, key string) (int, error) {
			v, err := l.load(ctx)
			return v + len(key), err
		}, nil)
		out := startMany(c, bg, "a", "bb", "a", "ccc")
		require.EqualValues(t, 3, l.running.Load())
		for range 3 {
			l.next(t).give(0)
		}
		require.Equal(t, manyOutcome{map[string]int{"a": 1, "bb": 2, "ccc": 3}, nil}, <-out)
	})
}

// TestGetManyReturnsEachKeysError: the error has one KeyError per key that failed,
// whose text does not name it, and the map has the others.
func TestGetManyReturnsEachKeysError(t *testing.T) {
	overBatches(t, options{MaxWaiters: 1}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		busy := cacheOf(c).startN(1, bg, "busy-secret")[0]
		out := startMany(c, bg, "left-out-secret", "good", "busy-secret")
		b.nextMany(t).gate <- manyResult{m: map[string]int{"good": 1}}
		o := <-out
		require.Equal(t, map[string]int{"good": 1}, o.m)
		errs := keyErrors(t, o.err)
		require.Len(t, errs, 2)
		require.Equal(t, dedup.KeyError[string]{"left-out-secret", dedup.ErrNotLoaded}, *errs[0])
		require.Equal(t, dedup.KeyError[string]{"busy-secret", dedup.ErrTooManyWaiters}, *errs[1])
		require.NotContains(t, o.err.Error(), "secret")
		require.ErrorIs(t, o.err, dedup.ErrNotLoaded)
		require.ErrorIs(t, o.err, dedup.ErrTooManyWaiters)
		b.next(t).give(1)
		<-busy
	})
}

// TestLoadManyThatFails: the keys for which it returned a value have that value.
func TestLoadManyThatFails(t *testing.T) {
	overBatches(t, options{ErrorTTL: time.Minute}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		out := startMany(c, bg, "a", "b", "c")
		b.nextMany(t).gate <- manyResult{m: map[string]int{"b": 2}, err: errLoad}
		o := <-out
		require.Equal(t, map[string]int{"b": 2}, o.m)
		errs := keyErrors(t, o.err)
		require.Equal(t, "a", errs[0].Key)
		require.Equal(t, "c", errs[1].Key)
		require.Equal(t, errLoad, errs[1].Err)
		_, err := c.Get(bg, "a") // kept
		require.ErrorIs(t, err, errLoad)
	})
}

// TestLoadManyThatDoesNotReturn: every key fails and can be loaded again.
func TestLoadManyThatDoesNotReturn(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic(errCause) }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			overBatches(t, options{MaxLoads: 1}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
				out := startMany(c, bg, "a", "b")
				joiner := cacheOf(c).startN(1, bg, "b")[0]
				b.nextMany(t).gate <- manyResult{end: end}
				errs := keyErrors(t, (<-out).err)
				require.Len(t, errs, 2)
				for _, err := range []error{errs[0], errs[1], (<-joiner).err} {
					p, ok := errors.AsType[*dedup.PanicError](err)
					require.True(t, ok)
					require.Contains(t, string(p.Stack), "batch_test.go")
				}
				out = startMany(c, bg, "a", "b")
				b.nextMany(t).gate <- manyResult{m: map[string]int{"a": 1, "b": 2}}
				require.NoError(t, (<-out).err)
			})
		})
	}
}

// TestOneKeyOfABatchPanics in a callback, and the other keys are not affected.
func TestOneKeyOfABatchPanics(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic(errCause) }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			o := options{TTLOf: func(key string, _ int) time.Duration {
				if key == "b" {
					end()
				}
				return time.Hour
			}}
			overBatches(t, o, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
				out := startMany(c, bg, "a", "b", "c")
				b.nextMany(t).gate <- manyResult{m: map[string]int{"a": 1, "b": 2, "c": 3}}
				o := <-out
				require.Equal(t, 1, o.m["a"])
				errs := keyErrors(t, o.err)
				require.Equal(t, "b", errs[0].Key)
				_, ok := errors.AsType[*dedup.PanicError](errs[0])
				require.True(t, ok)
				require.Len(t, errs, 1)
				require.Equal(t, 3, o.m["c"])
				requireHas(t, c, "c", 3)
				require.Zero(t, c.Stats().InFlight)
			})
		})
	}
}

// TestBatchIsCanceledWhenAllItsKeysAre and not before.
func TestBatchIsCanceledWhenAllItsKeysAre(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		ctx, cancel := context.WithCancelCause(bg)
		out := startMany(c, ctx, "a", "b")
		call := b.nextMany(t)
		joinCtx, leave := context.WithCancel(bg)
		joiner := cacheOf(c).startN(1, joinCtx, "b")[0]
		cancel(errCause)
		o := <-out
		require.Empty(t, o.m)
		require.Len(t, keyErrors(t, o.err), 2)
		require.ErrorIs(t, o.err, context.Canceled)
		require.ErrorIs(t, o.err, errCause)
		synctest.Wait()
		require.NoError(t, call.ctx.Err(), "b has a caller")
		leave()
		require.ErrorIs(t, (<-joiner).err, context.Canceled)
		synctest.Wait()
		require.ErrorIs(t, context.Cause(call.ctx), dedup.ErrAbandoned)
		require.Zero(t, c.Stats().InFlight)
	})
}

// TestBatchIsAbandonedBeforeItBegins: its only caller has left when the goroutine of the
// batch first runs.
func TestBatchIsAbandonedBeforeItBegins(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		ctx := wake.WithParker(bg, &brokenParker{func() error { return errCause }})
		_, err := c.GetMany(ctx, []string{"a", "b"})
		require.ErrorIs(t, err, errCause)
		require.ErrorIs(t, context.Cause(b.nextMany(t).ctx), dedup.ErrAbandoned)
	})
}

// A panickyContext panics at the third call of Err.
type panickyContext struct {
	context.Context
	asked  int
	before func()
}

func (c *panickyContext) Err() error {
	if c.asked++; c.asked == 3 {
		c.before()
		panic(errCause)
	}
	return nil
}

// TestGetManyWhoseContextPanics: a caller that has joined meanwhile gets the value, and
// nothing is left behind.
func TestGetManyWhoseContextPanics(t *testing.T) {
	for _, batch := range []bool{true, false} {
		t.Run(fmt.Sprintf("batch %t", batch), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, o := newBatcher(), new(options)
				if batch {
					o.LoadMany = b.loadMany
				}
				c := newCache(t, b.loadKey, o)
				var joiner <-chan result
				ctx := &panickyContext{Context: bg, before: func() { joiner = cacheOf(c).startN(1, bg, "a")[0] }}
				require.PanicsWithValue(t, errCause, func() { c.GetMany(ctx, []string{"a", "b", "c"}) })
				if batch {
					b.nextMany(t).gate <- manyResult{m: map[string]int{"a": 1}}
				} else {
					b.next(t).give(1)
					b.next(t).give(1) // b's, which may begin first
				}
				require.Equal(t, 1, (<-joiner).v)
				synctest.Wait()
				require.Zero(t, c.Stats().InFlight)
			})
		})
	}
}

// TestGetManyKeepsWhatCameBeforeTheEnd of its context.
func TestGetManyKeepsWhatCameBeforeTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		ctx, cancel := context.WithCancel(bg)
		out := startMany(c, ctx, "slow", "quick")
		_, quick := l.next(t), l.next(t)
		quick.give(1)
		synctest.Wait()
		cancel()
		o := <-out
		require.Len(t, o.m, 1)
		require.Len(t, keyErrors(t, o.err), 1)
	})
}

func TestCloseEndsABatch(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		out := startMany(c, bg, "a", "b")
		call := b.nextMany(t)
		c.Invalidate("a")
		require.NoError(t, c.Close())
		for _, err := range keyErrors(t, (<-out).err) {
			require.Equal(t, dedup.ErrClosed, err.Err)
		}
		require.Equal(t, dedup.ErrClosed, context.Cause(call.ctx))
	})
}

// TestInvalidateDuringABatch: the value of the key goes to the callers and is not stored.
func TestInvalidateDuringABatch(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		out := startMany(c, bg, "a", "b")
		c.Invalidate("a")
		b.nextMany(t).gate <- manyResult{m: map[string]int{"a": 1, "b": 2}}
		require.Equal(t, manyOutcome{map[string]int{"a": 1, "b": 2}, nil}, <-out)
		_, ok := c.Peek("a")
		require.False(t, ok)
		_, ok = c.Peek("b")
		require.True(t, ok)
	})
}

func TestGetManyServesStaleValues(t *testing.T) {
	overBatches(t, options{TTL: time.Minute, StaleWhileRevalidate: time.Minute}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("a", 1)
		time.Sleep(time.Minute)
		m, err := c.GetMany(bg, []string{"a"})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"a": 1}, m)
		b.nextMany(t).gate <- manyResult{m: map[string]int{"a": 2}}
		synctest.Wait()
		requireHas(t, c, "a", 2)
		require.EqualValues(t, 1, c.Stats().Stale)
	})
}

func requireHas(t testing.TB, c *dedup.Cache[string, int], key string, want int) {
	t.Helper()
	v, ok := c.Peek(key)
	require.True(t, ok)
	require.Equal(t, want, v)
}

// TestABatchIsOneLoad for MaxLoads, and waits for a slot.
func TestABatchIsOneLoad(t *testing.T) {
	overBatches(t, options{MaxLoads: 1}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		single := cacheOf(c).startN(1, bg, "k")[0]
		out := startMany(c, bg, "a", "b", "c")
		call := b.next(t)
		require.Empty(t, b.many)
		call.give(1)
		<-single
		many := b.nextMany(t)
		require.Equal(t, []string{"a", "b", "c"}, many.keys)
		many.keys[0] = "mine" // the slice is LoadMany's
		many.gate <- manyResult{m: map[string]int{"a": 1, "b": 2, "c": 3}}
		require.NoError(t, (<-out).err)
		requireHas(t, c, "a", 1)

		ctx, cancel := context.WithCancel(bg)
		blocker := cacheOf(c).startN(1, bg, "blocker")[0]
		out = startMany(c, ctx, "x", "y")
		cancel()
		require.ErrorIs(t, (<-out).err, context.Canceled)
		b.next(t).give(1)
		<-blocker
		synctest.Wait()
		require.Empty(t, b.many, "it left the queue")
	})
}

// TestBatchContext: the context has the values of GetMany's.
func TestBatchContext(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		type key struct{}
		out := startMany(c, context.WithValue(bg, key{}, "value"), "a")
		call := b.nextMany(t)
		require.Equal(t, "value", call.ctx.Value(key{}))
		call.gate <- manyResult{m: map[string]int{"a": 1}}
		<-out
		synctest.Wait()
		require.ErrorIs(t, call.ctx.Err(), context.Canceled, "it ends with the load")
		require.Equal(t, "vigil.load", fmt.Sprint(call.ctx))
	})
}

// A panickyParker panics instead of sleeping.
type panickyParker struct{}

func (panickyParker) Wake()                      {}
func (panickyParker) Park(context.Context) error { panic("parker") }

// TestGetManyLeavesAllLinesWhenItsParkerPanics: the caller also leaves the lines in which
// it has not waited yet, so the loads are canceled.
func TestGetManyLeavesAllLinesWhenItsParkerPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, err := dedup.NewCache(func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}, nil)
		require.NoError(t, err)
		defer c.Close()
		ctx := wake.WithParker(bg, panickyParker{})
		require.PanicsWithValue(t, "parker", func() { _, _ = c.GetMany(ctx, []int{1, 2, 3}) })
		synctest.Wait()
		require.Zero(t, c.Stats().InFlight)
		require.EqualValues(t, 3, c.Stats().LoadErrors)
	})
}
