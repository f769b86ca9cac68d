package dedup

import (
	"sync/atomic"
	"time"
)

// Stats are the counts of a [Cache] since it was made, and its size now. They
// are read one after the other: exact when the cache is quiet.
type Stats struct {
	Hits       uint64 // keys answered by what is stored, kept errors and stale values included
	Misses     uint64 // keys that had to be loaded, or whose load was joined
	Loads      uint64 // loads that are over, one per key
	LoadErrors uint64 // of them, those that failed
	Coalesced  uint64 // of Misses, those that joined a load that was under way
	Stale      uint64 // stale values returned: while one revalidates, and instead of an error
	Evictions  uint64 // entries that had to go for MaxEntries or MaxWeight
	Entries    int    // entries that are there, kept errors and expired ones included
	InFlight   int    // loads that somebody waits for, or that refresh

	LoadTime time.Duration // the sum of what Loads took
}

// counts are shares of the counters, so that callers seldom meet at one.
type counts [16]share

// A share fills a cache line.
type share struct {
	hits, misses, loads, loadErrors, coalesced, stale, loadTime atomic.Uint64

	_ [8]byte
}

func (c *counts) any() *share { return &c[stripe()%uintptr(len(c))] }

// add sums the shares up.
func (c *counts) add(s *Stats) {
	for i := range c {
		n := &c[i]
		s.Hits += n.hits.Load()
		s.Misses += n.misses.Load()
		s.Loads += n.loads.Load()
		s.LoadErrors += n.loadErrors.Load()
		s.Coalesced += n.coalesced.Load()
		s.Stale += n.stale.Load()
		s.LoadTime += time.Duration(n.loadTime.Load())
	}
}
