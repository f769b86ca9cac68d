package httpcache

import (
	"context"
	"io"
	"net/http"
	"slices"
	"time"
)

// recall returns what the Store has that suits a, nil if that is nothing. All of its
// body is there: if that is not what it should be, the origin can still be asked.
func (f *front) recall(ctx context.Context, a *ask, key pageKey) *response {
	s := f.storage
	if s == nil || key.method != http.MethodGet {
		return nil
	}
	place := f.pages.placeOf(key.url(), a)
	seen := s.swept.Load() // before the look
	l := s.find(ctx, place)
	var names []string
	if l != nil && l.record.isRule() && place.vary == "" {
		l.body.Close()
		names = l.record.Names
		place.vary = selecting(names, a.Header)
		l = s.find(ctx, place)
	}
	if l == nil {
		return nil
	}
	defer l.body.Close()
	e := f.revive(l.record, a, place, seen, time.Now())
	if e == nil || l.size > f.MaxObject {
		return nil
	}
	if epoch := s.epochOf(ctx, place.uri); epoch == "" || epoch != l.record.Epoch {
		return nil
	}
	if l.record.HasBody && !f.bringBody(ctx, e, l) {
		return nil
	}
	s.hits.Add(1)
	f.pages.addVariant(key, e, slices.Concat(names, e.vary), a.Header)
	return e
}

// bring is has for what is not in memory, but may be in the Store.
func (f *front) bring(url pageKey, a *ask) bool {
	if f.storage == nil || url.method != http.MethodGet {
		return false
	}
	place := f.pages.placeOf(url, a)
	if _, ok := f.pages.Peek(place); ok {
		return false
	}
	f.storage.recalls.Do(a.in(a.Context()), place, func(ctx context.Context) (*response, error) {
		e := f.recall(ctx, a, url)
		if e != nil && e.home == url {
			f.pages.keep(url, e)
		}
		return e, nil
	})
	return f.has(url, a)
}

// find loads what is stored at a place.
func (s *storage) find(ctx context.Context, place pageKey) *loading {
	key := place.stored()
	ready, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if !s.isReady(ready) || s.backlog.holds(key) {
		return nil
	}
	l := s.load(ctx, key)
	if l != nil && s.backlog.holds(key) { // it came meanwhile
		l.body.Close()
		return nil
	}
	return l
}

// bringBody has the body of e arrive, and reports whether all of it is there.
func (f *front) bringBody(ctx context.Context, e *response, l *loading) bool {
	x := f.newExchangeWithin(http.MethodGet, storeTime)
	defer context.AfterFunc(ctx, func() { x.cancel(context.Cause(ctx)) })()
	defer context.AfterFunc(x.ctx, func() { l.body.CloseWithError(context.Cause(x.ctx)) })()
	b := newBody(f.budget, page{f, e}, true, streamOptions{
		announced: l.size, limit: f.MaxObject, window: f.window,
		maxDelay: f.MaxDelay, background: true, // until it is clear that it does not fit into memory
	}, x.cancel)
	e.body = b
	var err error
	f.fill(x, b.stream.Load(), l.body, func(cause error) { err = cause })
	if err == errTimeout {
		l.leave()
	}
	return err == io.EOF && b.kept.Load()
}
