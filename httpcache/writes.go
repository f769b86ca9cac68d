package httpcache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// ticks count what happens at a cache, to tell what came first.
type ticks struct{ n atomic.Uint64 }

func (t *ticks) next() uint64 { return t.n.Add(1) }

// writes tell when a page was last changed by a request that came through the
// cache: what the origin was asked for before does not hold any more. The last
// few pages of a place are told apart. What was written to others of its pages
// counts for all that have the place, which costs a fetch now and then, and
// bounds the memory.
type writes struct {
	seed   maphash.Seed
	places [1 << 10]place
}

type place struct {
	mu     sync.Mutex // of those who add
	recent [4]write
	others atomic.Uint64 // the tick of the last write that is not in recent any more
}

// A write is the tick of the last one to a page.
type write struct{ page, tick atomic.Uint64 }

func (w *writes) to(uri string) (*place, uint64) {
	page := maphash.String(w.seed, uri) | 1 // 0 is no page
	return &w.places[page>>32%uint64(len(w.places))], page
}

// last returns the tick of the last write to a page.
func (w *writes) last(uri string) uint64 {
	p, page := w.to(uri)
	tick := uint64(0)
	for i := range p.recent {
		if p.recent[i].page.Load() == page {
			tick = max(tick, p.recent[i].tick.Load())
		}
	}
	return max(tick, p.others.Load()) // after the look at recent: a write goes there before it leaves
}

// add notes a write; the latest of several holds.
func (w *writes) add(uri string, tick uint64) {
	p, page := w.to(uri)
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
	oldest.tick.Store(tick) // before page: who finds the page finds the tick
	oldest.page.Store(page)
}
