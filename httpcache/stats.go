package httpcache

import "sync/atomic"

// Stats are the counts of a [Cache] since it was made, and its present state. The fields
// are read one after the other, so they are consistent only while there are no requests.
type Stats struct {
	Requests uint64 // requests that have come

	// How requests were answered. A request that was refused, or has no answer yet, is in
	// none of these.
	Hits        uint64 // by a kept response that was fresh
	Stale       uint64 // by a kept response that was stale, as it may be
	Revalidated uint64 // by a kept response, after the origin had said that it is still valid
	Coalesced   uint64 // by a fetch that another request had started
	Fetched     uint64 // by a fetch that the request started
	Passed      uint64 // by a request to the origin that was not shared

	Failed   uint64 // requests that ended with an error of the origin or of its body
	Broken   uint64 // those of Failed whose header had been sent, so the connection was aborted
	Detached uint64 // slow clients that got the rest of a body by a range request
	Origin   uint64 // requests to the origin
	Running  int64  // requests that are being answered now
	Waiting  int64  // requests that wait for a fetch now
	Waited   int64  // the largest value that Waiting has had
	Bytes    int64  // bytes of memory that bodies take now
	Evicted  uint64 // responses that were evicted because of MaxBytes

	// Of Options.Store. The first three count responses.
	StoreHits   uint64 // found there
	Stored      uint64 // saved
	StoreMissed uint64 // kept in memory, but not saved
	StoreFailed uint64 // calls that failed or took too long
}

// Stats returns the current counts.
func (c *Cache) Stats() Stats {
	from := func(s source) uint64 { return c.stats.from[s].Load() }
	all := Stats{
		Requests: c.stats.requests.Load(), Failed: c.stats.failed.Load(), Origin: c.stats.asked.Load(),
		Hits: from(hit), Stale: from(stale), Revalidated: from(revalidated),
		Coalesced: from(coalesced), Fetched: from(fetched), Passed: from(passed),
		Broken: c.stats.broken.Load(), Detached: c.stats.detached.Load(),
		Bytes: c.budget.inUse(), Evicted: c.budget.evictions.Load() + c.pages.Stats().Evictions,
		Running: c.stats.running.now.Load(),
		Waiting: c.pages.waiting.now.Load(), Waited: c.pages.waiting.top.Load(),
	}
	if s := c.storage; s != nil {
		all.StoreHits, all.Stored = s.hits.Load(), s.saved.Load()
		all.StoreMissed, all.StoreFailed = s.dropped.Load(), s.failed.Load()
	}
	return all
}

// stats counts the requests of a cache.
type stats struct {
	requests, failed, asked atomic.Uint64
	broken, detached        atomic.Uint64
	from                    [stale + 1]atomic.Uint64 // by source
	running                 gauge
}

// A gauge goes up and down and remembers its peak.
type gauge struct{ now, top atomic.Int64 }

func (g *gauge) add(n int64) {
	now := g.now.Add(n)
	for top := g.top.Load(); now > top && !g.top.CompareAndSwap(top, now); {
		top = g.top.Load()
	}
}
