package waitmap_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// A meeting lets two goroutines begin a round at the same instant.
type meeting struct{ a, b atomic.Int64 }

func (m *meeting) first(round int)  { m.a.Store(int64(round)); spinHot(&m.b, round) }
func (m *meeting) second(round int) { m.b.Store(int64(round)); spinHot(&m.a, round) }

func spinHot(x *atomic.Int64, round int) {
	for i := 0; x.Load() < int64(round); i++ {
		if i%1000 == 999 {
			testkit.SpinUntil(func() bool { return x.Load() >= int64(round) })
		}
	}
}

// TestPanickingHashInGrowth: a Hash that panics while the table grows leaves
// everything as it was: entries, waiters, and nothing locked or frozen.
func TestPanickingHashInGrowth(t *testing.T) {
	var bad atomic.Bool
	m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 1, Hash: func(k int, _ uint64) uint64 {
		if k == 0 && bad.Load() {
			panic("bad hash")
		}
		return goodHash(k, 0)
	}})
	m.Store(0, 0)
	w := m.Register(-1, nil)
	bad.Store(true)
	k := 1
	for recovered(func() { m.Store(k, k) }) == nil {
		k++
	}
	for i := 1; i < k; i++ { // the table stays in use
		m.Store(i, -i)
		v, ok := m.Load(i)
		require.True(t, ok)
		require.Equal(t, -i, v)
	}
	_, ok := m.Load(k)
	require.False(t, ok)
	require.Equal(t, k, m.Len())
	require.Panics(t, func() { m.Store(k, k) }, "again")
	requireUndone(t, w)
	require.Equal(t, 1, m.Waiters(-1))
	bad.Store(false)
	m.Store(k, k)
	m.Store(-1, 1)
	requireResult(t, w, 1, nil)
	require.Equal(t, k+2, m.Len())
}

// TestLateLine: a store that looked at its home before the line was opened,
// and locks it after, delivers to the line.
func TestLateLine(t *testing.T) {
	rounds := testkit.Scale(20_000, 5_000)
	m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 1, Capacity: 2 * rounds})
	var meet meeting
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; i <= rounds; i++ {
			meet.first(i)
			m.Store(i, i)
		}
	}()
	futures := make([]*waitmap.Future[int], rounds+1)
	for i := 1; i <= rounds; i++ {
		meet.second(i)
		futures[i] = m.Register(i, nil)
	}
	<-done
	for i := 1; i <= rounds; i++ {
		requireResult(t, futures[i], i, nil)
	}
	requireIdle(t, m)
}

// TestSecondStoreReturnsAfterTheFirstServed: a store that overtakes another
// one still finds all waiters done, whichever store delivers to them.
func TestSecondStoreReturnsAfterTheFirstServed(t *testing.T) {
	const waiters = 2000
	for range testkit.Scale(100, 30) {
		m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 1})
		var fs []*waitmap.Future[int]
		for range waiters {
			fs = append(fs, m.Register(1, nil))
		}
		done := make(chan struct{})
		go func() { defer close(done); m.Store(1, 1) }()
		for i := 0; ; i++ {
			if _, ok := m.Load(1); ok {
				break
			}
		}
		m.Store(1, 2) // the first one's value is there, so its line is taken
		_, served, _ := fs[waiters-1].Result()
		<-done
		require.True(t, served)
		v, _, _ := fs[waiters-1].Result()
		require.Equal(t, 1, v)
	}
}
