package waitmap

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// requireInvariants checks what must hold when no goroutine uses the map.
func requireInvariants[K comparable, V any](t *testing.T, m *Map[K, V]) {
	t.Helper()
	e := m.init()
	live := 0
	for i := range e.shards {
		s := &e.shards[i]
		table, lines := s.table.Load(), 0
		for l := range s.lines.each {
			lines++
			if _, there := m.Load(l.key); there {
				require.Zero(t, l.takers, "takers in line of a key that has a value")
			}
			if table != s.emptyTable {
				require.NotZero(t, table.home(uint64(l.hash)<<32).meta&metaLines, "a line whose home does not tell")
			}
		}
		require.Equal(t, lines, s.lines.n)
		if table != s.emptyTable {
			live += requireTable(t, table)
		}
	}
	require.EqualValues(t, live, e.len())
}

func requireTable[K comparable](t *testing.T, table *table[K]) (live int) {
	t.Helper()
	emptied := int64(0)
	for i := range table.groups() {
		meta := table.first.at(i).meta
		require.Zero(t, meta&(metaLocked|metaFrozen))
		live += liveCount(meta)
		if used(meta) > 0 && meta&liveBits == 0 {
			emptied++
		}
	}
	if table.small() {
		emptied = 0 // not counted
	}
	require.Equal(t, emptied, atomic.LoadInt64(&table.emptied), "groups that were emptied")
	return live
}

// TestHomesOfHashes: hashesOf is homeIndex's inverse.
func TestHomesOfHashes(t *testing.T) {
	for _, homes := range []int{1, 2, 3, 5, 7, 12, 100, 1<<16 - 1} {
		table := newTable[int](cellWords, homes, 0)
		next := uint64(0)
		for i := range uint64(homes) {
			first, last := table.hashesOf(i)
			require.Equal(t, next, uint64(first), "%d of %d homes", i, homes)
			require.Equal(t, i, table.homeIndex(uint64(first)<<32))
			require.Equal(t, i, table.homeIndex(uint64(last)<<32))
			next = uint64(last) + 1
		}
		require.Equal(t, uint64(1<<32), next)
	}
}

// TestInvariants after random writes, waits and clears by several goroutines.
func TestInvariants(t *testing.T) {
	for round := range reps(20) {
		m := New[int, int](crowded(round))
		var crowd sync.WaitGroup
		for seed := range uint64(3) {
			random := rand.New(rand.NewPCG(seed, uint64(round)))
			crowd.Go(func() {
				for i := range 5000 {
					anything(m, random, i)
				}
			})
		}
		crowd.Wait()
		require.Zero(t, m.CancelAll())
		requireInvariants(t, m)
	}
}

func anything(m *Map[int, int], random *rand.Rand, i int) {
	k := random.IntN(300)
	switch random.IntN(14) {
	case 0, 1, 2, 3:
		m.Store(k, i)
	case 4, 5, 6:
		m.Delete(k)
	case 7:
		m.LoadOrStore(k, i)
	case 8:
		f := m.Register(k, nil)
		runtime.Gosched()
		f.Stop()
	case 9:
		m.Compute(k, func(old int, _ bool) (int, Op) { return old, Op(i % 3) })
	case 10:
		CompareAndDelete(m, k, i-1)
	case 11:
		waitq.Select(endingContext(), []wake.Case{m.OnTake(k, nil), m.OnStore(k+1, nil)})
	case 12:
		m.Take(endingContext(), k)
	default:
		if i%50 == 0 {
			m.Clear()
		}
	}
}

func endingContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go cancel()
	return ctx
}

// crowded are options under which keys collide.
func crowded(round int) *Options[int] {
	o := &Options[int]{Shards: 1 << (round % 3)}
	if round%2 == 1 {
		o.Hash = func(k int, _ uint64) uint64 { return uint64(k % 7) }
	}
	return o
}

// TestStressHandOver stores under keys with a taker in line, while their
// tables are replaced and cleared: each value reaches its taker, and no other goroutine
// sees it.
func TestStressHandOver(t *testing.T) {
	for round := range reps(8) {
		m := New[int, int](crowded(round))
		var stop atomic.Bool
		var churn, players sync.WaitGroup
		churn.Go(func() {
			for i := 0; !stop.Load(); i++ {
				m.Store(100+i%300, i)
				m.Delete(100 + rand.IntN(300))
				if i%100 == 0 {
					m.Clear()
					runtime.Gosched()
				}
			}
		})
		for key := range 3 {
			players.Go(func() {
				for i := range 500 {
					handOver(t, m, key, i)
				}
			})
		}
		players.Wait()
		stop.Store(true)
		churn.Wait()
		requireInvariants(t, m)
	}
}

func handOver(t *testing.T, m *Map[int, int], key, i int) {
	taken := make(chan int, 1)
	go func() {
		v, _ := m.Take(context.Background(), key)
		taken <- v
	}()
	for m.Waiters(key) == 0 {
		runtime.Gosched()
	}
	if i%2 == 0 {
		m.Store(key, i)
	} else {
		m.Compute(key, func(int, bool) (int, Op) { return i, StoreOp })
	}
	if v := <-taken; v != i {
		t.Errorf("key %d: %d instead of %d", key, v, i)
	}
	if _, ok := m.Load(key); ok {
		t.Errorf("key %d: what was taken is visible", key)
	}
}

// reps is how often a stress test is repeated.
func reps(n int) int {
	if testing.Short() {
		return max(n/8, 2)
	}
	return n
}
