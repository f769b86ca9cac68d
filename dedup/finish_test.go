package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/wake"
)

// The callbacks that are called when a load has ended, and what they may do.

// ends are the ways in which a callback does not return.
var ends = map[string]func(){"panic": func() { panic(errCause) }, "Goexit": runtime.Goexit}

// callbacks set one of the callbacks that are called for a loaded key.
var callbacks = map[string]func(o *options, f func(key string)){
	"OnLoad": func(o *options, f func(string)) { o.OnLoad = func(i dedup.LoadInfo[string]) { f(i.Key) } },
	"TTLOf": func(o *options, f func(string)) {
		o.TTLOf = func(key string, _ int) time.Duration { f(key); return time.Hour }
	},
	"Weigh": func(o *options, f func(string)) {
		o.MaxWeight, o.Weigh = 1000, func(key string, _ int) uint32 { f(key); return 1 }
	},
	"ErrorTTLOf": func(o *options, f func(string)) {
		o.ErrorTTLOf = func(key string, _ error) time.Duration { f(key); return time.Hour }
	},
}

var abc = []string{"a", "b", "c", "d"}

// loadAll returns the results of a load of abc: the first letter, or an error for keys
// whose callback is one for errors.
func loadAll(fails bool) func(context.Context, []string) (map[string]int, error) {
	return func(_ context.Context, keys []string) (map[string]int, error) {
		found := make(map[string]int)
		for _, key := range keys {
			found[key] = int(key[0])
		}
		if fails {
			return nil, errLoad
		}
		return found, nil
	}
}

// overCallbacks runs f for each callback, with single loads and with a batch.
func overCallbacks(t *testing.T, f func(t *testing.T, name string, set func(o *options, call func(key string)), o *options) *dedup.Cache[string, int]) {
	for name, set := range callbacks {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, batch %t", name, batch), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					o := new(options)
					if batch {
						o.LoadMany = loadAll(name == "ErrorTTLOf")
					}
					c := f(t, name, set, o)
					synctest.Wait()
					require.Zero(t, c.Stats().InFlight, "a key is stranded")
				})
			})
		}
	}
}

func loadOne(name string) dedup.Loader[string, int] {
	many := loadAll(name == "ErrorTTLOf")
	return func(ctx context.Context, key string) (int, error) {
		m, err := many(ctx, []string{key})
		return m[key], err
	}
}

// TestCallbackThatDoesNotReturn fails its own key, and only if it decides how long to
// keep the result.
func TestCallbackThatDoesNotReturn(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			overCallbacks(t, func(t *testing.T, name string, set func(*options, func(string)), o *options) *dedup.Cache[string, int] {
				var calls atomic.Int32 // loads run at the same time
				set(o, func(key string) {
					if calls.Add(1); key == "b" {
						end()
					}
				})
				c := newCache(t, loadOne(name), o)
				m, err := c.GetMany(bg, abc)
				synctest.Wait()
				require.EqualValues(t, len(abc), calls.Load(), "each key had its call")
				switch name {
				case "OnLoad":
					require.NoError(t, err)
					require.Len(t, m, 4)
				case "ErrorTTLOf":
					require.Empty(t, m)
					require.Len(t, keyErrors(t, err), 4)
				default:
					require.Equal(t, map[string]int{"a": 'a', "c": 'c', "d": 'd'}, m)
				}
				if name != "OnLoad" {
					for _, e := range keyErrors(t, err) {
						_, broke := errors.AsType[*dedup.PanicError](e)
						require.Equal(t, e.Key == "b", broke)
					}
				}
				return c
			})
		})
	}
}

// TestCallbackThatCallsTheCache: each callback may ask for each key, and change it, also
// the one for which it was called.
func TestCallbackThatCallsTheCache(t *testing.T) {
	uses := map[string]func(c *dedup.Cache[string, int], key string){
		"Get":     func(c *dedup.Cache[string, int], key string) { _, _ = c.Get(bg, key) },
		"GetMany": func(c *dedup.Cache[string, int], _ string) { _, _ = c.GetMany(bg, abc) },
		"Refresh": func(c *dedup.Cache[string, int], key string) { _ = c.Refresh(bg, key) },
		"Put":     func(c *dedup.Cache[string, int], key string) { c.Put(key, 1) },
		"Invalidate": func(c *dedup.Cache[string, int], key string) {
			c.Invalidate(key)
			c.InvalidateAll()
		},
		"looks": func(c *dedup.Cache[string, int], key string) {
			c.Peek(key)
			c.Stats()
			for range c.InFlight() {
			}
		},
		"Close": func(c *dedup.Cache[string, int], _ string) { _ = c.Close() },
	}
	for use, call := range uses {
		t.Run(use, func(t *testing.T) {
			overCallbacks(t, func(t *testing.T, name string, set func(*options, func(string)), o *options) *dedup.Cache[string, int] {
				var c *dedup.Cache[string, int]
				var busy atomic.Int32
				set(o, func(string) {
					if busy.Add(1) > 4 { // loads that the calls below began
						return
					}
					for _, key := range abc {
						call(c, key)
					}
				})
				o.MaxLoads = 1
				c = newCache(t, loadOne(name), o)
				r := cacheOf(c).start(bg, "a")
				_, _ = c.GetMany(bg, abc)
				<-r
				return c
			})
		})
	}
}

// TestOwnKeyInACallback: a callback that decides how long to keep a result finds that
// result, and so do all callers that come meanwhile.
func TestOwnKeyInACallback(t *testing.T) {
	for _, fails := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			var c *dedup.Cache[string, int]
			var inner result
			look := func() time.Duration { inner = get(c, bg, "k"); return time.Hour }
			c = newCache(t, func(context.Context, string) (int, error) {
				if fails {
					return 0, errLoad
				}
				return 1, nil
			}, &options{
				TTLOf:      func(string, int) time.Duration { return look() },
				ErrorTTLOf: func(string, error) time.Duration { return look() },
			})
			require.Equal(t, get(c, bg, "k"), inner)
			require.Equal(t, fails, inner.err != nil)
			require.EqualValues(t, 1, c.Stats().Loads)
		})
	}
}

// TestCallersOfABatchDoNotWaitForOnLoad of any key.
func TestCallersOfABatchDoNotWaitForOnLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, loadOne(""), &options{LoadMany: loadAll(false), OnLoad: func(dedup.LoadInfo[string]) { time.Sleep(time.Second) }})
		start := time.Now()
		m, err := c.GetMany(bg, abc)
		require.NoError(t, err)
		require.Len(t, m, 4)
		require.Zero(t, time.Since(start))
		for _, key := range abc {
			requireHas(t, c, key, int(key[0]))
		}
		time.Sleep(4 * time.Second)
	})
}

// A brokenWaker wakes nothing: its Wake panics or exits.
type brokenWaker struct {
	wake.Parker
	end func()
}

func (p *brokenWaker) Wake() { p.end() }

// TestCallersNextToBrokenWakers are woken by a load that ends and by Close, and
// everything else is done too.
func TestCallersNextToBrokenWakers(t *testing.T) {
	for how, end := range ends {
		for _, closes := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Close %t", how, closes), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newLoader()
					var told atomic.Int32 // loads end at the same time
					c := newCache(t, l.loadKey, &options{OnLoad: func(dedup.LoadInfo[string]) { told.Add(1) }})
					ctx, leave := context.WithCancel(bg)
					var panicking, good []<-chan result
					for range 5 {
						for _, key := range abc {
							panicking = append(panicking, cacheOf(c).startN(1, wake.WithParker(ctx, &brokenWaker{wake.NewParker(), end}), key)...)
							good = append(good, cacheOf(c).startN(3, bg, key)...)
						}
					}
					calls := []*call{l.next(t), l.next(t), l.next(t), l.next(t)}
					if closes {
						apart(func() { c.Close() })
					} else {
						for _, call := range calls {
							call.give(1)
						}
					}
					for _, r := range good {
						require.Equal(t, closes, errors.Is((<-r).err, dedup.ErrClosed))
					}
					synctest.Wait()
					for _, call := range calls {
						require.Error(t, call.ctx.Err(), "its end is known")
					}
					require.EqualValues(t, len(abc), told.Load())
					require.Zero(t, c.Stats().InFlight)
					leave()
					for _, r := range panicking {
						<-r
					}
				})
			})
		}
	}
}

// apart runs f, which may panic or exit, in a goroutine and waits for its end.
func apart(f func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = recover() }()
		f()
	})
	wg.Wait()
}

// TestCallersLeaveInACallback: the load has ended, and its result is kept.
func TestCallersLeaveInACallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(bg)
		c := newCache(t, loadOne(""), &options{TTLOf: func(string, int) time.Duration {
			cancel()
			time.Sleep(time.Second) // of bubble time
			return time.Hour
		}})
		require.ErrorIs(t, get(c, ctx, "k").err, context.Canceled)
		time.Sleep(time.Second)
		synctest.Wait()
		requireHas(t, c, "k", 'k')
	})
}

// TestCloseInACallback: the callers get the result, which came first.
func TestCloseInACallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var c *dedup.Cache[string, int]
		c = newCache(t, loadOne(""), &options{TTLOf: func(string, int) time.Duration {
			require.NoError(t, c.Close())
			panic(errCause)
		}})
		require.Equal(t, result{v: 'k'}, get(c, bg, "k"))
		require.Equal(t, dedup.ErrClosed, get(c, bg, "k").err)
		synctest.Wait()
		require.Zero(t, c.Stats().Entries)
	})
}
