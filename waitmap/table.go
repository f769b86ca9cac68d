package waitmap

import (
	"math/bits"
	"reflect"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
)

// A table holds the entries of one shard until a larger, smaller or cleaner table
// replaces it. An entry is in its home group or, if that is full, in one of the next
// reach groups. Every full group that it passed has metaOverflow set. A table never
// changes its shape, so a goroutine that sees a group that is not frozen, and locks it,
// works on the current table.
type table[K comparable] struct {
	first *group[K, wordCell]
	homes uint64
	reach uint64 // the distance from home at which an entry may be; so many groups follow the last home
	kind  cellKind

	_       [32]byte // readers' line above, writers' line below
	_       [0]atomic.Int64
	emptied int64 // atomic: groups that had entries and have none; not counted in small tables
}

// smallTable is the size below which a table does not shrink.
const smallTable = 16

func (t *table[K]) small() bool { return t.homes < smallTable }

func newTable[K comparable](kind cellKind, homes, reach int) *table[K] {
	return &table[K]{
		first: newGroups[K](kind, homes+reach, uint64(homes)),
		homes: uint64(homes),
		reach: uint64(reach),
		kind:  kind,
	}
}

// reachFor makes tables of all sizes about equally full, four fifths, when the first entry
// does not fit.
func reachFor(homes int) int { return max(0, bits.Len(uint(homes))*3-14) }

func (t *table[K]) groups() uint64 { return t.homes + t.reach }

func (t *table[K]) home(hash uint64) *group[K, wordCell] { return t.first.at(t.homeIndex(hash)) }

// homeIndex keeps the order of hashes, so a shard moves to its next table from left to
// right on both sides.
func (t *table[K]) homeIndex(hash uint64) uint64 { return hash >> 32 * t.homes >> 32 }

// hashesOf is the inverse of homeIndex: it returns the upper halves of the first and the
// last hash with this home.
func (t *table[K]) hashesOf(home uint64) (first, last uint32) {
	above := func(i uint64) uint64 { return (i<<32 + t.homes - 1) / t.homes }
	return uint32(above(home)), uint32(above(home+1) - 1)
}

// locate finds the key's slot, live or dead. While the key's home group is locked the
// result stays true.
func (t *table[K]) locate(key K, hash uint64) (at *group[K, wordCell], i int, live bool) {
	tags := tagOf(hash) * lowBytes
	for g := t.home(hash); ; g = g.at(1) {
		meta := atomic.LoadUint64(&g.meta)
		for m := match(meta|liveBits, tags); m != 0; m &= m - 1 {
			if i := slotIndex(m); i < used(meta) && g.slot(i).key == key {
				return g, i, meta&(m&-m) != 0
			}
		}
		if meta&metaOverflow == 0 {
			return nil, 0, false
		}
	}
}

// peek is load for callers that need the cell.
func (t *table[K]) peek(key K, hash uint64) (c cell, ok bool) {
	g, i, live := t.locate(key, hash)
	if !live {
		return c, false
	}
	schedpoint.At(schedpoint.MapFound)
	c = g.slot(i).cell.load(t.kind)
	schedpoint.At(schedpoint.MapRead)
	return c, atomic.LoadUint64(&g.meta)&(tagLive<<tagShift(i)) != 0 && (t.kind == cellWords || c.ptr != nil)
}

// insert puts an entry into a table that no other goroutine can see. It returns false if
// there is no room within reach.
func (t *table[K]) insert(key K, hash uint64, c cell) bool {
	g := t.home(hash)
	for range t.reach {
		if used(g.meta) < groupSlots {
			break
		}
		g.meta |= metaOverflow
		g = g.at(1)
	}
	i := used(g.meta)
	if i == groupSlots {
		return false
	}
	s := g.slot(i)
	s.key = key
	s.cell.init(t.kind, c)
	g.meta += metaUsed | tagOf(hash)<<tagShift(i)
	return true
}

// countEmptied counts a change of a group's meta word that emptied the group or filled it
// again. If it was emptied, countEmptied returns the number of groups that are empty now,
// or 1 in a small table.
func (t *table[K]) countEmptied(before, after uint64) int64 {
	switch {
	case before&liveBits != 0 && after&liveBits == 0:
		if t.small() {
			return 1
		}
		return atomic.AddInt64(&t.emptied, 1)
	case before&liveBits == 0 && after&liveBits != 0 && before&metaUsedMask != 0 && !t.small():
		atomic.AddInt64(&t.emptied, -1)
	}
	return 0
}

// sparse reports whether most groups that were filled hold only deleted entries, whose
// keys a smaller table would release. It looks each time that another sixteenth of the
// groups is empty.
func (t *table[K]) sparse(emptied int64, minimum int) bool {
	if t.small() || t.homes <= uint64(minimum) || emptied%int64(t.homes/smallTable) != 0 {
		return false
	}
	filled := int64(0)
	for i := range t.groups() {
		if used(atomic.LoadUint64(&t.first.at(i).meta)) > 0 {
			filled++
		}
	}
	return emptied > filled/2
}

// isLarge reports whether the key holds so much memory that its removal may have made the
// table worth dropping. No number of strings below a slot's share of the table does.
func isLarge[K comparable](kind keyMemory, key *K) bool {
	return kind == keysHoldUnknown ||
		kind == keysHoldBytes && len(keyString(*key))*groupSlots >= int(stride[K]())
}

// worthDropping reports whether a small table has no entries and so much memory of deleted
// keys that a new table costs less: as many bytes of strings as its own size, or other
// keys in a quarter of its slots. So the cost of new tables is a part of what the keys
// cost, and a small key that comes and goes costs no table. Larger tables become small
// first, see sparse.
func (t *table[K]) worthDropping(kind keyMemory) bool {
	if !t.small() {
		return false
	}
	var dead, bytes uint64
	for i := range t.groups() {
		g := t.first.at(i)
		meta := atomic.LoadUint64(&g.meta)
		if meta&liveBits != 0 {
			return false
		}
		dead += uint64(used(meta))
		for i := 0; kind == keysHoldBytes && i < used(meta); i++ {
			bytes += uint64(len(keyString(g.slot(i).key)))
		}
	}
	if kind == keysHoldBytes {
		return bytes >= t.groups()*uint64(stride[K]())
	}
	return 4*dead >= groupSlots*t.homes
}

// scan calls f for each entry, and reports whether f always returned true. If the table
// is replaced meanwhile, f sees what the table held until then.
func scan[K comparable, V any](t *table[K], kind cellKind, f func(K, V) bool) bool {
	for i := range t.groups() {
		g := t.first.at(i)
		for m := atomic.LoadUint64(&g.meta) & liveBits; m != 0; m &= m - 1 {
			s := g.slot(slotIndex(m))
			c := s.cell.load(kind)
			schedpoint.At(schedpoint.MapRead)
			if atomic.LoadUint64(&g.meta)&(m&-m) == 0 {
				continue
			}
			if v, ok := unpack[V](kind, c); ok && !f(s.key, v) {
				return false
			}
		}
	}
	return true
}

// keyMemory is the kind of memory that a key may hold in addition to its slot.
type keyMemory uint8

const (
	keysHoldNothing keyMemory = iota
	keysHoldBytes             // a string's
	keysHoldUnknown
)

func keyMemoryOf[K comparable]() keyMemory {
	switch t := reflect.TypeFor[K](); {
	case pointerFree(t):
		return keysHoldNothing
	case t.Kind() == reflect.String:
		return keysHoldBytes
	default:
		return keysHoldUnknown
	}
}
