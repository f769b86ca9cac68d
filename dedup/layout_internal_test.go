package dedup

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestLayout: a flight of a string and a word fits into the allocator's class of
// 128 bytes, a backgroundFlight into that of 240, and an entry into that of 48. A byte more costs a load 16 to 32. Shards have cache lines of
// their own.
func TestLayout(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	require.LessOrEqual(t, unsafe.Sizeof(flight[string, int]{}), uintptr(128))
	require.LessOrEqual(t, unsafe.Sizeof(backgroundFlight[string, int]{}), uintptr(240))
	require.LessOrEqual(t, unsafe.Sizeof(entry[int]{}), uintptr(48))
	require.EqualValues(t, 64, unsafe.Sizeof(shard[string, int]{}))
}
