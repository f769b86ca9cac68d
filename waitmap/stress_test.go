package waitmap_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// tally counts what became of numbered values: each exactly once.
type tally []atomic.Int32

func (n tally) add(t *testing.T, v int) {
	if n[v].Add(1) != 1 {
		t.Errorf("value %d came twice", v)
	}
}

func (n tally) requireAll(t *testing.T) {
	t.Helper()
	for v := range n {
		require.EqualValues(t, 1, n[v].Load(), "value %d", v)
	}
}

// TestStressTakeConserves: what was stored is what was taken, deleted,
// swapped out or left over; each value once. Contexts end all the time.
func TestStressTakeConserves(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const keys, producers, takers = 3, 2, 3
		each := testkit.Scale(600, 120)
		seen := make(tally, producers*each)
		ctx, cancel := context.WithCancel(bg)
		var takersDone sync.WaitGroup
		for g := range takers {
			takersDone.Go(func() { takeUntilDone(t, ctx, m, g, keys, seen) })
		}
		testkit.Together(producers, func(g int) {
			for i := range each {
				produce(t, m, i%keys, g*each+i, seen)
			}
		})
		cancel()
		takersDone.Wait()
		requireIdle(t, m)
		for _, v := range contents(t, m) {
			seen.add(t, v)
		}
		seen.requireAll(t)
	})
}

// takeUntilDone takes with contexts that may end at any moment.
func takeUntilDone(t *testing.T, ctx context.Context, m *waitmap.Map[int, int], g, keys int, seen tally) {
	rnd := rand.New(rand.NewPCG(uint64(g), 7))
	for ctx.Err() == nil {
		mine, cancel := context.WithCancel(ctx)
		k := rnd.IntN(keys)
		w := async(func() (int, error) { return m.Take(mine, k) })
		for range rnd.IntN(4) {
			runtime.Gosched()
		}
		if rnd.IntN(2) == 0 {
			cancel()
		}
		r := <-w
		cancel()
		if r.err == nil {
			seen.add(t, r.v)
		} else if !errors.Is(r.err, context.Canceled) || r.v != 0 {
			t.Errorf("Take gave %d, %v", r.v, r.err)
		}
	}
}

// produce stores v in one of several ways; what it displaces is counted.
func produce(t *testing.T, m *waitmap.Map[int, int], k, v int, seen tally) {
	switch v % 4 {
	case 0:
		if old, loaded := m.Swap(k, v); loaded {
			seen.add(t, old)
		}
	case 1:
		for {
			if _, loaded := m.LoadOrStore(k, v); !loaded {
				return
			}
			if old, loaded := m.LoadAndDelete(k); loaded {
				seen.add(t, old)
			}
		}
	case 2:
		var old int
		var loaded bool
		m.Compute(k, func(o int, l bool) (int, waitmap.Op) { old, loaded = o, l; return v, waitmap.StoreOp })
		if loaded {
			seen.add(t, old)
		}
	default:
		for {
			if _, loaded, _ := m.LoadOrCompute(k, func() (int, error) { return v, nil }); !loaded {
				return
			}
			if old, ok := m.Load(k); ok && waitmap.CompareAndDelete(m, k, old) {
				seen.add(t, old)
			}
		}
	}
}

// TestStressTakeOrder: one producer, several takers that take turns by being
// in line one after the other: each taker's values rise.
func TestStressTakeOrder(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const takers = 3
		n := testkit.Scale(900, 150)
		var wg sync.WaitGroup
		for range takers {
			wg.Go(func() {
				last := -1
				for range n / takers {
					v, err := m.Take(bg, 1)
					if err != nil || v <= last {
						t.Errorf("took %d after %d, %v", v, last, err)
					}
					last = v
				}
			})
		}
		for i := range n {
			testkit.SpinUntil(func() bool { _, there := m.Load(1); return !there })
			m.Store(1, i)
		}
		wg.Wait()
		require.Zero(t, m.Len())
	})
}

// TestStressPingPong: two goroutines hand one value to and fro.
func TestStressPingPong(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		n := testkit.Scale(2000, 300)
		testkit.Together(2, func(g int) {
			from, to := "ping", "pong"
			if g == 1 {
				from, to = to, from
				m.Store("ping", 0)
			}
			for i := range n {
				v, err := m.Take(bg, from)
				if err != nil || v != 2*i+g {
					t.Errorf("round %d: %d, %v", i, v, err)
				}
				m.Store(to, v+1)
			}
		})
		requireContents(t, map[string]int{"ping": 2 * n}, m)
		requireIdle(t, m)
	})
}

// TestStressStorm: every kind of wait, against stores, deletes, cancels and
// ends of contexts. Every wait returns, with a value of its key or an error
// that a goroutine caused; nothing is left.
func TestStressStorm(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		keys := []string{"0", "1", "2", "3"}
		var stop atomic.Bool
		var others sync.WaitGroup
		others.Go(func() {
			for i := 0; !stop.Load(); i++ {
				k := i % len(keys)
				switch i % 7 {
				case 0, 1, 2, 3:
					m.Store(keys[k], i*len(keys)+k)
				case 4, 5:
					m.Delete(keys[k])
				case 6:
					m.CancelCause(keys[k], errCause)
				}
				runtime.Gosched()
			}
		})
		var served, canceled, ended atomic.Int64
		rounds := testkit.Scale(150, 25)
		var wg sync.WaitGroup
		for name, wait := range waits {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(len(name)), 3))
				for range rounds {
					ctx, cancel := context.WithCancel(bg)
					k := rnd.IntN(len(keys))
					w := async(func() (int, error) { return wait(m, ctx, keys[k]) })
					for range rnd.IntN(3) {
						runtime.Gosched()
					}
					if rnd.IntN(3) == 0 {
						cancel()
					}
					r := <-w
					cancel()
					switch {
					case r.err == nil && r.v%len(keys) == k:
						served.Add(1)
					case errors.Is(r.err, waitmap.ErrCanceled) && errors.Is(r.err, errCause):
						canceled.Add(1)
					case errors.Is(r.err, context.Canceled):
						ended.Add(1)
					default:
						t.Errorf("%s of key %d: %d, %v", name, k, r.v, r.err)
					}
				}
			})
		}
		wg.Wait()
		stop.Store(true)
		others.Wait()
		require.EqualValues(t, rounds*len(waits), served.Load()+canceled.Load()+ended.Load())
		requireIdle(t, m)
		require.Len(t, contents(t, m), m.Len())
	})
}

// TestStressFutures: stop, result and several waits of one Future, against a
// store and a cancel. All agree on one end.
func TestStressFutures(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		for round := range testkit.Scale(300, 60) {
			var w counter
			f := m.Register(1, &w)
			var stopped atomic.Bool
			var ends [2]result[int]
			testkit.Together(4, func(g int) {
				switch g {
				case 0, 1:
					ends[g].v, ends[g].err = f.Wait(bg)
				case 2:
					if round%3 == 0 {
						m.Cancel(1)
					}
					m.Store(1, round)
				case 3:
					if round%2 == 0 {
						stopped.Store(f.Stop())
					}
				}
			})
			v, done, err := f.Result()
			require.True(t, done)
			for _, r := range ends {
				require.Equal(t, v, r.v)
				require.Equal(t, err, r.err)
			}
			if stopped.Load() {
				require.ErrorIs(t, err, waitmap.ErrCanceled)
			}
			if err == nil {
				require.Equal(t, round, v)
			}
			require.Equal(t, !stopped.Load(), w.woken(), "Stop tells whether it prevented the wake")
			m.Delete(1)
		}
		requireIdle(t, m)
	})
}

// TestStressWaitForLast: however fast the values come, the last is not missed.
func TestStressWaitForLast(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		for range testkit.Scale(60, 15) {
			const last = 50
			ws := make([]<-chan result[int], 4)
			for i := range ws {
				ws[i] = async(func() (int, error) { return m.WaitFor(bg, 1, func(v int) bool { return v == last }) })
			}
			for v := range last + 1 {
				m.Store(1, v)
			}
			for _, w := range ws {
				requireValue(t, last, w)
			}
			m.Delete(1)
		}
		requireIdle(t, m)
	})
}

// TestStressWaitComputeCounts: as many removals as values, and each value is
// handed to exactly one function.
func TestStressWaitComputeCounts(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		n := testkit.Scale(400, 90)
		seen := make(tally, n)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for range n / 3 {
					_, err := m.WaitCompute(bg, 1, func(old int) (int, waitmap.Op) {
						seen.add(t, old)
						return 0, waitmap.DeleteOp
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range n / 3 * 3 {
			testkit.SpinUntil(func() bool { _, loaded := m.LoadOrStore(1, i); return !loaded })
		}
		wg.Wait()
		seen[:n/3*3].requireAll(t)
		require.Zero(t, m.Len())
		requireIdle(t, m)
	})
}

// TestStressClose: a close among waits that begin at the same moment; all of
// them end.
func TestStressClose(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		for range testkit.Scale(60, 15) {
			m := newMap()
			var ws []<-chan result[int]
			for _, wait := range waits {
				ws = append(ws, async(func() (int, error) { return wait(m, bg, "a") }))
			}
			runtime.Gosched()
			require.NoError(t, m.Close())
			for _, w := range ws {
				requireError(t, waitmap.ErrClosed, w)
			}
			requireIdle(t, m)
		}
	})
}

// TestStressPublishes: plain memory that was written before a store may be
// read after any wait that it released. The race detector is the judge.
func TestStressPublishes(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		for round := range testkit.Scale(100, 30) {
			for name, wait := range waits {
				data := make([]int, 1)
				w := async(func() (int, error) {
					_, err := wait(m, bg, "a")
					return data[0], err
				})
				if round%2 == 0 || name == "WaitNext" { // which must not come late
					inLine(m, "a", 1)
				}
				data[0] = round
				m.Store("a", 1)
				r := <-w
				require.NoError(t, r.err, name)
				require.Equal(t, round, r.v, name)
				m.Delete("a")
			}
		}
	})
}

// TestStressWaitersOverflow: waiters and stores of many keys in few buckets,
// so that values overflow into the buckets of others that are locked too.
func TestStressWaitersOverflow(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const keys = 61
		rounds := testkit.Scale(3000, 400)
		testkit.Together(6, func(g int) {
			for i := range rounds {
				k := i * 7 % keys
				switch g {
				case 0, 1:
					f := m.Register(k, nil)
					m.Store(k, i)
					if _, done, _ := f.Result(); !done {
						t.Error("a store did not serve the Future")
					}
				case 2:
					m.Compute(k, func(int, bool) (int, waitmap.Op) { return i, waitmap.StoreOp })
				case 3:
					m.Register(k+1000, nil).Stop()
					m.Cancel(k)
				default:
					m.Delete(k)
					m.Register(k, nil).Stop()
				}
			}
		})
		m.CancelAll()
		requireIdle(t, m)
		require.Len(t, contents(t, m), m.Len())
	})
}

// TestStressGOMAXPROCS changes the number of processors under load; maps may
// be made at any of them.
func TestStressGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 4, 2, 8, 1} {
		runtime.GOMAXPROCS(procs)
		var m waitmap.Map[int, int]
		n := testkit.Scale(2000, 300)
		testkit.Together(6, func(g int) {
			for i := range n {
				if i == n/2 && g == 0 {
					runtime.GOMAXPROCS(9 - procs)
				}
				k := i % 64
				m.Compute(k, func(old int, _ bool) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
				m.Store(1000+g*n+i, i)
				if v, ok := m.LoadAndDelete(1000 + g*n + i); !ok || v != i {
					t.Errorf("LoadAndDelete = %d, %t", v, ok)
				}
				m.Register(-1-k, nil).Stop()
			}
		})
		sum := 0
		for _, v := range m.All() {
			sum += v
		}
		require.Equal(t, 6*n, sum)
		require.Equal(t, min(64, n), m.Len())
		requireIdle(t, &m)
	}
}
