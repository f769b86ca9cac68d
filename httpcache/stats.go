package httpcache

import "sync/atomic"

// Stats are counters since the cache was made.
type Stats struct {
	Requests uint64 // that have come

	// How they were answered.
	Hits        uint64 // by what was kept, fresh
	Stale       uint64 // by what was kept, past its time, as it may be
	Revalidated uint64 // by what was kept, once the origin had said that it still holds
	Coalesced   uint64 // by a fetch that was under way
	Fetched     uint64 // by a fetch that the request began
	Passed      uint64 // by the origin, for this request alone

	Failed   uint64 // ended with an error of the origin or of its body
	Broken   uint64 // the part of Failed whose header had been sent: the connection was aborted
	Detached uint64 // went on by a range request, because they were slower than others
	Origin   uint64 // requests to the origin
	Running  int64  // requests that are being answered now
	Waiting  int64  // requests that wait for a fetch now
	Waited   int64  // the most that waited at once
	Bytes    int64  // of memory that bodies take now
	Evicted  uint64 // bodies that made room for others

	// Of Options.Store.
	StoreHits   uint64 // responses that were found there
	Stored      uint64 // responses that were saved
	StoreMissed uint64 // responses that were not, though they are kept
	StoreFailed uint64 // calls that failed, or took too long
}

// Stats returns the counters. Each of them is read by itself.
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
