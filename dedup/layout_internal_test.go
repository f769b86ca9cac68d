package dedup

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestLayout: a flight of a string and a word fits into the allocator's class of
// 256 bytes, an entry into that of 48. A byte more costs a load 32 and 16.
func TestLayout(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	require.LessOrEqual(t, unsafe.Sizeof(flight[string, int]{}), uintptr(256))
	require.LessOrEqual(t, unsafe.Sizeof(entry[int]{}), uintptr(48))
}
