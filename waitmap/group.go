package waitmap

import (
	"math/bits"
	"runtime"
	"sync/atomic"
)

// The meta word of a group:
//
//	bits   name      meaning
//	0      locked    a goroutine changes the group
//	1      frozen    the shard's table is being replaced; permanent
//	2      overflow  an entry whose home is here or below is in a later group
//	3      lines     a key whose home is here may have a line; may be set
//	                 without need, must not be missing
//	4..6   used      slots that were ever filled in this table
//	7      -         not used
//	8..63  tags      a byte per slot: bit 7 live, bits 0..6 of the key's hash
//
// Only the holder of locked changes the word, except that lines is set by a single
// compare-and-swap. The word is stored once per change, with locked cleared. That store
// publishes the change and unlocks at the same time. Its partners are the loads in
// Map.load, table.locate and scan.
//
// A slot's key is written once in the life of a table, before its tag appears, so a
// goroutine that has seen the tag may read the key. A delete clears only the live bit;
// the slot waits for the same key to return or for the next table.
const (
	metaLocked   uint64 = 1 << 0
	metaFrozen   uint64 = 1 << 1
	metaOverflow uint64 = 1 << 2
	metaLines    uint64 = 1 << 3
	metaUsed     uint64 = 1 << 4 // one slot
	metaUsedMask uint64 = 7 << 4

	groupSlots = 7
	lowBytes   = 0x0101010101010100 // the lowest bit of every tag
	liveBits   = 0x8080808080808080 &^ 0xff
	tagLive    = 0x80
)

// A slot's value is a cell of 64 bits: the value itself if it has no pointers and fits
// (cellWords), a pointer that is the value (cellPointers), or a pointer to a copy of the
// value (cellBoxes). A nil pointer is no value.
type slot[K comparable, C wordCell | pointerCell] struct {
	key  K
	cell C
}

// A group is the unit of lookup and of locking: a meta word and the slots that it
// describes.
type group[K comparable, C wordCell | pointerCell] struct {
	_     [0]atomic.Uint64 // 64-bit alignment on 32-bit machines
	meta  uint64
	slots [groupSlots]slot[K, C]
}

// tagOf returns the tag, of the lowest bits of the hash, on which neither the shard nor
// the home depends.
func tagOf[H uint64](hash H) H { return hash&0x7f | tagLive }

// match returns the high bit of every live slot whose tag is the one in tags. It may
// also mark a tag^1 above a true match, so the caller compares the keys.
//
// A byte of meta^tags is zero where the tags are equal. Subtracting one from it sets its
// high bit, and that of bytes above 0x80, but their slots are dead, because every tag in
// tags has the live bit. The byte of the flags is no tag; liveBits leaves it out.
func match[M uint64](meta, tags M) M {
	return (meta ^ tags - lowBytes) & meta & liveBits
}

// slotIndex returns the slot of the lowest mark.
func slotIndex(mark uint64) int { return bits.TrailingZeros64(mark)>>3 - 1 }

func tagShift(i int) int { return i<<3 + 8 }

func used(meta uint64) int { return int(meta & metaUsedMask / metaUsed) }

func liveCount(meta uint64) int { return bits.OnesCount64(meta & liveBits) }

// spinLimit is how often to look, about 1 ns each, before giving up the processor. A
// group is locked for some tens of nanoseconds, which is less than that costs.
const spinLimit = 1<<8 - 1

// lockGroup locks g and returns its meta word, or false if g is frozen.
func lockGroup[K comparable](g *group[K, wordCell]) (meta uint64, ok bool) {
	for spins := 0; ; spins++ {
		meta = atomic.LoadUint64(&g.meta)
		switch {
		case meta&metaFrozen != 0:
			return 0, false
		case meta&metaLocked == 0 && atomic.CompareAndSwapUint64(&g.meta, meta, meta|metaLocked):
			return meta, true
		case spins&spinLimit == spinLimit:
			runtime.Gosched() // the holder may need this processor
		}
	}
}

// setGroup publishes a locked group's new meta word and unlocks it.
func setGroup[K comparable](g *group[K, wordCell], meta uint64) { atomic.StoreUint64(&g.meta, meta) }

// announce sets metaLines, or returns false if g is frozen. If a locked group has the
// bit already, the holder of the lock has seen it.
func announce[K comparable](g *group[K, wordCell]) bool {
	for spins := 0; ; spins++ {
		meta := atomic.LoadUint64(&g.meta)
		switch {
		case meta&metaFrozen != 0:
			return false
		case meta&metaLines != 0:
			return true
		case meta&metaLocked == 0 && atomic.CompareAndSwapUint64(&g.meta, meta, meta|metaLines):
			return true
		case spins&spinLimit == spinLimit:
			runtime.Gosched() // the holder may need this processor
		}
	}
}

// addEntry writes an entry into the first free slot of a locked group, and returns
// the meta word that publishes it.
func addEntry[K comparable](kind cellKind, g *group[K, wordCell], meta uint64, key K, hash uint64, c cell) uint64 {
	i := used(meta)
	s := g.slot(i)
	s.key = key
	s.cell.store(kind, c) // atomic because touch may read it
	return meta + metaUsed + tagOf(hash)<<tagShift(i)
}
