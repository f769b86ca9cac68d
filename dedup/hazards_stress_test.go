package dedup_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
)

// The hazards again without a bubble: free-running goroutines, where a lost
// wake is a test that never ends. Every load counts the loads that run at the same time.

// A meter counts the loads of each key that run at the same time.
type meter struct {
	running [8]atomic.Int32
	loads   [8]atomic.Int32
	peak    atomic.Int32
}

func (m *meter) enter(k int) {
	m.loads[k].Add(1)
	now := m.running[k].Add(1)
	for most := m.peak.Load(); now > most && !m.peak.CompareAndSwap(most, now); {
		most = m.peak.Load()
	}
}

func (m *meter) leave(k int) { m.running[k].Add(-1) }

func (m *meter) total() (n int) {
	for i := range m.loads {
		n += int(m.loads[i].Load())
	}
	return n
}

type stressOptions = dedup.CacheOptions[int, int]

// TestStressLoaderRunsTwice: a key that stays stored is loaded once, and no caller misses
// it.
func TestStressLoaderRunsTwice(t *testing.T) {
	for name, o := range map[string]*stressOptions{"open": nil, "bounded": {MaxEntries: 1000}} {
		t.Run(name, func(t *testing.T) {
			for range testkit.Scale(2000, 200) {
				var m meter
				c := newCache(t, func(_ context.Context, k int) (int, error) {
					m.enter(k)
					defer m.leave(k)
					return k, nil
				}, o)
				testkit.Together(4, func(i int) {
					for k := range m.loads {
						if v, err := c.Get(bg, k); v != k || err != nil {
							t.Errorf("%d: %d, %v", k, v, err)
						}
					}
				})
				require.Equal(t, len(m.loads), m.total(), "one load per key")
				require.EqualValues(t, 4*len(m.loads), c.Stats().Hits+c.Stats().Misses)
				c.Close()
			}
		})
	}
}

// TestStressJoinsTheFinishedFlight: a load returns a number that it takes when it begins.
// A call that begins after the end of a load must not return its number.
func TestStressJoinsTheFinishedFlight(t *testing.T) {
	var g dedup.Group[int, int64]
	var m meter
	var begun, over atomic.Int64
	testkit.Together(4, func(i int) {
		for range testkit.Scale(50_000, 4000) {
			past := over.Load()
			v, _, err := g.Do(bg, 0, func(context.Context) (int64, error) {
				m.enter(0)
				defer m.leave(0)
				n := begun.Add(1)
				over.Store(n)
				return n, nil
			})
			// The load stores over when it is about to end, so its callers
			// may have read its own number, but none before.
			if v < past || err != nil {
				t.Errorf("asked after %d was over, got %d, %v", past, v, err)
			}
		}
	})
	require.EqualValues(t, 1, m.peak.Load(), "one load at a time")
}

// TestStressCallersLeave: some callers give up at any moment. The others get the result,
// whichever was first, and no caller gets the end of another one's context. In the end
// all loads have ended, also those without callers.
func TestStressCallersLeave(t *testing.T) {
	var g dedup.Group[int, int]
	var joined, left, running atomic.Int32
	load := func(ctx context.Context) (int, error) {
		running.Add(1)
		defer running.Add(-1)
		for range 3 {
			runtime.Gosched()
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
		}
		return 1, nil
	}
	testkit.Together(4, func(i int) {
		for n := range testkit.Scale(20_000, 2000) {
			ctx, cancel := context.WithCancelCause(bg)
			if i < 2 {
				go func() {
					for range n % 5 {
						runtime.Gosched()
					}
					cancel(errCause)
				}()
			}
			v, _, err := g.Do(ctx, n%2, load)
			switch {
			case err == nil && v == 1:
				joined.Add(1)
			case i < 2 && errors.Is(err, errCause):
				left.Add(1)
			default:
				t.Errorf("caller %d: %d, %v", i, v, err)
			}
			cancel(nil)
		}
	})
	testkit.SpinUntil(func() bool { return running.Load() == 0 })
	require.Positive(t, joined.Load())
	for range g.InFlight() {
		t.Error("left behind")
	}
}

// TestStressNobodyWaits: a load ends only when it is canceled, and all its callers give
// up.
func TestStressNobodyWaits(t *testing.T) {
	c := newCache(t, func(ctx context.Context, k int) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}, &stressOptions{MaxLoads: 3})
	testkit.Together(4, func(i int) {
		for n := range testkit.Scale(5000, 500) {
			ctx, cancel := context.WithCancel(bg)
			go cancel()
			if _, err := c.Get(ctx, n%2); !errors.Is(err, context.Canceled) || errors.Is(err, dedup.ErrAbandoned) {
				t.Error(err)
			}
		}
	})
	testkit.SpinUntil(func() bool { s := c.Stats(); return s.InFlight == 0 && s.Loads == s.LoadErrors })
}

// TestStressPanics: each third load panics, and each third one ends its goroutine, which
// may be that of a caller.
func TestStressPanics(t *testing.T) {
	var g dedup.Group[int, int]
	var n atomic.Int32
	var m meter
	var got [3]atomic.Int32
	leaves, cancel := context.WithCancel(bg)
	defer cancel()
	testkit.Together(4, func(i int) {
		ctx := [2]context.Context{leaves, bg}[i%2]
		call := func() {
			v, _, err := g.Do(ctx, 0, func(context.Context) (int, error) {
				m.enter(0)
				defer m.leave(0)
				switch n.Add(1) % 3 {
				case 0:
					panic(errCause)
				case 1:
					runtime.Goexit()
				}
				return 1, nil
			})
			switch {
			case errors.Is(err, errCause):
				got[0].Add(1)
			case errors.Is(err, dedup.ErrGoexit):
				got[1].Add(1)
			case err == nil && v == 1:
				got[2].Add(1)
			default:
				t.Errorf("%d, %v", v, err)
			}
		}
		for range testkit.Scale(5000, 500) {
			if ctx == bg { // a Goexit is its own
				var wg sync.WaitGroup
				wg.Go(call)
				wg.Wait()
			} else {
				call()
			}
		}
	})
	require.EqualValues(t, 1, m.peak.Load())
	for i := range got {
		require.Positive(t, got[i].Load())
	}
}

// TestStressForget: however old and new flights overlap, each caller gets the result of a
// load that ended after the call began, and nothing is left behind.
func TestStressForget(t *testing.T) {
	var g dedup.Group[int, int64]
	var begun, forgotten atomic.Int64
	testkit.Together(4, func(i int) {
		for range testkit.Scale(30_000, 3000) {
			if i == 0 {
				n := begun.Load()
				g.Forget(0)
				forgotten.Store(n) // none that began before is joined from now on
				continue
			}
			past := forgotten.Load()
			v, _, err := g.Do(bg, 0, func(context.Context) (int64, error) {
				n := begun.Add(1)
				runtime.Gosched()
				return n, nil
			})
			if v <= past || err != nil {
				t.Errorf("joined %d though %d was forgotten, %v", v, past, err)
			}
		}
	})
	for range g.InFlight() {
		t.Error("left behind")
	}
}

// TestStressOldValueStoredAfterInvalidate: an origin changes, and then the cache is told
// by one of several methods. A later call must not return the value from before.
func TestStressOldValueStoredAfterInvalidate(t *testing.T) {
	type cache = dedup.Cache[int, int64]
	for name, tell := range map[string]func(c *cache, v int64){
		"Invalidate":    func(c *cache, _ int64) { c.Invalidate(0) },
		"InvalidateAll": func(c *cache, _ int64) { c.InvalidateAll() },
		"Put":           func(c *cache, v int64) { c.Put(0, v) },
	} {
		for bounds, o := range map[string]*dedup.CacheOptions[int, int64]{"open": nil, "bounded": {MaxEntries: 10}} {
			t.Run(name+" "+bounds, func(t *testing.T) {
				var origin, told atomic.Int64
				c := newCache(t, func(context.Context, int) (int64, error) {
					v := origin.Load()
					runtime.Gosched()
					return v, nil
				}, o)
				testkit.Together(4, func(i int) {
					for range testkit.Scale(20_000, 2000) {
						if i == 0 {
							v := origin.Add(1)
							tell(c, v)
							told.Store(v)
							continue
						}
						past := told.Load()
						if v, err := c.Get(bg, 0); v < past || err != nil {
							t.Errorf("got %d after %d was told, %v", v, past, err)
						}
					}
				})
			})
		}
	}
}

// TestStressPutStays: Puts and loads of other values begin in any order, and a load in
// flight when Put is called never replaces its value. Loads return negative values.
func TestStressPutStays(t *testing.T) {
	for bounds, o := range map[string]*stressOptions{"open": nil, "bounded": {MaxEntries: 10}} {
		t.Run(bounds, func(t *testing.T) {
			c := newCache(t, func(context.Context, int) (int, error) { return -1, nil }, o)
			for range testkit.Scale(20_000, 2000) {
				c.Invalidate(0)
				testkit.Together(2, func(i int) {
					if i == 0 {
						c.Put(0, 1)
					} else if _, err := c.Get(bg, 0); err != nil {
						t.Error(err)
					}
				})
				v, ok := c.Peek(0)
				require.True(t, ok)
				require.Equal(t, 1, v)
			}
		})
	}
}

// TestStressFailingLoad: callers that come together share a failure, so there are no more
// loads than rounds.
func TestStressFailingLoad(t *testing.T) {
	for range testkit.Scale(2000, 200) {
		var m meter
		gate := make(chan struct{})
		c := newCache(t, func(_ context.Context, k int) (int, error) {
			m.enter(k)
			defer m.leave(k)
			<-gate
			return 0, errLoad
		}, nil)
		testkit.Together(5, func(i int) {
			if i == 0 {
				testkit.SpinUntil(func() bool { return waiters(c) == 4 })
				close(gate)
			} else if _, err := c.Get(bg, 0); !errors.Is(err, errLoad) {
				t.Error(err)
			}
		})
		require.Equal(t, 1, m.total())
		c.Close()
	}
}

// waiters returns the number of callers that wait for key 0.
func waiters(c *dedup.Cache[int, int]) (n int) {
	for _, info := range c.InFlight() {
		n += info.Waiters
	}
	return n
}

// TestStressMaxWaiters: of callers that come together, MaxWaiters wait and the others
// fail.
func TestStressMaxWaiters(t *testing.T) {
	for range testkit.Scale(2000, 200) {
		var m meter
		var refused atomic.Int32
		gate := make(chan struct{})
		c := newCache(t, func(_ context.Context, k int) (int, error) {
			m.enter(k)
			defer m.leave(k)
			<-gate
			return 1, nil
		}, &stressOptions{MaxWaiters: 3})
		testkit.Together(6, func(i int) {
			if i == 0 {
				testkit.SpinUntil(func() bool { return refused.Load() == 2 && waiters(c) == 3 })
				close(gate)
				return
			}
			_, err := c.Get(bg, 0)
			if errors.Is(err, dedup.ErrTooManyWaiters) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
		require.Equal(t, 1, m.total())
		require.EqualValues(t, 2, refused.Load())
		c.Close()
	}
}

// TestStressExpiry: values that are too old at once are results all the same, and
// failures never look like values.
func TestStressExpiry(t *testing.T) {
	var n atomic.Int32
	var m meter
	c := newCache(t, func(_ context.Context, k int) (int, error) {
		m.enter(k)
		defer m.leave(k)
		if n.Add(1)%2 == 0 {
			return 0, errLoad
		}
		return 1, nil
	}, &stressOptions{TTL: 1, ErrorTTL: 1, Jitter: 0.5})
	testkit.Together(4, func(i int) {
		for range testkit.Scale(20_000, 2000) {
			v, err := c.Get(bg, 0)
			if (err == nil) != (v == 1) || err != nil && err != errLoad {
				t.Errorf("%d, %v", v, err)
			}
		}
	})
	require.EqualValues(t, 1, m.peak.Load(), "one load at a time")
}

// TestStressClose during calls of all methods.
func TestStressClose(t *testing.T) {
	for range testkit.Scale(500, 100) {
		var m meter
		load := func(ctx context.Context, k int) (int, error) {
			m.enter(k)
			defer m.leave(k)
			if k%2 == 0 {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			return 1, nil
		}
		c := newCache(t, load, &stressOptions{
			MaxEntries: 4, TTL: time.Microsecond, StaleWhileRevalidate: time.Hour, MaxLoads: 2,
			LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
				v, err := load(ctx, keys[0])
				return map[int]int{keys[0]: v}, err
			},
		})
		testkit.Together(6, func(i int) {
			if i == 0 {
				testkit.SpinUntil(func() bool { return m.total() > 3 })
				c.Close()
				return
			}
			for n := range 1000 {
				if !errorsOnlyOf(useAll(c, i, n), dedup.ErrClosed, dedup.ErrNotLoaded) {
					t.Error("another error")
				}
				if _, err := c.Get(bg, 1); errors.Is(err, dedup.ErrClosed) {
					return
				}
			}
		})
		testkit.SpinUntil(func() bool { return c.Stats().InFlight == 0 })
	}
}

// useAll calls one of the methods.
func useAll(c *dedup.Cache[int, int], i, n int) error {
	k := (i + n) % 8
	switch n % 7 {
	case 0:
		c.Invalidate(k)
	case 1:
		c.Put(k, 1)
	case 2:
		c.InvalidateAll()
	case 3:
		return c.Refresh(bg, k|1)
	case 4:
		_, err := c.GetMany(bg, []int{k, 1})
		return err
	default:
		_, err := c.Get(bg, k)
		return err
	}
	return nil
}

// errorsOnlyOf reports whether err is nil, or matches one of those.
func errorsOnlyOf(err error, those ...error) bool {
	for _, e := range those {
		if errors.Is(err, e) {
			return true
		}
	}
	return err == nil
}

// TestStressHandedOffLoads: loads of a bounded Cache are finished by their first callers,
// which leave at any moment, during Invalidate, Put, InvalidateAll and Close. Each load
// is counted once, and nothing is left behind.
func TestStressHandedOffLoads(t *testing.T) {
	for round := range testkit.Scale(200, 30) {
		var loads atomic.Uint64
		c := newCache(t, func(ctx context.Context, k int) (int, error) {
			loads.Add(1)
			if k%3 == 0 {
				runtime.Gosched()
			}
			return k, context.Cause(ctx)
		}, &stressOptions{MaxEntries: 4})
		testkit.Together(4, func(i int) {
			for n := range 100 {
				ctx, cancel := context.WithCancel(bg)
				if n%2 == 0 {
					go cancel()
				}
				k := n % 7
				v, err := c.Get(ctx, k)
				if err == nil && v != k || err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, dedup.ErrClosed) {
					t.Errorf("%d, %v", v, err)
				}
				cancel()
				switch (n + i) % 20 {
				case 0:
					c.Invalidate(k)
				case 5:
					c.Put(k, k)
				case 10:
					c.InvalidateAll()
				case 15:
					if round%2 == 0 && n > 80 {
						_ = c.Close()
					}
				}
			}
		})
		testkit.SpinUntil(func() bool { s := c.Stats(); return s.InFlight == 0 && s.Loads >= loads.Load() })
	}
}

// TestStressFlightsUsedAgain: callers run their loads while others join, leave, forget
// and iterate. Each gets what was loaded for its key, and the context of a load, kept or
// not, ends with the load.
func TestStressFlightsUsedAgain(t *testing.T) {
	var g dedup.Group[int, int]
	var n atomic.Int64
	testkit.Together(4, func(i int) {
		var last context.Context
		for step := range testkit.Scale(20_000, 2000) {
			key := step % 3
			ctx, cancel := context.WithCancel(bg)
			if i > 0 {
				ctx = context.WithValue(bg, valueKey{}, key)
			} else if step%2 == 0 {
				go cancel()
			}
			v, _, err := g.Do(ctx, key, func(ctx context.Context) (int, error) {
				if of := ctx.Value(valueKey{}); ctx.Err() != nil && of != nil || of != nil && of != key {
					t.Errorf("the context of another load, of %v", of)
				}
				runtime.Gosched()
				if i > 0 { // it runs here
					last = ctx
				}
				return int(n.Add(3))*3 + key, nil
			})
			if err == nil && v%3 != key || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%d, %v", v, err)
			}
			if last != nil && last.Err() == nil {
				t.Error("the load is over")
			}
			switch cancel(); step % 20 {
			case 0:
				g.Forget(key)
			case 10:
				for key, info := range g.InFlight() {
					if key > 2 || info.Waiters < 1 {
						t.Errorf("%d, %v", key, info)
					}
				}
			}
		}
	})
	for range g.InFlight() {
		t.Error("nothing is in flight")
	}
}

// A load may return while its callers copy the result that Close has given them.
func TestLoadThatReturnsAfterCloseLeavesItsCallersAlone(t *testing.T) {
	for range 300 {
		loading, answer := make(chan bool), make(chan bool)
		c, err := dedup.NewCache(func(context.Context, int) (int, error) {
			close(loading)
			<-answer
			return 1, nil
		}, nil)
		require.NoError(t, err)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				v, err := c.Get(context.Background(), 1)
				if v != 0 && v != 1 || v == 0 && !errors.Is(err, dedup.ErrClosed) {
					t.Errorf("%d, %v", v, err)
				}
			})
		}
		<-loading
		all.Go(func() { close(answer) })
		require.NoError(t, c.Close())
		all.Wait()
	}
}
