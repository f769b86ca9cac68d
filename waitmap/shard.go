package waitmap

import (
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
)

// A shard is an independent part of the map with its own table, growth and lines of
// waiters. Lock order: growing, then the lines' mutex, then groups upwards, the home
// group first. No goroutine waits for a frozen group with the lines locked.
type shard[K comparable, V any] struct {
	table      atomic.Pointer[table[K]]
	view       *tableView
	emptyTable *table[K]  // the table of a shard that was never written to, or gave up its own
	growing    sync.Mutex // held while the table is replaced
	minimum    int        // homes of the smallest table; shards differ, so that they do not all grow at once
	lines      lines[K, V]
	_          [64]byte
}

// lock locks the home group of a hash in the current table. If lines is true, or the
// group has lines, it locks the shard's lines before that.
func (s *shard[K, V]) lock(e *engine[K, V], hash uint64, lines bool) (*table[K], *group[K, wordCell], uint64, bool) {
	for {
		t := s.table.Load()
		if t == s.emptyTable {
			s.replace(e, t, false)
			continue
		}
		home := t.home(hash)
		home.touch()
		lines = lines || atomic.LoadUint64(&home.meta)&metaLines != 0
		if lines {
			s.lines.mu.Lock()
		}
		schedpoint.At(schedpoint.MapLines)
		meta, ok := lockGroup(home)
		if ok && (lines || meta&metaLines == 0) {
			return t, home, meta, lines
		}
		if ok {
			setGroup(home, meta) // a line was opened meanwhile: lock in the right order
		}
		if lines {
			s.lines.mu.Unlock()
		}
		if !ok {
			s.awaitTable()
		}
	}
}

// lockLines locks the lines, and makes every writer of a key with that home group wait for
// their lock. So the key does not change while they are locked, although its home group is
// not. If the table is replaced meanwhile, the next one is published only after that.
func (s *shard[K, V]) lockLines(e *engine[K, V], hash uint64) *table[K] {
	for {
		t := s.table.Load()
		if t == s.emptyTable {
			s.replace(e, t, false)
			continue
		}
		schedpoint.At(schedpoint.MapMissed)
		s.lines.mu.Lock()
		home := t.home(hash)
		meta := atomic.LoadUint64(&home.meta)
		if meta&(metaLocked|metaFrozen|metaLines) == 0 && atomic.CompareAndSwapUint64(&home.meta, meta, meta|metaLines) || announce(home) {
			schedpoint.At(schedpoint.MapAnnounced)
			return t
		}
		s.lines.mu.Unlock()
		s.awaitTable()
	}
}

// currentTable returns the current table. It waits while that is being replaced, because
// Load may see the next one already.
func (s *shard[K, V]) currentTable() *table[K] {
	for {
		t := s.table.Load()
		if t == s.emptyTable || atomic.LoadUint64(&t.first.meta)&metaFrozen == 0 {
			return t
		}
		s.awaitTable()
	}
}

// awaitTable waits until the table that replaces a frozen one is published.
func (s *shard[K, V]) awaitTable() {
	s.growing.Lock()
	//lint:ignore SA2001 the holder has published the next table
	s.growing.Unlock()
}
