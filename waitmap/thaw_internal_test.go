package waitmap

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestThawGoesDown: who finds its home thawed may go up from there and must
// not meet a frozen group: change and fill take it for an empty one.
func TestThawGoesDown(t *testing.T) {
	for range 20 {
		table := newTable[int](cellWords, 1<<14, 8)
		table.freeze()
		bottom, top := table.first, table.first.at(table.groups()-1)
		go table.thaw()
		for atomic.LoadUint64(&bottom.meta)&metaFrozen != 0 {
			runtime.Gosched()
		}
		require.Zero(t, atomic.LoadUint64(&top.meta)&metaFrozen, "home is free, a later group is frozen")
	}
}
