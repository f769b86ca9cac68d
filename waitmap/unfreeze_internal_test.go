package waitmap

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUnfreezeGoesDown: a goroutine that finds its home unfrozen may go up from
// there and must not meet a frozen group: changeMeta and fill take it for an empty one.
func TestUnfreezeGoesDown(t *testing.T) {
	for range 20 {
		table := newTable[int](cellWords, 1<<14, 8)
		table.freeze()
		bottom, top := table.first, table.first.at(table.groups()-1)
		go table.unfreeze()
		for atomic.LoadUint64(&bottom.meta)&metaFrozen != 0 {
			runtime.Gosched()
		}
		require.Zero(t, atomic.LoadUint64(&top.meta)&metaFrozen, "home is free, a later group is frozen")
	}
}

// TestDropLooksAgain: an entry that came between the look and the freeze keeps
// its table, which goes on as before.
func TestDropLooksAgain(t *testing.T) {
	m := New[string, int](&Options[string]{Shards: 1})
	m.Store("a", 1)
	s := &m.init().shards[0]
	old := s.table.Load()
	s.dropTable(old)
	require.Same(t, old, s.table.Load())
	m.Store("b", 2)
	v, ok := m.Load("a")
	require.True(t, ok)
	require.Equal(t, 1, v)
	requireInvariants(t, m)

	m.Delete("a")
	m.Delete("b")
	f := m.Register("c", nil) // a line without a table
	s.dropTable(s.table.Load())
	require.Same(t, s.emptyTable, s.table.Load())
	m.Store("c", 3)
	v, done, err := f.Result()
	require.True(t, done)
	require.NoError(t, err)
	require.Equal(t, 3, v)
	requireInvariants(t, m)
}
