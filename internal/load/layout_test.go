package load

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestLayout: a Context fits into the allocator's class of 32 bytes. It is what most
// loads allocate.
func TestLayout(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	require.LessOrEqual(t, unsafe.Sizeof(Context{}), uintptr(32))
}
