package waitmap_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// TestRangeWhileStoring: keys 1 to n are always there; their values are
// multiples of the key. Each Range shows each of them exactly once, and
// nothing that was never stored.
func TestRangeWhileStoring(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int64, int64]) {
		const n = 256
		m := newMap()
		for k := int64(1); k <= n; k++ {
			m.Store(k, k)
		}
		var stop atomic.Bool
		var wg sync.WaitGroup
		for g := range int64(2) {
			wg.Go(func() {
				for i := int64(0); !stop.Load(); i++ {
					for k := int64(1); k <= n; k++ {
						if k%2 == g {
							m.Store(k, i*k)
						} else {
							m.Load(k)
						}
						m.Store(-(k*2 + g), 0) // these come and go
						m.Delete(-(k*2 + g))
					}
					runtime.Gosched()
				}
			})
		}
		for range testkit.Scale(40, 10) {
			seen := make(map[int64]bool, n)
			m.Range(func(k, v int64) bool {
				if k > 0 && v%k != 0 {
					t.Errorf("key %d has the value %d", k, v)
				}
				if seen[k] {
					t.Errorf("key %d came twice", k)
				}
				seen[k] = true
				return true
			})
			for k := int64(1); k <= n; k++ {
				if !seen[k] {
					t.Errorf("key %d was missed", k)
				}
			}
		}
		stop.Store(true)
		wg.Wait()
		require.Equal(t, n, m.Len())
	})
}

// TestRangeNoPhantom: Range does not visit a key that was deleted before Range began and is
// not stored again.
func TestRangeNoPhantom(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		var gone atomic.Int64 // all keys below are deleted
		rounds := testkit.Scale(3000, 500)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range rounds {
				m.Store(i, i)
				if i >= 8 {
					m.Delete(i - 8)
					gone.Store(int64(i - 7))
				}
			}
		})
		for gone.Load() < int64(rounds-8) {
			first := int(gone.Load())
			for k, v := range m.All() {
				if k < first || k != v {
					t.Errorf("%d=%d came, all below %d were gone", k, v, first)
				}
			}
			runtime.Gosched()
		}
		wg.Wait()
		require.Equal(t, 8, m.Len())
	})
}

// TestClearWhileBusy clears between writers and readers; the end is exact.
func TestClearWhileBusy(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		rounds := testkit.Scale(600, 100)
		testkit.Together(3, func(g int) {
			for i := range rounds {
				switch g {
				case 0:
					m.Clear()
					runtime.Gosched()
				default:
					for k := range 32 {
						m.Store(k, k)
						if v, ok := m.Load(k); ok && v != k || !ok && v != 0 {
							t.Errorf("key %d has %d, %t", k, v, ok)
						}
						waitmap.CompareAndSwap(m, k, k, k)
						if i%4 == 0 {
							m.LoadAndDelete(k)
						}
					}
				}
			}
		})
		n := len(contents(t, m))
		require.Equal(t, n, m.Len())
		m.Clear()
		require.Zero(t, m.Len())
		require.Empty(t, contents(t, m))
		m.Store(1, 1)
		requireContents(t, map[int]int{1: 1}, m)
	})
}

// TestClearIsNotUndone: after Clear returned, a key that is not stored again stays
// away, while others are stored and the table grows.
func TestClearIsNotUndone(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		testkit.Together(2, func(g int) {
			base := (g + 1) << 24
			if g == 0 {
				for i := range testkit.Scale(3000, 500) {
					m.Store(base+i%700, i)
				}
				return
			}
			for range testkit.Scale(100, 20) {
				for i := range 20 {
					m.Store(base+i, i)
				}
				m.Clear()
				for i := range 20 {
					if v, ok := m.Load(base + i); ok || v != 0 {
						t.Errorf("key %d came back after Clear", i)
					}
				}
			}
		})
	})
}

// TestLoadOrStoreRace: of many, exactly one stores, and all agree on it.
func TestLoadOrStoreRace(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		keys := testkit.Scale(500, 100)
		const workers = 4
		stored := make([]atomic.Int32, keys)
		got := make([][]int, workers)
		testkit.Together(workers, func(g int) {
			got[g] = make([]int, keys)
			for k := range keys {
				v, loaded := m.LoadOrStore(k, g)
				if !loaded {
					stored[k].Add(1)
				}
				got[g][k] = v
			}
		})
		for k := range keys {
			require.EqualValues(t, 1, stored[k].Load(), "key %d", k)
			for g := range workers {
				require.Equal(t, got[0][k], got[g][k])
			}
		}
		require.Equal(t, keys, m.Len())
	})
}

// TestLoadAndDeleteRace: of many, exactly one gets each value. The same with
// CompareAndDelete and Swap mixed in.
func TestLoadAndDeleteRace(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		keys := testkit.Scale(500, 100)
		for k := range keys {
			m.Store(k, k+1)
		}
		won := make([]atomic.Int32, keys)
		testkit.Together(4, func(g int) {
			for k := range keys {
				var ok bool
				switch g {
				case 0:
					var v int
					if v, ok = m.LoadAndDelete(k); ok && v != k+1 || !ok && v != 0 {
						t.Errorf("LoadAndDelete(%d) = %d, %t", k, v, ok)
					}
				case 1:
					ok = waitmap.CompareAndDelete(m, k, k+1)
				case 2:
					m.Compute(k, func(_ int, loaded bool) (int, waitmap.Op) { ok = loaded; return 0, waitmap.DeleteOp })
				case 3:
					if _, err := m.Take(doneCtx(), k); err == nil {
						t.Error("Take on a done context")
					}
				}
				if ok {
					won[k].Add(1)
				}
			}
		})
		for k := range keys {
			require.EqualValues(t, 1, won[k].Load(), "key %d", k)
		}
		require.Zero(t, m.Len())
	})
}

// TestCompareAndSwapCounts increments by retries: exact.
func TestCompareAndSwapCounts(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const keys, workers = 3, 4
		each := testkit.Scale(1000, 200)
		for k := range keys {
			m.Store(k, 0)
		}
		testkit.Together(workers, func(int) {
			for i := range each {
				for {
					v, _ := m.Load(i % keys)
					if waitmap.CompareAndSwap(m, i%keys, v, v+1) {
						break
					}
				}
			}
		})
		sum := 0
		for _, v := range m.All() {
			sum += v
		}
		require.Equal(t, workers*each, sum)
	})
}

// TestSwapIsAChain: the values that Swap returned and the last one are
// exactly those that were swapped in.
func TestSwapIsAChain(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		const workers = 4
		each := testkit.Scale(1000, 200)
		seen := make([]atomic.Int32, workers*each)
		testkit.Together(workers, func(g int) {
			for i := range each {
				if old, loaded := m.Swap("a", g*each+i); loaded {
					seen[old].Add(1)
				} else if old != 0 {
					t.Errorf("Swap = %d, false", old)
				}
			}
		})
		last, _ := m.LoadAndDelete("a")
		seen[last].Add(1)
		for i := range seen {
			require.EqualValues(t, 1, seen[i].Load(), "value %d", i)
		}
	})
}

// TestPrivateKeysWhileGrowing: every goroutine sees its own keys exactly as
// it left them, while all make the table grow and shrink.
func TestPrivateKeysWhileGrowing(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const workers = 4
		keys := testkit.Scale(600, 150)
		testkit.Together(workers, func(g int) {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			mine := make(map[int]int)
			for i := range keys * 4 {
				k := rnd.IntN(keys)*workers + g
				want, there := mine[k]
				got, ok := m.Load(k)
				if ok != there || got != want {
					t.Errorf("Load(%d) = %d, %t; want %d, %t", k, got, ok, want, there)
				}
				switch rnd.IntN(4) {
				case 0:
					if old, ok := m.LoadAndDelete(k); ok != there || old != want {
						t.Errorf("LoadAndDelete(%d) = %d, %t; want %d, %t", k, old, ok, want, there)
					}
					delete(mine, k)
				case 1:
					if v, loaded := m.LoadOrStore(k, i); loaded != there || there && v != want {
						t.Errorf("LoadOrStore(%d) = %d, %t; want %d, %t", k, v, loaded, want, there)
					}
					if !there {
						mine[k] = i
					}
				default:
					m.Store(k, i)
					mine[k] = i
				}
			}
			for k, v := range mine {
				if got, ok := m.Load(k); !ok || got != v {
					t.Errorf("at the end: Load(%d) = %d, %t; want %d", k, got, ok, v)
				}
			}
			for k := range m.Keys() {
				if _, ok := mine[k]; k%workers == g && !ok {
					t.Errorf("at the end: key %d came back", k)
				}
			}
		})
		require.Len(t, contents(t, m), m.Len())
	})
}

// TestAbsentIsZero: keys come and go; what is absent has no value, however
// it is looked up.
func TestAbsentIsZero(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) { absentIsZero(t, newMap(), 7) })
	over(t, func(t *testing.T, newMap maker[string, string]) { absentIsZero(t, newMap(), "value") })
	over(t, func(t *testing.T, newMap maker[[2]int, *int]) { absentIsZero(t, newMap(), new(int)) })
	over(t, func(t *testing.T, newMap maker[string, uint8]) { absentIsZero(t, newMap(), 8) })
}

func absentIsZero[K, V comparable](t *testing.T, m *waitmap.Map[K, V], v V) {
	defer shaken(1)()
	var key K
	absent := func(name string, got V, ok bool) {
		var zero V
		if !ok && got != zero || ok && got != v {
			t.Errorf("%s = %v, %t", name, got, ok)
		}
	}
	rounds := testkit.Scale(3000, 500)
	testkit.Together(3, func(g int) {
		for i := range rounds {
			switch {
			case g == 0 && i%2 == 0:
				m.Store(key, v)
			case g == 0 && i%8 == 1:
				m.Clear()
			case g == 0:
				m.Delete(key)
			case g == 1 && i%16 == 0:
				got, ok := m.LoadAndDelete(key)
				absent("LoadAndDelete", got, ok)
			case g == 1 && i%16 == 8:
				got, loaded := m.Swap(key, v)
				absent("Swap", got, loaded)
			case g == 1 && i%4 == 1:
				got, err := m.Wait(doneCtx(), key)
				absent("Wait", got, err == nil)
			default:
				got, ok := m.Load(key)
				absent("Load", got, ok)
			}
			if i%32 == 0 {
				runtime.Gosched()
			}
		}
	})
}

// TestPublication: what was written before a store is seen after a Load of it.
// The race detector checks the edge, the values check the content.
func TestPublication(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, *[2]int]) {
		m := newMap()
		rounds := testkit.Scale(2000, 300)
		testkit.Together(2, func(g int) {
			for i := range rounds {
				if g == 0 {
					p := new([2]int)
					p[0], p[1] = i, -i
					m.Store(i, p)
					continue
				}
				var p *[2]int
				testkit.SpinUntil(func() bool { p, _ = m.Load(i); return p != nil })
				if p[0] != i || p[1] != -i {
					t.Errorf("torn: %v", *p)
				}
			}
		})
	})
}

// TestWideValuesAreNotTorn: values of many words are seen whole.
func TestWideValuesAreNotTorn(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, [9]int]) {
		m := newMap()
		fill := func(v int) (a [9]int) {
			for i := range a {
				a[i] = v
			}
			return a
		}
		m.Store(1, fill(0))
		rounds := testkit.Scale(4000, 500)
		testkit.Together(3, func(g int) {
			for i := range rounds {
				if g == 0 {
					m.Store(1, fill(i))
					continue
				}
				if v, ok := m.Load(1); !ok || v != fill(v[0]) {
					t.Errorf("torn: %v", v)
				}
			}
		})
	})
}
