package waitmap

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// A group is the unit of lookup and of locking: one meta word and the slots
// that it describes.
//
// The meta word:
//
//	bits   name      meaning
//	0      locked    somebody changes the group
//	1      frozen    the shard's table is being replaced; set for good
//	2      overflow  an entry whose home is here or below lies further up
//	3      lines     a line of waiters (or a hold) may exist for a key whose
//	                 home is here: may be set in vain, must not be missing
//	4..6   used      slots that were ever filled in this table's life
//	7      takers    a hint: one of the lines may have somebody in Take
//	8..63  tags      a byte per slot: bit 7 live, bits 0..6 of the key's hash
//
// Only the holder of locked changes the word, but for lines and takers: they
// are set by a single compare-and-swap. It is stored once per change,
// with locked cleared: that store publishes the change (its partner is the
// load in table.find) and unlocks at the same time.
//
// A slot's key is written once in a table's life, before its tag appears, so
// whoever saw the tag may read the key. A delete clears only the live bit; the
// slot waits for the same key to return or for the next table.
const (
	metaLocked   uint64 = 1 << 0
	metaFrozen   uint64 = 1 << 1
	metaOverflow uint64 = 1 << 2
	metaLines    uint64 = 1 << 3
	metaUsed     uint64 = 1 << 4 // one slot
	metaUsedMask uint64 = 7 << 4
	metaTakers   uint64 = 1 << 7

	groupSlots = 7
	lowBytes   = 0x0101010101010100 // the lowest bit of every tag
	liveBits   = 0x8080808080808080 &^ 0xff
	tagLive    = 0x80
)

// A slot's value is a cell of 64 bits: the value itself if it has no pointers
// and fits (cellWords), a pointer that is the value (cellPointers), or a
// pointer to a copy of the value (cellBoxes). A nil pointer is no value.
type slot[K comparable, C wordCell | pointerCell] struct {
	key  K
	cell C
}

type group[K comparable, C wordCell | pointerCell] struct {
	_     [0]atomic.Uint64 // 64-bit alignment on 32-bit machines
	meta  uint64
	slots [groupSlots]slot[K, C]
}

// The two kinds of cell have one layout and differ in what the garbage
// collector sees.
type wordCell struct {
	_    [0]atomic.Uint64
	bits uint64
}

type pointerCell struct {
	_    [0]atomic.Uint64
	ptrs [8 / unsafe.Sizeof(uintptr(0))]unsafe.Pointer // the first is used
}

// tagOf takes the tag from the hash's lowest bits, which neither the shard nor
// the home depend on.
func tagOf(hash uint64) uint64 { return hash&0x7f | tagLive }

// match returns the high bit of every slot whose tag is the one in tags. It may
// also mark a tag^1 above a true match, so the key decides; a tag with bit 7
// marks live slots only.
func match(meta, tags uint64) uint64 {
	x := meta ^ tags // the flags' byte is no tag; liveBits leaves it out
	return (x - lowBytes) &^ x & liveBits
}

// slotIndex is the slot of the lowest mark.
func slotIndex(mark uint64) int { return bits.TrailingZeros64(mark)>>3 - 1 }

func tagShift(i int) int { return i<<3 + 8 }

func used(meta uint64) int { return int(meta & metaUsedMask / metaUsed) }

func liveCount(meta uint64) int { return bits.OnesCount64(meta & liveBits) }
