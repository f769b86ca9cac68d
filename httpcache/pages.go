package httpcache

import (
	"context"
	"sync"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// A fetcher asks the origin for a page. old is the kept response, or nil.
type fetcher func(ctx context.Context, key pageKey, old *response) (*response, error)

// pages keeps responses. With coalescing, there is at most one fetch for each key at a time.
// Without, each request that finds no response starts one.
type pages struct {
	*dedup.Cache[pageKey, *response]
	renewals dedup.Group[pageKey, *response]
	fetch    fetcher
	coalesce bool
	waiting  gauge // requests that wait for a fetch

	changing sync.Mutex // locked while a kept response is read and replaced
}

// maxWaiters is the maximum number of requests that wait for one page. Further ones get
// status 503.
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
		OnRemove:   p.removed,
	})
	p.Cache = cache
	return p, err
}

// ended is a context that has ended, so that Get with it does not wait.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// kept returns the key of the variant of a URL for a, and the response that is kept under
// it, fresh or stale, or nil.
func (p *pages) kept(url pageKey, a *ask) (pageKey, *response) {
	e, _ := p.Get(ended, url) // unlike Peek, counts as a use
	if e != nil && e.rule != nil {
		url.vary = selecting(e.rule.names, a.Header)
		e, _ = p.Get(ended, url)
	}
	if e != nil && a.credentials && !e.policy.ForAll {
		e = nil
	}
	return url, e
}

// placeOf returns the key of the variant of a URL for a. Unlike kept, it may be called by a
// load.
func (p *pages) placeOf(url pageKey, a *ask) pageKey {
	if e, ok := p.Peek(url); ok && e.rule != nil {
		url.vary = selecting(e.rule.names, a.Header)
	}
	return url
}

// get returns the response that is kept under key, fresh or stale, or fetches it.
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

// renew replaces old, which is kept and stale. Another request may have replaced it just
// before, so the flight looks again at what is kept before it fetches.
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
	case e.personal && e.status >= 400: // says nothing about the kept response
	case e.home == key:
		p.keep(key, e) // or remove the old one, if e is not kept
	case old != nil:
		p.dropFor(key, old, e)
	}
	return e, nil
}

// keep stores e under key, instead of what is kept there.
func (p *pages) keep(key pageKey, e *response) {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.store(key, e)
}

// store is keep with changing locked. It does not replace a response that the origin was
// asked for later. If e is not kept, it leaves a load in flight alone.
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

// recheck updates the weight of the response that is kept under key, or removes it if its
// body is gone. It is called when a body has ended and when a load has stored a response,
// so the later of the two sees both.
func (p *pages) recheck(key pageKey) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if e, ok := p.Peek(key); ok && (e.weight() != e.weighed.Load() || e.keptFor(time.Now()) <= 0) {
		p.store(key, e)
	}
}

// dropBody removes e, or the response that has the body b of e by now. b was evicted.
func (p *pages) dropBody(e *response, b *body) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if now, ok := p.Peek(e.home); ok && now.body == b {
		p.Invalidate(e.home)
	}
}

// removed discards the body of a response that was evicted or has expired, unless another
// response has it. Otherwise bodies and headers together could exceed MaxBytes. Requests that
// waited for the response have discardDelay to open the body.
func (p *pages) removed(key pageKey, e *response, cause dedup.RemoveCause) {
	if e.body == nil || cause != dedup.RemoveEvicted && cause != dedup.RemoveExpired {
		return
	}
	if now, ok := p.Peek(key); ok && now.body == e.body {
		return
	}
	if left := discardDelay - time.Since(e.received()); left > 0 {
		time.AfterFunc(left, e.body.discard)
		return
	}
	e.body.discard()
}

// update stores e instead of old, if old is still kept.
func (p *pages) update(key pageKey, old, e *response) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if now, ok := p.Peek(key); ok && now == old {
		p.store(key, e)
	}
}

// drop removes e, if it is still kept.
func (p *pages) drop(key pageKey, e *response) { p.dropFor(key, e, nil) }

// dropFor is drop for a next response that may have the same body. next may be nil.
func (p *pages) dropFor(key pageKey, e, next *response) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if now, ok := p.Peek(key); ok && now == e {
		e.discardFor(next)
		p.Invalidate(key)
	}
}

// discardFor releases the body of a response that is not kept any more, unless next has it.
// It does so with a delay, because requests may be about to read it.
func (e *response) discardFor(next *response) {
	if e != next {
		e.replaced.Store(true)
	}
	if e.body != nil && (next == nil || next.body != e.body) {
		time.AfterFunc(discardDelay, e.body.discard)
	}
}
