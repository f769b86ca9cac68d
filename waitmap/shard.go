package waitmap

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/yield"
)

// A shard is an independent part of the map with its own table, growth and
// lines of waiters. Lock order: growing, then the lines' mutex, then groups
// upwards: home first, then later ones. Nobody waits for a frozen group with
// the lines locked.
type shard[K comparable, V any] struct {
	table   atomic.Pointer[table[K]]
	door    *door
	nothing *table[K]  // the table of a shard that was never written to, or gave up its own
	growing sync.Mutex // held while the table is replaced
	minimum int        // homes of the smallest table; shards differ, so that they do not all grow at once
	lines   lines[K, V]
	_       [64]byte
}

// spinLimit is how often to look, about 1 ns each, before the processor is
// given up: what a group is locked for, some tens of ns, is less than that
// costs.
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

// lock locks the home of a hash in the current table, and before it the lines
// if they are wanted or the home has some.
func (s *shard[K, V]) lock(e *engine[K, V], hash uint64, lines bool) (*table[K], *group[K, wordCell], uint64, bool) {
	for {
		t := s.table.Load()
		if t == s.nothing {
			s.replace(e, t, false)
			continue
		}
		home := t.home(hash)
		home.touch()
		lines = lines || atomic.LoadUint64(&home.meta)&metaLines != 0
		if lines {
			s.lines.mu.Lock()
		}
		yield.At(yield.MapLines)
		meta, ok := lockGroup(home)
		if ok && (lines || meta&metaLines == 0) {
			return t, home, meta, lines
		}
		if ok {
			setGroup(home, meta) // a line came between; in the right order, then
		}
		if lines {
			s.lines.mu.Unlock()
		}
		if !ok {
			s.awaitTable()
		}
	}
}

// lockLines locks the lines, and has everybody come here who writes to a key
// with the home of that hash. So the key stays as it is while they are locked,
// though its home is not; if the table is replaced meanwhile, the next one is
// published only after that. With metaTakers as hint a taker is announced.
func (s *shard[K, V]) lockLines(e *engine[K, V], hash, hint uint64) *table[K] {
	for {
		t := s.table.Load()
		if t == s.nothing {
			s.replace(e, t, false)
			continue
		}
		yield.At(yield.MapMissed)
		s.lines.mu.Lock()
		if announce(t.home(hash), metaLines|hint) {
			yield.At(yield.MapAnnounced)
			return t
		}
		s.lines.mu.Unlock()
		s.awaitTable()
	}
}

// announce sets flags in the meta word, or reports false if g is frozen. A
// locked group that has them already was locked by somebody who saw them.
func announce[K comparable](g *group[K, wordCell], flags uint64) bool {
	for spins := 0; ; spins++ {
		meta := atomic.LoadUint64(&g.meta)
		switch {
		case meta&metaFrozen != 0:
			return false
		case meta&flags == flags:
			return true
		case meta&metaLocked == 0 && atomic.CompareAndSwapUint64(&g.meta, meta, meta|flags):
			return true
		case spins&spinLimit == spinLimit:
			runtime.Gosched() // the holder may need this processor
		}
	}
}

// settled is the current table. One that is being replaced it waits out: Load
// may see the next one already.
func (s *shard[K, V]) settled() *table[K] {
	for {
		t := s.table.Load()
		if t == s.nothing || atomic.LoadUint64(&t.first.meta)&metaFrozen == 0 {
			return t
		}
		s.awaitTable()
	}
}

// awaitTable waits until the table that replaces a frozen one is published.
func (s *shard[K, V]) awaitTable() {
	s.growing.Lock()
	//lint:ignore SA2001 it only waits
	s.growing.Unlock()
}

// reserve makes room for so many entries.
func (s *shard[K, V]) reserve(e *engine[K, V], entries int) {
	if entries == 0 {
		return
	}
	homes := homesFor[K](entries, s.minimum)
	s.install(newTable[K](e.cells, homes, reachFor(homes)))
}

// replace moves the shard from old to a table that fits what is alive. It does
// nothing if somebody else replaced old already.
func (s *shard[K, V]) replace(e *engine[K, V], old *table[K], crowded bool) {
	s.growing.Lock()
	defer s.growing.Unlock()
	if s.table.Load() != old {
		return
	}
	if old == s.nothing {
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

// shrink replaces t if the removal that emptied so many groups left too few,
// or drops it if it left none but the keys of many that are gone.
func (s *shard[K, V]) shrink(e *engine[K, V], t *table[K], emptied int64, key *K) {
	switch {
	case emptied == 0:
	case t.sparse(emptied, s.minimum):
		s.replace(e, t, false)
	case heavy(e.memory, key) && t.spent(emptied, e.memory):
		s.drop(t)
	}
}

// drop goes back to nothing, which keeps no keys, if old is still empty when it
// is frozen.
func (s *shard[K, V]) drop(old *table[K]) {
	s.growing.Lock()
	defer s.growing.Unlock()
	if s.table.Load() != old {
		return
	}
	s.rebuild(old, func(live, _ int) *table[K] {
		if live != 0 {
			return nil // thaw
		}
		return s.nothing
	})
}

// clear gives the shard an empty table. Keys that a computation holds keep
// their entries; they are returned.
func (s *shard[K, V]) clear(e *engine[K, V]) (held []K) {
	s.growing.Lock()
	defer s.growing.Unlock()
	old := s.table.Load()
	if old == s.nothing {
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

// rebuild puts what fill returns, if anything, in the place of old, which it
// freezes first.
func (s *shard[K, V]) rebuild(old *table[K], fill func(live, dead int) *table[K]) {
	live, dead := old.freeze()
	defer func() {
		if s.table.Load() == old { // nothing, or a Hash of the user's panicked
			old.thaw()
		}
	}()
	yield.At(yield.MapFrozen)
	if t := fill(live, dead); t != nil {
		s.install(t)
	}
}

// install has all use t. Nothing is shared by all shards, and tells of no lines:
// whoever could ask installs another table first.
func (s *shard[K, V]) install(t *table[K]) {
	if t != s.nothing {
		s.lines.rehome(t)
	}
	openDoor(s.door, t)
	yield.At(yield.MapDoor)
	s.table.Store(t)
}

// shape chooses the next table's size for so many live and dead entries.
// Crowded says that one did not fit.
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

// freeze stops all changes for good, upwards as every lock is taken, and
// counts.
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

// thaw takes freeze back, downwards: who finds its home thawed may go up.
func (t *table[K]) thaw() {
	for i := t.groups(); i > 0; i-- {
		g := t.first.at(i - 1)
		setGroup(g, atomic.LoadUint64(&g.meta)&^metaFrozen)
	}
}

// move copies what is alive in a frozen table. It reports whether all of it
// found room.
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
