package main

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// ticks count what happens at a front, to tell what came first.
type ticks struct{ n atomic.Uint64 }

func (t *ticks) next() uint64 { return t.n.Add(1) }

// writes tell when a page was last changed by a request that came through the
// front: what the origin was asked for before does not hold any more. Several
// pages share a place, which costs a fetch now and then, and bounds the memory.
type writes struct {
	seed  maphash.Seed
	ticks [1 << 10]atomic.Uint64
}

func (w *writes) to(uri string) *atomic.Uint64 {
	return &w.ticks[maphash.String(w.seed, uri)%uint64(len(w.ticks))]
}

// add notes a write; the latest of several holds.
func (w *writes) add(uri string, tick uint64) {
	last := w.to(uri)
	for old := last.Load(); old < tick && !last.CompareAndSwap(old, tick); {
		old = last.Load()
	}
}

// A fetcher asks the origin for a page; old is what is kept of it, or nil.
type fetcher func(ctx context.Context, key pageKey, old *response) (*response, error)

// pages keeps responses. With coalescing, one fetch for each key is under way
// at a time; without, to compare with, each user that finds nothing fetches.
type pages struct {
	*dedup.Cache[pageKey, *response]
	renewals dedup.Group[pageKey, *response]
	fetch    fetcher
	coalesce bool
	waiting  gauge // users that wait for a fetch

	changing sync.Mutex // while a look at what is kept, and its change, belong together
}

// maxWaiters is how many users may wait for one page. More are sent away.
const maxWaiters = 10_000

func newPages(fetch fetcher, maxBytes uint64, coalesce bool) (*pages, error) {
	p := &pages{fetch: fetch, coalesce: coalesce}
	load := func(ctx context.Context, key pageKey) (*response, error) { return fetch(ctx, key, nil) }
	cache, err := dedup.NewCache(load, &dedup.CacheOptions[pageKey, *response]{
		MaxWeight:  maxBytes,
		Weigh:      func(key pageKey, e *response) uint32 { return key.weight() + e.weigh() },
		TTLOf:      func(_ pageKey, e *response) time.Duration { return e.keptFor(time.Now()) },
		MaxWaiters: maxWaiters,
		OnLoad:     func(i dedup.LoadInfo[pageKey]) { p.settle(i.Key) },
	})
	p.Cache = cache
	return p, err
}

// get returns what is kept of a page, fresh or not, or else fetches it.
func (p *pages) get(ctx context.Context, key pageKey) (*response, error) {
	if p.coalesce {
		p.waiting.add(1)
		defer p.waiting.add(-1)
		return p.Get(ctx, key)
	}
	if e, ok := p.Peek(key); ok {
		return e, nil
	}
	return p.renew(ctx, key, nil)
}

// renew replaces old, which is kept and stale. Another user may have done that
// just now: a look at what is kept comes first, inside the flight, so that no
// two of them follow each other without need.
func (p *pages) renew(ctx context.Context, key pageKey, old *response) (*response, error) {
	p.waiting.add(1)
	defer p.waiting.add(-1)
	if !p.coalesce {
		return p.replace(ctx, key, old)
	}
	e, _, err := p.renewals.Do(ctx, key, func(ctx context.Context) (*response, error) {
		if e, ok := p.Peek(key); ok && e != old {
			return e, nil
		}
		return p.replace(ctx, key, old)
	})
	return e, err
}

func (p *pages) replace(ctx context.Context, key pageKey, old *response) (*response, error) {
	e, err := p.fetch(ctx, key, old)
	if err != nil {
		return nil, err
	}
	p.keep(key, e)
	return e, nil
}

// keep stores e in the place of what is there.
func (p *pages) keep(key pageKey, e *response) {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.store(key, e)
}

func (p *pages) store(key pageKey, e *response) {
	if e.keptFor(time.Now()) > 0 {
		p.Put(key, e)
	} else {
		p.Invalidate(key)
	}
}

// settle looks again at what is kept for key: its body may be there now, so
// that it is known what it weighs; or lost. It is called when a body ended, and
// when a load put a page in its place: whatever comes last finds both done.
func (p *pages) settle(key pageKey) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if e, ok := p.Peek(key); ok && (e.weight() != e.weighed.Load() || e.keptFor(time.Now()) <= 0) {
		p.store(key, e)
	}
}

// drop forgets e, if it is still what is kept.
func (p *pages) drop(key pageKey, e *response) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if now, ok := p.Peek(key); ok && now == e {
		p.Invalidate(key)
	}
}

// A gauge goes up and down and remembers its peak.
type gauge struct{ now, top atomic.Int64 }

func (g *gauge) add(n int64) {
	now := g.now.Add(n)
	for top := g.top.Load(); now > top && !g.top.CompareAndSwap(top, now); {
		top = g.top.Load()
	}
}
