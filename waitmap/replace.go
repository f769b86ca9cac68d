package waitmap

import (
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
)

// reserve makes room for the number of entries.
func (s *shard[K, V]) reserve(e *engine[K, V], entries int) {
	if entries == 0 {
		return
	}
	homes := homesFor[K](entries, s.minimum)
	s.install(newTable[K](e.cells, homes, reachFor(homes)))
}

// replace moves the shard from old to a table that fits its live entries. It does nothing
// if old was replaced already.
func (s *shard[K, V]) replace(e *engine[K, V], old *table[K], crowded bool) {
	s.growing.Lock()
	defer s.growing.Unlock()
	if s.table.Load() != old {
		return
	}
	if old == s.emptyTable {
		s.install(newTable[K](e.cells, s.minimum, reachFor(s.minimum)))
		return
	}
	s.rebuild(old, func(live, dead int) *table[K] {
		homes, reach := s.shape(old, live, dead, crowded)
		for {
			fresh := newTable[K](e.cells, homes, reach)
			if old.move(&e.hasher, fresh) {
				return fresh
			}
			homes, reach = homes+homes/2, reach*2+1 // rare: fuller in one place than old
		}
	})
}

// shrink replaces t if the removal that emptied a group, and made emptied the number of
// empty groups, left too few entries, or drops it if it left only the keys of deleted ones.
func (s *shard[K, V]) shrink(e *engine[K, V], t *table[K], emptied int64, key *K) {
	switch {
	case emptied == 0:
	case t.sparse(emptied, s.minimum):
		s.replace(e, t, false)
	case isLarge(e.memory, key) && t.worthDropping(e.memory):
		s.dropTable(t)
	}
}

// dropTable goes back to emptyTable, which keeps no keys, if old is still empty when it is
// frozen.
func (s *shard[K, V]) dropTable(old *table[K]) {
	s.growing.Lock()
	defer s.growing.Unlock()
	if s.table.Load() != old {
		return
	}
	s.rebuild(old, func(live, _ int) *table[K] {
		if live != 0 {
			return nil // unfreeze
		}
		return s.emptyTable
	})
}

// clear gives the shard an empty table. Keys that a computation holds keep their entries;
// clear returns them.
func (s *shard[K, V]) clear(e *engine[K, V]) (held []K) {
	s.growing.Lock()
	defer s.growing.Unlock()
	old := s.table.Load()
	if old == s.emptyTable {
		return nil
	}
	s.rebuild(old, func(live, _ int) *table[K] {
		lines := s.lines.held()
		fresh := newTable[K](e.cells, s.minimum, reachFor(s.minimum)+len(lines)/groupSlots+1)
		for _, l := range lines {
			h := e.hash(l.key)
			if g, i, alive := old.locate(l.key, h); alive {
				fresh.insert(l.key, h, g.slot(i).cell.load(e.cells)) // reach is enough for all
				held = append(held, l.key)
				live--
			}
		}
		e.count(int64(-live))
		return fresh
	})
	return held
}

// rebuild freezes old and puts the table that fill returns, if any, in its place.
func (s *shard[K, V]) rebuild(old *table[K], fill func(live, dead int) *table[K]) {
	live, dead := old.freeze()
	defer func() {
		if s.table.Load() == old { // fill returned no table, or a Hash panicked
			old.unfreeze()
		}
	}()
	schedpoint.At(schedpoint.MapFrozen)
	if t := fill(live, dead); t != nil {
		s.install(t)
	}
}

// install makes t the current table. emptyTable is shared by all shards and has no flags
// for lines, because a goroutine that needs one installs another table first.
func (s *shard[K, V]) install(t *table[K]) {
	if t != s.emptyTable {
		s.lines.markHomes(t)
	}
	setView(s.view, t)
	schedpoint.At(schedpoint.MapView)
	s.table.Store(t)
}

// shape chooses the next table's size for so many live and dead entries. If crowded is
// true, an entry did not fit.
func (s *shard[K, V]) shape(old *table[K], live, dead int, crowded bool) (homes, reach int) {
	homes = int(old.homes)
	slots := homes * groupSlots
	switch {
	case live*2 > slots:
		homes *= 2
	case crowded && dead*4 < slots:
		return homes, int(old.reach)*2 + 1 // nothing to clean and yet no room: keys collide
	}
	for homes/2 >= s.minimum && live*4 < homes*groupSlots {
		homes /= 2
	}
	return homes, reachFor(homes)
}

// freeze stops all changes for good, upwards as every lock is taken, and counts entries.
func (t *table[K]) freeze() (live, dead int) {
	for i := range t.groups() {
		g := t.first.at(i)
		meta, _ := lockGroup(g)
		setGroup(g, meta|metaFrozen)
		live += liveCount(meta)
		dead += used(meta) - liveCount(meta)
	}
	return live, dead
}

// unfreeze undoes freeze, downwards: a goroutine that finds its home group unfrozen may go up.
func (t *table[K]) unfreeze() {
	for i := t.groups(); i > 0; i-- {
		g := t.first.at(i - 1)
		setGroup(g, atomic.LoadUint64(&g.meta)&^metaFrozen)
	}
}

// move copies the live entries of a frozen table. It returns false if one of them found no
// room.
func (t *table[K]) move(h *hasher[K], fresh *table[K]) bool {
	var hashes [groupSlots]uint64
	for i := range t.groups() {
		g := t.first.at(i)
		live := atomic.LoadUint64(&g.meta) & liveBits // a late lockGroup may still try
		for m := live; m != 0; m &= m - 1 {           // all at once: their cache misses overlap
			i := slotIndex(m)
			hashes[i] = h.hash(g.slot(i).key)
		}
		for m := live; m != 0; m &= m - 1 {
			i := slotIndex(m)
			if s := g.slot(i); !fresh.insert(s.key, hashes[i], s.cell.load(t.kind)) {
				return false
			}
		}
	}
	return true
}
