package waitmap

import (
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/yield"
)

// A grip is the fast half of every write: a locked home that nobody waits at
// and that tells all about the key. Whatever is not so simple is a spot's.
type grip[K comparable] struct {
	t    *table[K]
	home *group[K, wordCell]
	meta uint64 // of home, before it was locked
	mark uint64 // the live bit of the key's slot; 0 if it never had one
}

// grab locks the key's home if that can be done at once. Else, and if the
// home does not tell, ok is false and nothing is locked.
func (e *engine[K, V]) grab(key K, hash uint64) (g grip[K], ok bool) {
	g.t = e.shard(hash).table.Load()
	g.home = g.t.home(hash)
	g.home.touch()
	g.meta = atomic.LoadUint64(&g.home.meta)
	if g.meta&(metaLocked|metaFrozen|metaLines) != 0 ||
		!atomic.CompareAndSwapUint64(&g.home.meta, g.meta, g.meta|metaLocked) {
		return g, false
	}
	yield.At(yield.MapGrabbed)
	for m := match(g.meta|liveBits, tagOf(hash)*lowBytes); m != 0; m &= m - 1 {
		if i := slotIndex(m); i < used(g.meta) && g.home.slot(i).key == key {
			g.mark = m & -m
			return g, true
		}
	}
	if g.meta&metaOverflow != 0 {
		g.letGo()
		return g, false
	}
	return g, true
}

func (g grip[K]) live() bool { return g.meta&g.mark != 0 }

// takers reports whether somebody in Take may be in line. A home with lines
// is never gripped.
func (g grip[K]) takers() bool { return g.meta&metaTakers != 0 }

func (g grip[K]) cell() *wordCell { return &g.home.slot(slotIndex(g.mark)).cell }

// letGo unlocks a home that is as it was.
func (g grip[K]) letGo() { setGroup(g.home, g.meta) }

// valueAt is the entry's value; it must be live.
func (e *engine[K, V]) valueAt(g grip[K]) V {
	v, _ := unpack[V](e.cells, g.cell().load(e.cells))
	return v
}

// set stores the value and unlocks. It reports false, having only unlocked, if
// home is full.
func (e *engine[K, V]) set(g grip[K], key K, hash uint64, c cell) bool {
	next := g.meta | g.mark
	switch {
	case g.mark != 0:
		g.cell().store(e.cells, c)
	case used(g.meta) < groupSlots:
		next = g.t.add(g.home, g.meta, key, hash, c)
	default:
		g.letGo()
		return false
	}
	if next == g.meta {
		g.letGo()
		return true
	}
	g.t.countEmptied(g.meta, next)
	yield.At(yield.MapWritten)
	setGroup(g.home, next)
	e.count(1)
	return true
}

// unset deletes the entry, which must be live, and unlocks.
func (e *engine[K, V]) unset(g grip[K], hash uint64) {
	next := g.meta &^ g.mark
	if e.cells != cellWords {
		g.cell().store(e.cells, cell{})
	}
	emptied := g.t.countEmptied(g.meta, next)
	yield.At(yield.MapWritten)
	setGroup(g.home, next)
	e.count(-1)
	e.shard(hash).shrink(e, g.t, emptied, &g.home.slot(slotIndex(g.mark)).key)
}
