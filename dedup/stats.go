package dedup

import (
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/internal/striped"
)

// Stats are the counts of a [Cache] since it was made, and its present size. The fields
// are read one after the other, so they are consistent only while no other call is made.
type Stats struct {
	Hits       uint64 // keys answered by a stored value or error, stale ones included
	Misses     uint64 // keys that had to be loaded, or whose load was joined
	Loads      uint64 // loads that have ended, one per key
	LoadErrors uint64 // loads that have ended with an error
	Coalesced  uint64 // misses that joined a load in flight
	Stale      uint64 // stale values returned, at once or instead of an error
	Evictions  uint64 // entries removed because of MaxEntries or MaxWeight
	Entries    int    // entries that are stored now, including errors and expired ones
	InFlight   int    // loads that callers wait for now, and loads in the background

	LoadTime time.Duration // the sum of the times that loads took; see LoadInfo.Took
}

// counts are the counters in several stripes, so that callers seldom meet at one.
type counts [16]share

// A share is one stripe of the counters. It fills a cache line.
type share struct {
	hits, misses, loads, loadErrors, coalesced, stale, loadTime atomic.Uint64

	_ [8]byte
}

// any returns a share that few other goroutines use at the time.
func (c *counts) any() *share { return striped.Of(c[:]) }

// add adds up the shares.
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
