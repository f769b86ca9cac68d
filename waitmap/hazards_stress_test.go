package waitmap_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// These are the hazards without a bubble: goroutines run freely, and a lost wake is a test
// that never ends.

// TestStressStaleSlot: waits that are canceled and begun again at once, on
// one key. The last round is stored; every waiter returns.
func TestStressStaleSlot(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		rounds := testkit.Scale(400, 80)
		const workers = 4
		var left atomic.Int32
		left.Store(workers)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				defer left.Add(-1)
				for canceled := 0; canceled < rounds; canceled++ {
					if _, err := m.Wait(bg, "a"); err == nil {
						t.Error("nothing was stored")
					}
				}
			})
		}
		for left.Load() > 0 {
			m.Cancel("a")
			runtime.Gosched()
		}
		wg.Wait()
		requireIdle(t, m)
	})
}

// TestStressLoadSeesWaitersKey loads and ranges while waiters come and go.
func TestStressLoadSeesWaitersKey(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, *int]) {
		m := newMap()
		rounds := testkit.Scale(1500, 200)
		testkit.Together(3, func(g int) {
			for i := range rounds {
				switch k := i % 16; g {
				case 0:
					m.Register(k, nil).Stop()
				case 1:
					m.Register(k, nil)
					m.Cancel(k)
				default:
					if v, ok := m.Load(k); ok || v != nil {
						t.Errorf("Load(%d) = %v, %t", k, v, ok)
					}
					if i%50 == 0 && (m.Len() != 0 || len(contents(t, m)) != 0) {
						t.Error("the map is not empty")
					}
				}
			}
		})
		requireIdle(t, m)
	})
}

// TestStressStoredThenDeleted: each store is undone at once, and still reaches
// all waiters that were in line.
func TestStressStoredThenDeleted(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		for round := range testkit.Scale(150, 30) {
			const n = 6
			ws := []<-chan result[int]{
				async(func() (int, error) { return m.Wait(bg, 1) }),
				async(func() (int, error) { return m.WaitNext(bg, 1) }),
				async(func() (int, error) { return m.WaitFor(bg, 1, func(v int) bool { return v >= 0 }) }),
				async(func() (int, error) { return m.Take(bg, 1) }),
				async(func() (int, error) { return m.Register(1, nil).Wait(bg) }),
				async(func() (int, error) { return m.Wait(bg, 1) }),
			}
			inLine(m, 1, n)
			m.Store(1, round)
			m.Delete(1)
			for _, w := range ws {
				requireValue(t, round, w)
			}
			require.Zero(t, m.Len())
		}
		requireIdle(t, m)
	})
}

// TestStressHotKey: many waiters of one key, each round.
func TestStressHotKey(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		n := testkit.Scale(500, 100)
		for round := range 3 {
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					if v, err := m.WaitNext(bg, 1); v != round || err != nil {
						t.Errorf("got %d, %v", v, err)
					}
				})
			}
			inLine(m, 1, n)
			m.Store(1, round)
			wg.Wait()
		}
	})
}

// TestStressWakerCallsBack: wakers that store, register and cancel, on keys
// that others do the same to.
func TestStressWakerCallsBack(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const keys = 6
		rounds := testkit.Scale(800, 150)
		var woken, registered atomic.Int64
		testkit.Together(4, func(g int) {
			for i := range rounds {
				k := (i + g) % keys
				registered.Add(1)
				m.Register(k, wake.Func(func() {
					woken.Add(1)
					m.Load(k)
					if i%4 == 0 {
						m.Store(k, i) // may run wakers within this one
					} else if i%4 == 1 {
						m.Cancel((k + 1) % keys)
					}
				}))
				if i%3 == 0 {
					m.Store(k, i)
				}
				m.Delete(k)
			}
		})
		m.CancelAll()
		m.CancelAll() // no goroutine registers any more
		require.Equal(t, registered.Load(), woken.Load())
		requireIdle(t, m)
	})
}

// TestStressSlowInit: computes that yield in the middle, many keys, next to
// stores that make the table grow.
func TestStressSlowInit(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		rounds := testkit.Scale(300, 80)
		var grown atomic.Bool
		testkit.Together(4, func(g int) {
			if g == 0 {
				for i := range manyKeys {
					m.Store(1000+i, i)
					runtime.Gosched()
				}
				grown.Store(true)
				return
			}
			for i := 0; i < rounds || !grown.Load(); i++ {
				m.Compute(i%3, func(old int, _ bool) (int, waitmap.Op) {
					runtime.Gosched()
					m.Store(2000+i%50, i)
					return old + 1, waitmap.StoreOp
				})
			}
		})
		for i := range manyKeys {
			v, ok := m.Load(1000 + i)
			require.True(t, ok)
			require.Equal(t, i, v)
		}
		requireIdle(t, m)
	})
}

// TestStressCrossedComputes: every Compute changes another key within, always
// upwards, so that no two can wait for each other.
func TestStressCrossedComputes(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const keys, workers = 5, 3
		rounds := testkit.Scale(500, 100)
		add := func(old int, _ bool) (int, waitmap.Op) { return old + 1, waitmap.StoreOp }
		testkit.Together(workers, func(int) {
			for i := range rounds {
				k := i % (keys - 1)
				m.Compute(k, func(old int, _ bool) (int, waitmap.Op) {
					m.Compute(k+1, add)
					return old + 1, waitmap.StoreOp
				})
			}
		})
		sum := 0
		for _, v := range m.All() {
			sum += v
		}
		require.Equal(t, 2*workers*rounds, sum)
	})
}

// TestStressUserPanics: functions that panic and exit among some that count.
func TestStressUserPanics(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		rounds := testkit.Scale(600, 120)
		testkit.Together(3, func(g int) {
			for i := range rounds {
				k := i % 3
				switch g {
				case 0:
					recovered(func() { m.Compute(k, func(int, bool) (int, waitmap.Op) { panic(i) }) })
				case 1:
					var wg sync.WaitGroup
					wg.Go(func() {
						m.Compute(k, func(int, bool) (int, waitmap.Op) { runtime.Goexit(); return 0, waitmap.StoreOp })
					})
					wg.Wait()
				default:
					m.Compute(k, func(old int, _ bool) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
				}
			}
		})
		requireContents(t, map[int]int{0: rounds / 3, 1: rounds / 3, 2: rounds / 3}, m)
	})
}

// TestStressInLineBeforeTheRequest: a server answers faster than the client
// can wait.
func TestStressInLineBeforeTheRequest(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		requests := make(chan int, 16)
		var server sync.WaitGroup
		server.Go(func() {
			for id := range requests {
				m.Store(id, id*2)
				m.Delete(id)
			}
		})
		rounds := testkit.Scale(1000, 200)
		testkit.Together(3, func(g int) {
			for i := range rounds {
				id := i*3 + g
				f := m.Register(id, nil)
				requests <- id
				if v, err := f.Wait(bg); v != id*2 || err != nil {
					t.Errorf("request %d: %d, %v", id, v, err)
				}
			}
		})
		close(requests)
		server.Wait()
		require.Zero(t, m.Len())
		requireIdle(t, m)
	})
}

// TestStressUnhashableKey: the panics of some do not hinder others.
func TestStressUnhashableKey(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[any, int]) {
		m := newMap()
		rounds := testkit.Scale(500, 100)
		testkit.Together(3, func(g int) {
			for i := range rounds {
				if g == 0 {
					if recovered(func() { m.Store([]int{i}, 1) }) == nil || recovered(func() { m.Register([]int{i}, nil) }) == nil {
						t.Error("no panic")
					}
					continue
				}
				m.Store(i, i)
				m.Store(fmt.Sprint(i), i)
			}
		})
		require.Equal(t, 2*rounds, m.Len())
		requireIdle(t, m)
	})
}

// TestStressAbandonedWaits: parked waits whose contexts end while others of
// the same keys are served.
func TestStressAbandonedWaits(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		rounds := testkit.Scale(400, 80)
		var stop atomic.Bool
		var storer sync.WaitGroup
		storer.Go(func() {
			for i := 0; !stop.Load(); i++ {
				m.Store(i%4, i)
				m.Delete(i % 4)
				runtime.Gosched()
			}
		})
		testkit.Together(4, func(g int) {
			for i := range rounds {
				ctx, cancel := context.WithCancel(bg)
				w := async(func() (int, error) { return m.Take(ctx, i%8) })
				if i%2 == 0 {
					runtime.Gosched()
				}
				cancel()
				<-w
			}
		})
		stop.Store(true)
		storer.Wait()
		requireIdle(t, m)
		for range m.Keys() {
			t.Error("a key stayed")
		}
	})
}

// TestStressGrowth: waiters, readers and writers while the table grows; each
// writer's keys are its own and every one of its waits is served.
func TestStressGrowth(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const workers = 3
		n := testkit.Scale(500, 120)
		var wg sync.WaitGroup
		for g := range workers {
			wg.Go(func() { // waits for the next one's keys
				for i := range n {
					k := i*workers + (g+1)%workers
					if v, err := m.Wait(bg, k); v != k || err != nil {
						t.Errorf("Wait(%d) = %d, %v", k, v, err)
					}
				}
			})
			wg.Go(func() {
				for i := range n {
					k := i*workers + g
					m.Store(k, k)
					if j := (i/2)*workers + g; i%2 == 0 {
						if v, ok := m.Load(j); !ok || v != j {
							t.Errorf("Load(%d) = %d, %t", j, v, ok)
						}
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, workers*n, m.Len())
		require.Len(t, contents(t, m), workers*n)
		requireIdle(t, m)
	})
}

// attackerKeys are sets of keys that collide in tables whose hash can be guessed.
func attackerKeys(n int) map[string][]uint64 {
	make1 := func(f func(i uint64) uint64) []uint64 {
		keys := make([]uint64, n)
		for i := range keys {
			keys[i] = f(uint64(i))
		}
		return keys
	}
	inverse := func(odd uint64) uint64 { // modulo 2^64, by Newton
		x := odd
		for range 6 {
			x *= 2 - odd*x
		}
		return x
	}
	golden := inverse(0x9E3779B97F4A7C15)
	return map[string][]uint64{
		"sequential":    make1(func(i uint64) uint64 { return i }),
		"high half":     make1(func(i uint64) uint64 { return i << 32 }),
		"highest bits":  make1(func(i uint64) uint64 { return i << 46 }),
		"pages":         make1(func(i uint64) uint64 { return i << 12 }),
		"both halves":   make1(func(i uint64) uint64 { return i<<32 | i }),
		"fibonacci":     make1(func(i uint64) uint64 { return i * golden }),
		"fibonacci top": make1(func(i uint64) uint64 { return (i << 40) * golden }),
		"complement":    make1(func(i uint64) uint64 { return i<<32 | (^i)&0xffffffff }),
	}
}

// TestHazardAttackerKeys: keys that were chosen to collide cost about what
// random ones cost. Collisions make the cost quadratic, more than a hundred
// times here; the bound is far from either, and the best of several runs
// counts, so that a busy machine does not matter. bench has the exact ratio.
func TestHazardAttackerKeys(t *testing.T) {
	n := testkit.Scale(40_000, 15_000)
	random := make([]uint64, n)
	x := uint64(1)
	for i := range random {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		random[i] = x
	}
	for name, keys := range attackerKeys(n) {
		t.Run(name, func(t *testing.T) {
			best := []time.Duration{1 << 62, 1 << 62}
			for range 6 {
				for i, keys := range [][]uint64{random, keys} {
					best[i] = min(best[i], timeOf(t, keys))
				}
				if best[1] < 20*best[0] {
					return
				}
			}
			t.Errorf("these keys take %v, random ones %v", best[1], best[0])
		})
	}
}

// timeOf stores, loads and deletes all keys.
func timeOf(t *testing.T, keys []uint64) time.Duration {
	var m waitmap.Map[uint64, int]
	begin := time.Now()
	for i, k := range keys {
		m.Store(k, i)
	}
	for i, k := range keys {
		if v, ok := m.Load(k); !ok || v != i {
			t.Fatalf("Load(%d) = %d, %t", k, v, ok)
		}
	}
	for _, k := range keys {
		m.Delete(k)
	}
	return time.Since(begin)
}

// TestHazardAttackerStrings: the same for strings that collide under the
// common multiply-and-add hashes.
func TestHazardAttackerStrings(t *testing.T) {
	const bits = 12
	make1 := func(pair [2]string) (keys []string) {
		for i := range 1 << bits {
			k := ""
			for b := range bits {
				k += pair[i>>b&1]
			}
			keys = append(keys, k)
		}
		return keys
	}
	sets := [][]string{make1([2]string{"Aa", "BB"}), make1([2]string{"01", "10"}), make1([2]string{"\x00", "\x00\x00"})}
	for _, keys := range sets {
		distinct := make(map[string]int)
		var m waitmap.Map[string, int]
		for i, k := range keys {
			m.Store(k, i)
			distinct[k] = i
		}
		requireContents(t, distinct, &m)
	}
}
