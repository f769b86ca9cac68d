package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// An ask is one client's request for a page.
type ask struct {
	*http.Request
	interim interim
	copied  bool   // Request is a copy
	tick    uint64 // when the request came
	written uint64 // when the page was last written to before the request came
	says    rfc9111.Directives
	why     string                   // why the origin was asked; "" if it was not
	failed  int                      // the status of the failed response that it waited for
	fetched atomic.Bool              // a fetch was started for it
	own     atomic.Pointer[response] // the response of that fetch, if it is not shared

	// credentials is true if the request has Authorization. Then it is answered only by
	// a response that permits that (RFC 9111, 3.5), or by a fetch of its own.
	credentials bool
}

// newAsk returns the ask for r, which w answers.
func (f *front) newAsk(r *http.Request, w http.ResponseWriter) *ask {
	a := &ask{Request: r, interim: interim{w: w}, tick: f.ticks.next(), says: saysOf(r.Header)}
	a.credentials = !f.Private && len(r.Header["Authorization"]) > 0
	return a
}

// noSharedFetch reports whether no shared fetch can answer a.
func (a *ask) noSharedFetch() bool {
	return isRangeRequest(a.Request) || a.says.OnlyIfCached || a.says.NoStore
}

// saysOf returns the directives of a request. Pragma: no-cache counts as one if there is no
// Cache-Control (RFC 9111, 5.4).
func saysOf(h http.Header) rfc9111.Directives {
	says := rfc9111.Parse(h["Cache-Control"])
	if len(h["Cache-Control"]) == 0 && len(h["Pragma"]) > 0 {
		says.NoCache = rfc9111.Parse(h["Pragma"]).NoCache
	}
	return says
}

type askKey struct{}

// in returns a context with the value a. A fetch has the values of the context that it was
// started with, so it finds a, whose header it takes over. The header may be changed after
// its client has left, so it is copied.
func (a *ask) in(ctx context.Context) context.Context {
	if !a.copied {
		a.Request, a.copied = a.Request.Clone(ctx), true
	}
	return context.WithValue(ctx, askKey{}, a)
}

// askOf returns the ask that started the fetch whose context is ctx.
func askOf(ctx context.Context) *ask { return ctx.Value(askKey{}).(*ask) }

// find returns a response for a and its source. It returns nil if a has to pass through,
// and an error if the fetch failed.
//
// A kept response is used while it is fresh. When it is stale, the origin is asked again,
// once for all requests that wait at that time. A request may be answered by any response
// that the origin was asked for after the request came. So if a page is never fresh
// (no-cache), the first request starts a fetch, and the requests that come during that fetch
// share the next one. Each request waits for at most two fetches, and for more only if the
// response is removed meanwhile, or belongs to another variant.
func (f *front) find(a *ask, url pageKey) (*response, source, error) {
	key, e := f.pages.kept(url, a)
	for range maxTurns {
		if e != nil {
			if from, ok := f.use(a, key, e); ok {
				return e, from, nil
			}
		}
		if e != nil && e.personal || f.uncacheable.has(url) {
			return nil, passed, nil
		}
		if a.why == "" {
			a.why = whyAsked(a, url, key, e)
		}
		next, err := f.share(a, key, e)
		if bad, ok := errors.AsType[badStatus](err); ok {
			a.failed = bad.status
		}
		if err == nil && next.wasStored() {
			a.why = "" // it came from the Store
		}
		switch {
		case err != nil && e != nil && a.Context().Err() == nil && e.staleFor(a, time.Now(), e.staleIfError(a)):
			return e, stale, nil
		case err != nil:
			return nil, a.sourceOf(nil), wrapStale(e, err)
		case next.suits(a, key):
			key, e = next.home, next
		default:
			key, e = f.pages.kept(url, a)
		}
	}
	return nil, passed, nil
}

// maxTurns is the maximum number of fetches that a request waits for. More are needed only
// if the fields that the page varies by change all the time.
const maxTurns = 8

// use reports whether a may be answered by e without a fetch. e suits a.
func (f *front) use(a *ask, key pageKey, e *response) (source, bool) {
	switch now := time.Now(); {
	case e.personal:
		return passed, e == a.own.Load()
	case e.freshFor(a, now):
		return a.sourceOf(e), true
	case e.staleFor(a, now, e.policy.StaleWhileRevalidate):
		f.renewLater(a, key, e)
		return stale, true
	case !e.policy.MustRevalidate && e.staleFor(a, now, a.says.MaxStale.For):
		return stale, true
	}
	return passed, false
}

// share waits for a fetch that replaces old, which may be nil.
func (f *front) share(a *ask, key pageKey, old *response) (*response, error) {
	ctx := a.in(a.Context())
	if old != nil && old.isRemoved() {
		f.pages.drop(key, old)
		old = nil
	}
	if a.credentials {
		return f.pages.renew(ctx, key.only(a), old)
	}
	if old == nil {
		return f.pages.get(ctx, key)
	}
	return f.pages.renew(ctx, key, old)
}

// wrapStale makes err match errStale if old must not be used because it is stale.
func wrapStale(old *response, err error) error {
	if _, ok := errors.AsType[badStatus](err); ok || old == nil || !old.policy.MustRevalidate {
		return err
	}
	return fmt.Errorf("%w: %w", errStale, err)
}

// sourceOf returns the source of e, which answers a. A nil e means that the fetch failed.
func (a *ask) sourceOf(e *response) source {
	switch {
	case a.fetched.Load() && e != nil && e.revalidated:
		return revalidated
	case a.fetched.Load():
		return fetched
	case e == nil || e.answered > a.tick:
		return coalesced
	}
	return hit
}

// renewLater replaces e, which is stale and may be used for a, in the background. The fetch
// has the header of a.
func (f *front) renewLater(a *ask, key pageKey, e *response) {
	if !e.renewing.CompareAndSwap(false, true) {
		return
	}
	ctx := (&ask{Request: a.Request, credentials: a.credentials}).in(f.base)
	f.fetches.Go(func() {
		defer e.renewing.Store(false) // for the next try, if this one failed
		f.renewUnwatched(ctx, key, e)
	})
}

// renewUnwatched renews e in the background, where nothing else recovers or logs a panic.
func (f *front) renewUnwatched(ctx context.Context, key pageKey, e *response) {
	defer func() {
		if p := recover(); p != nil { // with coalescing, dedup recovers it
			f.Logger.Error("httpcache: a renewal panicked", "request", key.String(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	_, err := f.pages.renew(ctx, key, e)
	if p, ok := errors.AsType[*dedup.PanicError](err); ok {
		f.Logger.Error("httpcache: " + p.Error())
	}
}

// lead runs the fetch for key, unless the Store has a response. The ask that started the
// fetch is in ctx.
func (f *front) lead(ctx context.Context, key pageKey, old *response) (*response, error) {
	a := askOf(ctx)
	if old == nil {
		if e := f.recall(ctx, a, key); e != nil {
			return e, nil
		}
	}
	a.fetched.Store(true)
	e, err := f.fetch(ctx, a, key, old)
	bad, isBad := errors.AsType[badStatus](err)
	switch {
	case isBad && bad.personal:
		a.own.Store(bad.response)
	case err == nil && e.personal:
		a.own.Store(e)
		if !a.credentials {
			f.uncacheable.add(key)
		}
	case err != nil && !isBad:
		f.logFailure(ctx, key.String(), err)
	}
	if err == nil {
		f.headArrived(a, e, old)
	}
	return e, err
}

// headArrived deletes the record of old, or saves e if it is complete without a body.
func (f *front) headArrived(a *ask, e, old *response) {
	kept := e.keptAt(e.home, time.Now()) > 0
	if old != nil && (!kept || e.home != old.home) && (!e.personal || e.status < 400 && !a.credentials) {
		old.replaced.Store(true)
		f.storage.forget(old.home)
	}
	if kept && (e.body == nil || e.revalidated) {
		f.storage.later(e)
	}
}

// bodyEnded is called when the body of e has ended, with io.EOF if it is complete. stored
// says whether it was to be kept.
func (f *front) bodyEnded(e *response, stored bool, err error) {
	if err != io.EOF && !errors.Is(err, errUnread) {
		f.logFailure(f.base, e.home.String(), fmt.Errorf("the body broke off: %w", err))
	}
	f.pages.recheck(e.home)
	switch {
	case stored && err == io.EOF && e.body.kept.Load():
		f.storage.later(e)
	case stored && f.base.Err() == nil:
		f.storage.forget(e.home)
	}
}
