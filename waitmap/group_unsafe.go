package waitmap

import (
	"sync/atomic"
	"unsafe"
)

// newGroups allocates n groups with cells of the kind, behind a header: one more group,
// whose meta word holds the number of homes.
func newGroups[K comparable](kind cellKind, n int, homes uint64) *group[K, wordCell] {
	var header unsafe.Pointer
	switch padded := stride[K]() == twoLines; {
	case kind == cellWords && padded:
		header = unsafe.Pointer(&make([]paddedGroup[K, wordCell], n+1)[0])
	case kind == cellWords:
		header = unsafe.Pointer(&make([]group[K, wordCell], n+1)[0])
	case padded:
		header = unsafe.Pointer(&make([]paddedGroup[K, pointerCell], n+1)[0])
	default:
		header = unsafe.Pointer(&make([]group[K, pointerCell], n+1)[0])
	}
	g := (*group[K, wordCell])(header)
	g.meta = homes
	return g.at(1)
}

// A paddedGroup fills two cache lines if its keys have eight bytes or less.
type paddedGroup[K comparable, C wordCell | pointerCell] struct {
	group[K, C]
	_ [8]byte
}

const twoLines = 128

// stride returns the distance between groups. It includes padding if eight bytes of it
// keep groups from sharing cache lines.
func stride[K comparable]() uintptr {
	if unsafe.Sizeof(paddedGroup[K, wordCell]{}) == twoLines {
		return twoLines
	}
	return unsafe.Sizeof(group[K, wordCell]{})
}

// at returns the i-th group after g.
func (g *group[K, C]) at(i uint64) *group[K, C] {
	return (*group[K, C])(unsafe.Add(unsafe.Pointer(g), uintptr(i)*stride[K]()))
}

// touch makes the processor fetch the last cache line of the group while it waits for the
// first one.
func (g *group[K, C]) touch() {
	atomic.LoadUint64((*uint64)(unsafe.Add(unsafe.Pointer(g), unsafe.Sizeof(*g)-8)))
}

// slot returns &g.slots[i] for an i that is known to be below groupSlots.
func (g *group[K, C]) slot(i int) *slot[K, C] {
	return (*slot[K, C])(unsafe.Add(unsafe.Pointer(&g.slots), uintptr(i)*unsafe.Sizeof(g.slots[0])))
}
