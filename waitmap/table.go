package waitmap

import (
	"math/bits"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/yield"
)

// A table holds the entries of one shard until a larger, smaller or cleaner
// one replaces it. An entry lies in its home group or, if that is full, in one
// of the next reach groups; every full group that it passed has metaOverflow
// set. A table never changes its shape: whoever sees a group that is not
// frozen, and locks it, works on the current table.
type table[K comparable] struct {
	first *group[K, wordCell]
	homes uint64
	reach uint64 // how far from home an entry may lie; so many groups follow the last home
	kind  cellKind

	_       [32]byte     // readers' line above, writers' line below
	emptied atomic.Int64 // groups that had entries and have none
}

func newTable[K comparable](kind cellKind, homes, reach int) *table[K] {
	return &table[K]{
		first: newGroups[K](kind, homes+reach, uint64(homes)),
		homes: uint64(homes),
		reach: uint64(reach),
		kind:  kind,
	}
}

// reachFor gives tables of all sizes about the same load, four fifths, when
// the first entry does not fit.
func reachFor(homes int) int { return max(0, bits.Len(uint(homes))*3-14) }

func (t *table[K]) groups() uint64 { return t.homes + t.reach }

func (t *table[K]) home(hash uint64) *group[K, wordCell] { return t.first.at(t.homeIndex(hash)) }

// homeIndex keeps the order of hashes: a shard moves to its next table from
// left to right on both sides.
func (t *table[K]) homeIndex(hash uint64) uint64 { return hash >> 32 * t.homes >> 32 }

// hashesOf is homeIndex's inverse: the upper halves of the hashes at home
// there, from the first to the last.
func (t *table[K]) hashesOf(home uint64) (first, last uint32) {
	above := func(i uint64) uint64 { return (i<<32 + t.homes - 1) / t.homes }
	return uint32(above(home)), uint32(above(home+1) - 1)
}

// locate finds the key's slot, live or dead. Under the lock of the key's home
// the answer stays true.
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

// peek is Load for those who must know the cell.
func (t *table[K]) peek(key K, hash uint64) (c cell, ok bool) {
	g, i, live := t.locate(key, hash)
	if !live {
		return c, false
	}
	yield.At(yield.MapFound)
	c = g.slot(i).cell.load(t.kind)
	yield.At(yield.MapRead)
	return c, atomic.LoadUint64(&g.meta)&(tagLive<<tagShift(i)) != 0 && (t.kind == cellWords || c.ptr != nil)
}

// insert puts an entry into a table that nobody else can see. It reports
// whether there was room within reach.
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

// add writes an entry into the first free slot of a locked group, and returns
// the meta word that publishes it.
func (t *table[K]) add(g *group[K, wordCell], meta uint64, key K, hash uint64, c cell) uint64 {
	i := used(meta)
	s := g.slot(i)
	s.key = key
	s.cell.store(t.kind, c) // atomic because touch may read it
	return meta + metaUsed + tagOf(hash)<<tagShift(i)
}

// countEmptied notes that a change of a group's meta word emptied it, or
// filled it again. In the first case it returns how many groups are empty now.
func (t *table[K]) countEmptied(before, after uint64) int64 {
	switch {
	case before&liveBits != 0 && after&liveBits == 0:
		return t.emptied.Add(1)
	case before&liveBits == 0 && after&liveBits != 0 && before&metaUsedMask != 0:
		t.emptied.Add(-1)
	}
	return 0
}

// sparse reports whether most groups that were filled hold only deleted
// entries, whose keys a smaller table would let go. It looks each time that
// another sixteenth of the groups is empty.
func (t *table[K]) sparse(emptied int64, minimum int) bool {
	step := int64(t.homes / 16)
	if t.homes <= uint64(minimum) || step == 0 || emptied%step != 0 {
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

// heavy reports whether the removal of the key may have spent its table: of
// strings that take less than a slot's share of the table no number does.
func heavy[K comparable](kind keyMemory, key *K) bool {
	return kind == keysHoldUnknown ||
		kind == keysHoldBytes && len(keyString(*key))*groupSlots >= int(stride[K]())
}

// spent reports whether a small table has no entries and so much memory of deleted
// keys that a new table costs less: as many bytes of strings as it has itself, or
// other keys in a quarter of its slots. So the cost of new tables is a part of
// what the keys cost, and a small key that alternates costs no table. Larger tables
// become small first, see sparse.
func (t *table[K]) spent(emptied int64, kind keyMemory) bool {
	if t.homes >= 16 {
		return false
	}
	var filled, dead, bytes uint64
	for i := range t.groups() {
		g := t.first.at(i)
		meta := atomic.LoadUint64(&g.meta)
		if meta&liveBits != 0 {
			return false
		}
		filled += min(1, uint64(used(meta)))
		dead += uint64(used(meta))
		for i := 0; kind == keysHoldBytes && i < used(meta); i++ {
			bytes += uint64(len(keyString(g.slot(i).key)))
		}
	}
	if uint64(emptied) != filled {
		return false
	}
	if kind == keysHoldBytes {
		return bytes >= t.groups()*uint64(stride[K]())
	}
	return 4*dead >= groupSlots*t.homes
}

// scan calls f for each entry and reports whether f always returned true. If
// the table is replaced meanwhile, what it held until then is what f sees.
func scan[K comparable, V any](t *table[K], kind cellKind, f func(K, V) bool) bool {
	for i := range t.groups() {
		g := t.first.at(i)
		for m := atomic.LoadUint64(&g.meta) & liveBits; m != 0; m &= m - 1 {
			s := g.slot(slotIndex(m))
			c := s.cell.load(kind)
			yield.At(yield.MapRead)
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
