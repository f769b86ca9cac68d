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
)

// TestGoneRemovesWhatIsKept, whoever asked for the load. No old value is returned.
func TestGoneRemovesWhatIsKept(t *testing.T) {
	gone := fmt.Errorf("origin: %w", dedup.ErrGone)
	for name, c := range map[string]struct {
		ask  func(c *dedup.Cache[string, int]) error
		want error
	}{
		"Get after StaleWhileRevalidate": {func(c *dedup.Cache[string, int]) error {
			time.Sleep(time.Minute)
			_, err := c.Get(bg, "k")
			return err
		}, gone},
		"in the background": {func(c *dedup.Cache[string, int]) error {
			v, err := c.Get(bg, "k")
			if v != 1 {
				return errors.New("not the stale value")
			}
			return err
		}, nil},
		"Refresh":     {func(c *dedup.Cache[string, int]) error { return c.Refresh(bg, "k") }, gone},
		"RefreshMany": {func(c *dedup.Cache[string, int]) error { return c.RefreshMany(bg, []string{"k"}) }, gone},
		"GetMany in the background": {func(c *dedup.Cache[string, int]) error {
			_, err := c.GetMany(bg, []string{"k"})
			return err
		}, nil},
	} {
		for _, batches := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", LoadMany ", batches), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := new(removals)
					o := &options{TTL: time.Minute, StaleWhileRevalidate: time.Minute, StaleIfError: time.Hour, OnRemove: r.onRemove}
					if batches {
						o.LoadMany = func(context.Context, []string) (map[string]int, error) { return nil, gone }
					}
					cache := newCache(t, func(context.Context, string) (int, error) { return 7, gone }, o)
					cache.Put("k", 1)
					time.Sleep(time.Minute)
					require.ErrorIs(t, c.ask(cache), c.want)
					require.Equal(t, []removedValue{{"k", 1, dedup.RemoveInvalidated}}, r.next())
					require.Zero(t, cache.Stats().Entries)
					_, ok := cache.Entry("k")
					require.False(t, ok)
				})
			})
		}
	}
}

// TestGoneIsKeptAsAnError if ErrorTTL says so, without the old value.
func TestGoneIsKeptAsAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		c := newCache(t, func(context.Context, string) (int, error) { n++; return 0, dedup.ErrGone }, &options{StaleIfError: time.Hour, ErrorTTL: time.Minute})
		c.Put("k", 1)
		require.Equal(t, dedup.ErrGone, c.Refresh(bg, "k"))
		for range 3 {
			v, err := c.Get(bg, "k")
			require.Equal(t, dedup.ErrGone, err)
			require.Zero(t, v)
		}
		require.Equal(t, 1, n)
	})
}

// TestGoneDuringWhichAValueWasPut: the Put wins.
func TestGoneDuringWhichAValueWasPut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		got := cacheOf(c).startN(1, bg, "k")[0]
		load := l.next(t)
		c.Put("k", 5)
		load.fail(dedup.ErrGone)
		require.Equal(t, dedup.ErrGone, (<-got).err)
		requirePeek(t, 5, c)
	})
}

// A badError misbehaves when it is compared.
type badError struct{ misbehave func() }

func (badError) Error() string     { return "bad" }
func (e badError) Is(error) bool   { e.misbehave(); return false }
func (e badError) Unwrap() []error { return nil }

var misdeeds = map[string]func(){"panics": func() { panic("Is") }, "exits": runtime.Goexit}

// TestErrorsThatMisbehave when they are compared are like loads that do.
func TestErrorsThatMisbehave(t *testing.T) {
	for name, misbehave := range misdeeds {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCache(t, func(context.Context, string) (int, error) { return 0, badError{misbehave} }, &options{
					LoadMany: func(context.Context, []string) (map[string]int, error) {
						return map[string]int{"a": 1}, badError{misbehave}
					},
				})
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				_, err := c.Get(ctx, "k")
				_, ok := errors.AsType[*dedup.PanicError](err)
				require.True(t, ok)
				m, err := c.GetMany(ctx, []string{"a", "b"})
				require.Empty(t, m)
				require.Len(t, keyErrors(t, err), 2)
				c.Put("k", 1)
				require.Zero(t, c.Stats().InFlight)
			})
		})
	}
}

// TestKeyErrorsThatMisbehave fail all keys. A key whose error matched before is not gone.
func TestKeyErrorsThatMisbehave(t *testing.T) {
	for name, misbehave := range misdeeds {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				errs := dedup.KeyErrors[string]{"gone": dedup.ErrGone, "bad": badError{misbehave}}
				c := newCache(t, newLoader().loadKey, &options{
					LoadMany: func(context.Context, []string) (map[string]int, error) { return nil, errs },
				})
				c.Put("gone", 1)
				failed := keyErrors(t, c.RefreshMany(bg, []string{"gone", "bad"}))
				require.Len(t, failed, 2)
				for _, k := range failed {
					_, ok := errors.AsType[*dedup.PanicError](k.Err)
					require.True(t, ok, k.Key)
				}
				requireHas(t, c, "gone", 1)
			})
		})
	}
}

// TestKeyErrorsReachTheCallersOfTheirKeys, and nobody else.
func TestKeyErrorsReachTheCallersOfTheirKeys(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		other := errors.New("another error")
		out := startMany(c, bg, "a", "b", "c", "d", "e")
		joined := cacheOf(c).startN(1, bg, "b")[0]
		errs := dedup.KeyErrors[string]{"b": errLoad, "c": other, "e": nil}
		b.nextMany(t).gate <- manyResult{m: map[string]int{"a": 1, "c": 3}, err: fmt.Errorf("some: %w", errs)}
		r := <-out
		require.Equal(t, map[string]int{"a": 1}, r.m)
		got := make(map[string]error)
		for _, k := range keyErrors(t, r.err) {
			got[k.Key] = k.Err
		}
		require.Equal(t, map[string]error{"b": errLoad, "c": other, "d": dedup.ErrNotLoaded, "e": dedup.ErrNotLoaded}, got)
		require.Equal(t, result{err: errLoad}, <-joined)
		require.Equal(t, "dedup: 3 keys failed", errs.Error())
		require.ErrorIs(t, errs, other)
		requireHas(t, c, "a", 1)
		require.Equal(t, 1, c.Stats().Entries)
	})
}

// TestKeyErrorsMayMatchErrGone for one key.
func TestKeyErrorsMayMatchErrGone(t *testing.T) {
	overBatches(t, options{TTL: time.Minute, StaleIfError: time.Hour}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("a", 1)
		c.Put("b", 1)
		time.Sleep(time.Minute)
		out := startMany(c, bg, "a", "b")
		b.nextMany(t).gate <- manyResult{err: dedup.KeyErrors[string]{"a": dedup.ErrGone, "b": errLoad}}
		r := <-out
		require.Equal(t, map[string]int{"b": 1}, r.m, "the old value")
		require.ErrorIs(t, r.err, dedup.ErrGone)
		_, ok := c.Entry("a")
		require.False(t, ok)
	})
}

// TestRefreshManyLoadsAllKeysTogether, although they are fresh, and joins what is in
// flight.
func TestRefreshManyLoadsAllKeysTogether(t *testing.T) {
	overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
		c.Put("a", 1)
		c.Put("b", 1)
		first := cacheOf(c).startN(1, bg, "c")[0]
		got := async(func() result { return result{err: c.RefreshMany(bg, []string{"a", "b", "a", "c", "d"})} })
		many, one := b.nextMany(t), b.next(t)
		require.Equal(t, []string{"a", "b", "d"}, many.keys)
		requireHas(t, c, "a", 1)
		many.gate <- manyResult{m: map[string]int{"a": 2, "more": 9}, err: errLoad}
		synctest.Wait()
		requirePending(t, got)
		one.give(5)
		require.Equal(t, 5, (<-first).v)
		r := <-got
		failed := keyErrors(t, r.err)
		require.Len(t, failed, 2)
		require.Equal(t, dedup.KeyError[string]{Key: "b", Err: errLoad}, *failed[0])
		require.Equal(t, dedup.KeyError[string]{Key: "d", Err: errLoad}, *failed[1])
		requireHas(t, c, "a", 2)
		requireHas(t, c, "b", 1)
		requireHas(t, c, "more", 9)
		require.EqualValues(t, 1, c.Stats().Misses, "the Get's")
	})
}

// TestRefreshManyWithoutLoadMany calls the Loader for each key.
func TestRefreshManyWithoutLoadMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		c := newCache(t, l.loadKey, nil)
		got := async(func() result { return result{err: c.RefreshMany(bg, []string{"a", "b"})} })
		l.next(t).give(1)
		l.next(t).give(1)
		require.NoError(t, (<-got).err)
		require.Equal(t, 2, c.Stats().Entries)
		ctx, cancel := context.WithCancelCause(bg)
		got = async(func() result { return result{err: c.RefreshMany(ctx, []string{"a", "b"})} })
		load := l.next(t)
		cancel(errCause)
		require.ErrorIs(t, (<-got).err, errCause)
		synctest.Wait()
		require.ErrorIs(t, load.canceled(), dedup.ErrAbandoned)
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.RefreshMany(bg, []string{"a"}), dedup.ErrClosed)
		require.NoError(t, c.RefreshMany(bg, nil))
		require.Contains(t, panicText(t, func() { _ = c.RefreshMany(nilCtx, nil) }), "dedup: ")
	})
}

// TestKeyErrorsWithoutErrors, nil or empty, are no error of the keys without a value.
func TestKeyErrorsWithoutErrors(t *testing.T) {
	for _, errs := range []dedup.KeyErrors[string]{nil, {}, {"b": nil}, {"other": errLoad}} {
		overBatches(t, options{}, func(t *testing.T, c *dedup.Cache[string, int], b *batcher) {
			out := startMany(c, bg, "a", "b")
			b.nextMany(t).gate <- manyResult{m: map[string]int{"a": 1}, err: errs}
			r := <-out
			require.Equal(t, map[string]int{"a": 1}, r.m)
			require.Equal(t, []*dedup.KeyError[string]{{Key: "b", Err: dedup.ErrNotLoaded}}, keyErrors(t, r.err))
		})
	}
}
