package httpcache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// ticks are a logical clock: they number requests, fetches and writes in their order.
type ticks struct{ n atomic.Uint64 }

func (t *ticks) next() uint64 { return t.n.Add(1) }

// writes have the tick of the last write to each page by a request that passed through. A
// response that the origin was asked for before that is not used any more. To bound the
// memory, each bucket has the last four pages. A write to a page that is not among these
// counts as a write to all other pages of its bucket, so some are fetched without need.
type writes struct {
	seed    maphash.Seed
	buckets [1 << 10]bucket
}

type bucket struct {
	mu     sync.Mutex // locked while a write is added
	recent [4]write
	others atomic.Uint64 // the tick of the last write that is not in recent any more
}

// A write is a page, as a hash, and the tick of the last write to it.
type write struct{ page, tick atomic.Uint64 }

// of returns the bucket and the hash of a page.
func (w *writes) of(uri string) (*bucket, uint64) {
	page := maphash.String(w.seed, uri) | 1 // zero is no page
	return &w.buckets[page>>32%uint64(len(w.buckets))], page
}

// last returns the tick of the last write to a page.
func (w *writes) last(uri string) uint64 {
	p, page := w.of(uri)
	tick := uint64(0)
	for i := range p.recent {
		if p.recent[i].page.Load() == page {
			tick = max(tick, p.recent[i].tick.Load())
		}
	}
	return max(tick, p.others.Load()) // after recent: a write is in others before it leaves recent
}

// add notes a write. Of several writes to a page, the last one counts.
func (w *writes) add(uri string, tick uint64) {
	p, page := w.of(uri)
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := &p.recent[0]
	for i := range p.recent {
		r := &p.recent[i]
		if r.page.Load() == page {
			r.tick.Store(max(tick, r.tick.Load()))
			return
		}
		if r.tick.Load() < oldest.tick.Load() {
			oldest = r
		}
	}
	p.others.Store(max(p.others.Load(), oldest.tick.Load()))
	oldest.tick.Store(tick) // before page, so that last finds the tick if it finds the page
	oldest.page.Store(page)
}
