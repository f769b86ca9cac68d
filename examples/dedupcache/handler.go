package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/examples/dedupcache/internal/httpcache"
	"github.com/vigil-go/vigil/examples/internal/histogram"
)

// A source says where an answer came from. Users see it in the X-Cache header.
type source int8

const (
	passed  source = iota // from the origin, for this request only
	led                   // from the origin, by a fetch that this request started
	joined                // from the origin, by a fetch that was under way: coalesced
	renewed               // from the cache; this request asked the origin whether it holds
	hit                   // from the cache
	stale                 // from the cache, past its time, as it may be
)

func (s source) String() string {
	return [...]string{"passed", "fetched", "joined", "revalidated", "hit", "stale"}[s]
}

// A handler serves shared pages from a cache and passes all else through.
type handler struct {
	*upstream
	pages *pages
	proxy http.Handler
	log   *log.Logger
	stats stats
}

// stats counts the requests of a handler.
type stats struct {
	requests, failed atomic.Uint64
	from             [stale + 1]atomic.Uint64 // by source
	latency          histogram.Shared
	running          gauge
}

// hits are the requests that were answered by what was there already.
func (s *stats) hits() uint64 {
	return s.from[hit].Load() + s.from[stale].Load() + s.from[renewed].Load()
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	defer func() { h.stats.latency.Record(time.Since(start)) }()
	h.stats.running.add(1)
	defer h.stats.running.add(-1)
	h.stats.requests.Add(1)

	switch {
	case !strings.HasPrefix(r.URL.Path, "/"): // "*", "http:page", or for CONNECT
		h.stats.failed.Add(1)
		http.Error(w, "no path", http.StatusBadRequest)
	case !shareable(r) || !h.serve(w, r):
		h.pass(w, r)
	}
}

// shareable reports whether the answer to r may be anybody's: a plain GET or
// HEAD that shows no credentials and asks for nothing special.
func shareable(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, name := range []string{
		"Authorization", "Cookie", "Proxy-Authorization", "Upgrade", "If-Match", "If-Unmodified-Since",
	} {
		if len(r.Header[name]) > 0 {
			return false
		}
	}
	says := httpcache.Parse(r.Header["Cache-Control"])
	reload := says.NoStore || says.NoCache || len(r.Header["Pragma"]) > 0
	return !reload && r.ContentLength == 0
}

// serve answers r from the cache or a shared fetch. It returns false, and has
// written nothing, if r is to have the origin to itself after all.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) bool {
	a := &ask{tick: h.ticks.next(), says: httpcache.Parse(r.Header["Cache-Control"])}
	a.written = h.writes.to(r.URL.RequestURI()).Load()
	key, isPart := h.choose(r), wantsPart(r)
	for range 3 { // a body may be lost before we have hold of it
		if (isPart || a.says.OnlyIfCached) && !h.has(key, a, isPart) {
			return h.without(w, a)
		}
		e, from, err := h.find(a.in(r.Context()), a, key)
		if err != nil {
			return h.fail(w, r, from, err)
		}
		if e.isVerdict() {
			return false
		}
		if h.deliver(w, r, e, from) {
			return true
		}
		h.pages.drop(key, e)
	}
	return false
}

// wantsPart reports whether r asks for a part of a page. HEAD has none.
func wantsPart(r *http.Request) bool {
	return r.Method == http.MethodGet && len(r.Header["Range"]) > 0
}

// choose returns which page answers r. One that was fetched for GET answers
// HEAD as well, if it is there.
func (h *handler) choose(r *http.Request) pageKey {
	key := h.keyOf(http.MethodGet, r)
	if r.Method == http.MethodHead {
		if e, ok := h.pages.Peek(key); !ok || e.left(time.Now()) <= 0 {
			key.method = http.MethodHead
		}
	}
	return key
}

// has reports whether the page is there for a, whole if a part of it is asked
// for. Parts are not worth a shared fetch: they go to the origin.
func (h *handler) has(key pageKey, a *ask, isPart bool) bool {
	e, ok := h.pages.Peek(key)
	return ok && !e.isVerdict() && e.freshFor(a, time.Now()) && (!isPart || e.canCut())
}

// without answers a request for a page that is not there.
func (h *handler) without(w http.ResponseWriter, a *ask) bool {
	if !a.says.OnlyIfCached {
		return false
	}
	h.stats.from[hit].Add(1)
	http.Error(w, "not in the cache", http.StatusGatewayTimeout)
	return true
}

// deliver writes e, as a response from a source.
func (h *handler) deliver(w http.ResponseWriter, r *http.Request, e *response, from source) bool {
	h.stats.from[from].Add(1)
	if e.writeTo(w, r, from) {
		return true
	}
	h.stats.from[from].Add(^uint64(0))
	return false
}

// pass lets r have the origin to itself.
func (h *handler) pass(w http.ResponseWriter, r *http.Request) {
	h.stats.from[passed].Add(1)
	w.Header().Set("X-Cache", passed.String())
	h.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), uriKey{}, r.URL.RequestURI())))
}

type uriKey struct{} // of what a user asked for, in a context

// noteWrite keeps in mind that a request that passed through may have changed
// the page (RFC 9111, 4.4).
func (h *handler) noteWrite(res *http.Response) {
	switch res.Request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return
	}
	if uri, ok := res.Request.Context().Value(uriKey{}).(string); ok && res.StatusCode < 400 {
		h.writes.add(uri, h.ticks.next())
	}
}

// fail tells a user what became of the fetch, and returns false if the user is
// to ask the origin separately. The origin's own error page is handed on as it is.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, from source, err error) bool {
	if r.Context().Err() != nil {
		h.stats.from[from].Add(1)
		return true // the user has left
	}
	bad, ok := errors.AsType[badStatus](err)
	if ok && (bad.isVerdict() || !h.deliver(w, r, bad.response, from)) {
		return false
	}
	h.stats.failed.Add(1)
	if ok {
		return true
	}
	h.stats.from[from].Add(1)
	if p, ok := errors.AsType[*dedup.PanicError](err); ok && from == led {
		h.log.Print(p)
	}
	status := statusOf(err)
	http.Error(w, http.StatusText(status), status)
	return true
}

// errStale is a failure to replace what must not be used any more.
var errStale = errors.New("stale, and the origin cannot be asked")

func statusOf(err error) int {
	switch {
	case errors.Is(err, dedup.ErrClosed), errors.Is(err, dedup.ErrTooManyWaiters):
		return http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStale):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// newProxy passes requests through, each for itself.
func newProxy(h *handler) http.Handler {
	return &httputil.ReverseProxy{
		Transport: h.transport,
		ErrorLog:  h.log,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery // though it may make no sense to us
			pr.SetURL(h.origin)
			pr.SetXForwarded()
		},
		ModifyResponse: func(res *http.Response) error {
			h.noteWrite(res)
			res.Header.Del("X-Cache") // of a cache further up
			if res.StatusCode >= 500 {
				h.stats.failed.Add(1)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return
			}
			h.stats.failed.Add(1)
			h.complain(r.Context(), r.Method+" "+r.URL.RequestURI(), err)
			status := statusOf(fmt.Errorf("origin: %w", err))
			http.Error(w, http.StatusText(status), status)
		},
	}
}

// complain logs what happened to a request to the origin, unless its end was
// asked for.
func (h *handler) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil && h.base.Err() == nil {
		h.log.Printf("%s: %v", what, err)
	}
}

// counted counts what goes to the origin, shared or not.
type counted struct {
	http.RoundTripper
	n atomic.Uint64
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(req)
}
