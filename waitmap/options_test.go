package waitmap_test

import (
	"math"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

func TestNegativeOptionsPanic(t *testing.T) {
	for field, o := range map[string]waitmap.Options[int]{
		"Capacity": {Capacity: -1},
		"Shards":   {Shards: -8},
	} {
		text := panicText(t, func() { waitmap.New[int, int](&o) })
		require.Contains(t, text, "waitmap: ")
		require.Contains(t, text, field)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []*waitmap.Options[int]{
		nil,
		{},
		{Capacity: 1},
		{Capacity: 10_000},
		{Shards: 1},
		{Shards: 3},
		{Shards: 1000},
		{Shards: 64, Capacity: 1},
		{Capacity: 7, Shards: 7, Hash: goodHash[int]},
	} {
		m := waitmap.New[int, int](o)
		for i := range 1000 {
			m.Store(i, i)
			m.Register(-1-i, nil)
		}
		require.Equal(t, 1000, m.Len())
		require.Equal(t, 1000, m.CancelAll())
		for i := range 1000 {
			v, ok := m.Load(i)
			require.True(t, ok)
			require.Equal(t, i, v)
		}
	}
}

// TestOptionsAreCopied: changing them afterwards changes nothing.
func TestOptionsAreCopied(t *testing.T) {
	o := waitmap.Options[int]{Hash: goodHash[int]}
	m := waitmap.New[int, int](&o)
	m.Store(1, 1)
	o.Hash = func(int, uint64) uint64 { panic("not yours") }
	o.Shards, o.Capacity = -1, -1
	for i := range 1000 {
		m.Store(i, i)
	}
	require.Equal(t, 1000, m.Len())
}

// TestHashSeed: the seed is one per map, the same on every call, and two maps
// do not share it.
func TestHashSeed(t *testing.T) {
	seedsOf := func() map[uint64]bool {
		var mu sync.Mutex
		seeds := make(map[uint64]bool)
		m := waitmap.New[int, int](&waitmap.Options[int]{Hash: func(k int, seed uint64) uint64 {
			mu.Lock()
			defer mu.Unlock()
			seeds[seed] = true
			return uint64(k) * 0x9E3779B97F4A7C15
		}})
		for i := range 1000 {
			m.Store(i, i)
			m.Register(-1-i, nil).Stop()
			m.Load(i)
		}
		return seeds
	}
	all := make(map[uint64]bool)
	for range 8 {
		seeds := seedsOf()
		require.Len(t, seeds, 1)
		for s := range seeds {
			all[s] = true
		}
	}
	require.Greater(t, len(all), 1)
}

// TestHashArguments: the hash sees the key that was passed.
func TestHashArguments(t *testing.T) {
	calls := 0
	m := waitmap.New[string, int](&waitmap.Options[string]{Hash: func(k string, _ uint64) uint64 {
		calls++
		require.Equal(t, "only", k)
		return 42
	}})
	m.Store("only", 1)
	v, ok := m.Load("only")
	require.True(t, ok)
	require.Equal(t, 1, v)
	require.NotZero(t, calls)
}

// TestCapacityThatCannotBe panics and says so, whatever overflows on the way.
func TestCapacityThatCannotBe(t *testing.T) {
	const text = "waitmap: Options.Capacity is more than a table can have"
	for _, capacity := range []int{math.MaxInt, math.MaxInt/2 + 1, math.MaxInt / 35 * 8, math.MaxInt / 4} {
		for _, shards := range []int{1, 2} {
			require.Contains(t, panicText(t, func() {
				waitmap.New[[64]int, int](&waitmap.Options[[64]int]{Capacity: capacity, Shards: shards})
			}), text)
		}
	}
	require.Contains(t, panicText(t, func() {
		waitmap.New[int, int](&waitmap.Options[int]{Capacity: math.MaxInt, Shards: 1})
	}), text)
}

// TestMostShards: beyond them there are no more, and all ways to a key's shard
// agree.
func TestMostShards(t *testing.T) {
	for _, shards := range []int{1 << 16, math.MaxInt} {
		findAll(t, shards, func(i int) int { return i })
		findAll(t, shards, strconv.Itoa)
		findAll(t, shards, func(i int) [2]int { return [2]int{i, i} })
	}
}

func findAll[K comparable](t *testing.T, shards int, key func(int) K) {
	m := waitmap.New[K, int](&waitmap.Options[K]{Shards: shards})
	const n = 500 // of the shards, each with a table
	for i := range n {
		m.Store(key(i), i)
	}
	for i := range n {
		v, ok := m.Load(key(i))
		require.True(t, ok)
		require.Equal(t, i, v)
	}
	require.Len(t, contents(t, m), n)
}
