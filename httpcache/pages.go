package httpcache

import (
	"context"
	"sync"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

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
		TTLOf:      func(key pageKey, e *response) time.Duration { return e.keptAt(key, time.Now()) },
		MaxWaiters: maxWaiters,
		OnLoad:     func(i dedup.LoadInfo[pageKey]) { p.recheck(i.Key) },
	})
	p.Cache = cache
	return p, err
}

// over is a context in which nothing is waited for.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// kept returns where the response of a URL is that suits a, and the response,
// or nil if it is not there. It is fresh or not.
func (p *pages) kept(url pageKey, a *ask) (pageKey, *response) {
	e, _ := p.Get(over, url) // counts as a use, other than Peek
	if e != nil && e.rule != nil {
		url.vary = selecting(e.rule.names, a.Header)
		e, _ = p.Get(over, url)
	}
	if e != nil && a.credentials && !e.policy.ForAll {
		e = nil
	}
	return url, e
}

// placeOf is where kept looks. It is no use of what is there, so a load may ask.
func (p *pages) placeOf(url pageKey, a *ask) pageKey {
	if e, ok := p.Peek(url); ok && e.rule != nil {
		url.vary = selecting(e.rule.names, a.Header)
	}
	return url
}

// get returns what is kept at a place, fresh or not, or else fetches it.
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
	switch {
	case e.personal && e.status >= 400: // a refusal says nothing about the page
	case e.home == key:
		p.keep(key, e) // or drop what is there, if e is not kept
	case old != nil:
		p.dropFor(key, old, e)
	}
	return e, nil
}

// keep stores e in the place of what is there.
func (p *pages) keep(key pageKey, e *response) {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.store(key, e)
}

// store has no effect on what the origin was asked for after it was for e, nor,
// if e is not kept, on a load.
func (p *pages) store(key pageKey, e *response) {
	now, ok := p.Peek(key)
	if ok && now.asked > e.asked {
		return
	}
	if ok {
		now.discardFor(e)
	}
	switch {
	case e.keptAt(key, time.Now()) > 0:
		p.Put(key, e)
	case ok:
		p.Invalidate(key)
	}
}

// recheck looks again at what is kept for key: its body may be there now, so
// that it is known what it weighs; or lost. It is called when a body ended, and
// when a load put a page in its place: whatever comes last finds both done.
func (p *pages) recheck(key pageKey) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if e, ok := p.Peek(key); ok && (e.weight() != e.weighed.Load() || e.keptFor(time.Now()) <= 0) {
		p.store(key, e)
	}
}

// dropBody forgets a response whose body is gone.
func (p *pages) dropBody(key pageKey, b *body) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if now, ok := p.Peek(key); ok && now.body == b {
		p.Invalidate(key)
	}
}

// update stores e in the place of old, if that is still what is kept.
func (p *pages) update(key pageKey, old, e *response) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if now, ok := p.Peek(key); ok && now == old {
		p.store(key, e)
	}
}

// drop forgets e, if it is still what is kept.
func (p *pages) drop(key pageKey, e *response) { p.dropFor(key, e, nil) }

// dropFor is drop if next, which is not nil, may have the same body.
func (p *pages) dropFor(key pageKey, e, next *response) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if now, ok := p.Peek(key); ok && now == e {
		e.discardFor(next)
		p.Invalidate(key)
	}
}

// discardFor lets go of the body of a response that is not kept any more, unless
// next has it. Some may be about to read it.
func (e *response) discardFor(next *response) {
	if e != next {
		e.replaced.Store(true)
	}
	if e.body != nil && (next == nil || next.body != e.body) {
		time.AfterFunc(discardDelay, e.body.discard)
	}
}
