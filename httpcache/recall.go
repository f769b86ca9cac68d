package httpcache

import (
	"context"
	"io"
	"net/http"
	"slices"
	"time"
)

// recall returns a response from the Store that suits a, or nil. Its whole body is there, so
// that the origin can still be asked if the body is damaged.
func (f *front) recall(ctx context.Context, a *ask, key pageKey) *response {
	s := f.storage
	if s == nil || key.method != http.MethodGet {
		return nil
	}
	place := f.pages.placeOf(key.url(), a)
	seen := s.swept.Load() // before the record is loaded, which may be older than later purges
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

// bring is has for a response that is not in memory: it looks for it in the Store.
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

// find loads the record at a place, or returns nil.
func (s *storage) find(ctx context.Context, place pageKey) *loading {
	key := place.stored()
	ready, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if !s.isReady(ready) || s.backlog.blocks(key) {
		return nil
	}
	l := s.load(ctx, key)
	if l != nil && s.backlog.blocks(key) { // since the record was loaded
		l.body.Close()
		return nil
	}
	return l
}

// bringBody reads the body of e from the Store, and reports whether all of it is there.
func (f *front) bringBody(ctx context.Context, e *response, l *loading) bool {
	x := f.newExchangeWithin(http.MethodGet, storeTime)
	defer context.AfterFunc(ctx, func() { x.cancel(context.Cause(ctx)) })()
	defer context.AfterFunc(x.ctx, func() { l.body.CloseWithError(context.Cause(x.ctx)) })()
	b := newBody(f.budget, page{f, e}, true, streamOptions{
		announced: l.size, limit: f.MaxObject, window: f.window,
		maxDelay: f.MaxDelay, background: true, // no request reads it yet
	}, x.cancel)
	e.body = b
	var err error
	f.fill(x, b.stream.Load(), l.body, func(cause error) { err = cause })
	if err == errTimeout {
		l.leave()
	}
	return err == io.EOF && b.kept.Load()
}
