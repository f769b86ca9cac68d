package dedup_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// The hazards again without a bubble: free-running goroutines, where a lost
// wake is a test that never ends. Every load counts who runs beside it.

// A meter counts the loads of each key that run at a time.
type meter struct {
	running [8]atomic.Int32
	loads   [8]atomic.Int32
	most    atomic.Int32
}

func (m *meter) enter(k int) {
	m.loads[k].Add(1)
	now := m.running[k].Add(1)
	for most := m.most.Load(); now > most && !m.most.CompareAndSwap(most, now); {
		most = m.most.Load()
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

// TestStressLoaderRunsTwice: of a key that stays there is one load, ever, and
// no caller misses it.
func TestStressLoaderRunsTwice(t *testing.T) {
	for name, o := range map[string]*stressOptions{"open": nil, "bounded": {MaxEntries: 1000}} {
		t.Run(name, func(t *testing.T) {
			for range scale(2000, 200) {
				var m meter
				c := newCache(t, func(_ context.Context, k int) (int, error) {
					m.enter(k)
					defer m.leave(k)
					return k, nil
				}, o)
				together(4, func(i int) {
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

// TestStressJoinsTheFinishedFlight: a load gives its number when it begins. Who
// asked after that one was over must not get it.
func TestStressJoinsTheFinishedFlight(t *testing.T) {
	var g dedup.Group[int, int64]
	var m meter
	var begun, over atomic.Int64
	together(4, func(i int) {
		for range scale(50_000, 4000) {
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
	require.EqualValues(t, 1, m.most.Load(), "one load at a time")
}

// TestStressCallersLeave: of callers some give up, at any moment. The others
// get what they came for, whoever was first, and nobody gets an end that is not
// his own; at the end all loads have ended, those that nobody waited for too.
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
	together(4, func(i int) {
		for n := range scale(20_000, 2000) {
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
	spinUntil(func() bool { return running.Load() == 0 })
	require.Positive(t, joined.Load())
	for range g.InFlight() {
		t.Error("left behind")
	}
}

// TestStressNobodyWaits: a load that only its end ends, and callers that all
// give up.
func TestStressNobodyWaits(t *testing.T) {
	c := newCache(t, func(ctx context.Context, k int) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}, &stressOptions{MaxLoads: 3})
	together(4, func(i int) {
		for n := range scale(5000, 500) {
			ctx, cancel := context.WithCancel(bg)
			go cancel()
			if _, err := c.Get(ctx, n%2); !errors.Is(err, context.Canceled) || errors.Is(err, dedup.ErrAbandoned) {
				t.Error(err)
			}
		}
	})
	spinUntil(func() bool { s := c.Stats(); return s.InFlight == 0 && s.Loads == s.LoadErrors })
}

// TestStressPanics: each third load panics, and each third ends its goroutine.
func TestStressPanics(t *testing.T) {
	var g dedup.Group[int, int]
	var n atomic.Int32
	var m meter
	var got [3]atomic.Int32
	together(4, func(i int) {
		for range scale(5000, 500) {
			v, _, err := g.Do(bg, 0, func(context.Context) (int, error) {
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
	})
	require.EqualValues(t, 1, m.most.Load())
	for i := range got {
		require.Positive(t, got[i].Load())
	}
}

// TestStressForget: however old and new flights overlap, each caller gets a
// result of a load that ended after it had asked, and nothing stays behind.
func TestStressForget(t *testing.T) {
	var g dedup.Group[int, int64]
	var begun, forgotten atomic.Int64
	together(4, func(i int) {
		for range scale(30_000, 3000) {
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

// TestStressOldValueStoredAfterInvalidate: an origin changes, then the cache is
// told; who asks after that must not find what was before. The ways to tell are
// tried one by one.
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
				together(4, func(i int) {
					for range scale(20_000, 2000) {
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

// TestStressPutStays: Puts and loads of other values begin together, in any
// order; a load that is under way when Put is called never wins over it. Loads
// give negative values.
func TestStressPutStays(t *testing.T) {
	for bounds, o := range map[string]*stressOptions{"open": nil, "bounded": {MaxEntries: 10}} {
		t.Run(bounds, func(t *testing.T) {
			c := newCache(t, func(context.Context, int) (int, error) { return -1, nil }, o)
			for range scale(20_000, 2000) {
				c.Invalidate(0)
				together(2, func(i int) {
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

// TestStressFailingLoad: callers that come together share a failure; there are
// no more loads than rounds.
func TestStressFailingLoad(t *testing.T) {
	for range scale(2000, 200) {
		var m meter
		gate := make(chan struct{})
		c := newCache(t, func(_ context.Context, k int) (int, error) {
			m.enter(k)
			defer m.leave(k)
			<-gate
			return 0, errLoad
		}, nil)
		together(5, func(i int) {
			if i == 0 {
				spinUntil(func() bool { return waiters(c) == 4 })
				close(gate)
			} else if _, err := c.Get(bg, 0); !errors.Is(err, errLoad) {
				t.Error(err)
			}
		})
		require.Equal(t, 1, m.total())
		c.Close()
	}
}

// waiters is how many wait for key 0.
func waiters(c *dedup.Cache[int, int]) (n int) {
	for _, info := range c.InFlight() {
		n += info.Waiters
	}
	return n
}

// TestStressMaxWaiters: of callers that come together, so many wait and the
// others are sent away.
func TestStressMaxWaiters(t *testing.T) {
	for range scale(2000, 200) {
		var m meter
		var refused atomic.Int32
		gate := make(chan struct{})
		c := newCache(t, func(_ context.Context, k int) (int, error) {
			m.enter(k)
			defer m.leave(k)
			<-gate
			return 1, nil
		}, &stressOptions{MaxWaiters: 3})
		together(6, func(i int) {
			if i == 0 {
				spinUntil(func() bool { return refused.Load() == 2 && waiters(c) == 3 })
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

// TestStressExpiry: values that are too old when anybody looks are results all
// the same, and failures never look like values.
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
	together(4, func(i int) {
		for range scale(20_000, 2000) {
			v, err := c.Get(bg, 0)
			if (err == nil) != (v == 1) || err != nil && err != errLoad {
				t.Errorf("%d, %v", v, err)
			}
		}
	})
	require.EqualValues(t, 1, m.most.Load(), "one load at a time")
}

// TestStressClose: everything at once, and Close in the middle of it.
func TestStressClose(t *testing.T) {
	for range scale(500, 100) {
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
		together(6, func(i int) {
			if i == 0 {
				spinUntil(func() bool { return m.total() > 3 })
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
		spinUntil(func() bool { return c.Stats().InFlight == 0 })
	}
}

// useAll calls one method or another.
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

// spinUntil yields until cond holds. A cond that never holds ends in the test
// binary's timeout.
func spinUntil(cond func() bool) {
	for !cond() {
		runtime.Gosched()
	}
}
