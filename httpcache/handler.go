package httpcache

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// A source says where an answer came from. Clients see it in X-Cache.
type source int8

const (
	passed      source = iota // from the origin, for this request only
	fetched                   // from the origin, by a fetch that this request started
	coalesced                 // from the origin, by a fetch that another request had started
	revalidated               // from the cache; this request had it revalidated
	hit                       // from the cache
	stale                     // from the cache, stale, as it may be
)

func (s source) String() string { return s.field()[0] }

var sources = [...]string{"passed", "fetched", "coalesced", "revalidated", "hit", "stale"}

// field returns the values of X-Cache. All responses share them, so they have no capacity
// for another one.
func (s source) field() []string { return sources[s : s+1 : s+1] }

// A front is a Proxy, a Handler or a Transport of a Cache. It answers requests by kept
// responses, and asks its origin for the others.
type front struct {
	*Cache
	site      string // its name in the Store
	origin    *url.URL
	transport http.RoundTripper
	proxy     http.Handler // of requests that pass through
	opts      ProxyOptions // zero without a proxy

	isHandler, isClient bool // if neither, it is a proxy, and has an origin
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.stats.running.add(1)
	defer f.stats.running.add(-1)
	f.stats.requests.Add(1)

	r = received(r)
	if f.origin != nil {
		if no := f.refusalOf(r); no != nil {
			f.stats.failed.Add(1)
			f.refuse(w, no)
			return
		}
		if isForThisProxy(r) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		r = oneHopLess(r)
	}
	if whyAlone(r) != "" || overrides(r) || !f.serve(w, r) {
		f.pass(w, r)
	}
}

// overrides reports whether the header of r names another method or URL than its request
// line. Some origins obey it, so the response must not be shared.
func overrides(r *http.Request) bool {
	for name := range r.Header {
		switch hyphened(name) {
		case "X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url":
			return true
		}
	}
	return false
}

// hyphened returns the name that some origins take for that of a field: they do not tell an
// underscore from a hyphen.
func hyphened(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// whyAlone returns why r passes through, or "" if it may be answered by a shared response.
func whyAlone(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "method " + r.Method
	}
	for _, name := range []string{"Proxy-Authorization", "Upgrade", "If-Match", "If-Unmodified-Since"} {
		if len(r.Header[name]) > 0 {
			return name
		}
	}
	if r.ContentLength != 0 {
		return "Content-Length"
	}
	return ""
}

// serve answers r by a kept response or a shared fetch. If r has to pass through, it writes
// nothing and returns false.
func (f *front) serve(w http.ResponseWriter, r *http.Request) bool {
	shared, ok := f.withoutCookies(r)
	if !ok {
		return false
	}
	a := f.newAsk(shared, w)
	defer a.interim.end() // in case of an early return
	url := f.choose(a)
	a.written = f.writes.last(url.uri)
	for range 3 { // a body may be evicted before deliver opens it
		if a.noSharedFetch() && !f.has(url, a) && !f.bring(url, a) && !f.fills(a, url) {
			return f.without(w, a)
		}
		e, from, err := f.find(a, url)
		a.interim.end()
		switch {
		case err != nil:
			return f.fail(w, a, from, err)
		case e == nil:
			f.passAs(w, r, url)
			return true
		case isRangeRequest(r) && f.tooLarge(e):
			f.large.add(url)
			return false
		case f.deliver(w, a, e, from):
			return true
		}
		f.pages.drop(e.home, e)
	}
	return false
}

// choose returns the key of the URL whose response answers a. A fresh response to GET also
// answers HEAD.
func (f *front) choose(a *ask) pageKey {
	url := f.keyOf(http.MethodGet, a.Request)
	if a.Method == http.MethodHead {
		if _, e := f.pages.kept(url, a); e == nil || e.left(time.Now()) <= 0 {
			url.method = http.MethodHead
		}
	}
	return url
}

// has reports whether a fresh response for a is kept. If a asks for a range, the whole body
// must be there.
func (f *front) has(url pageKey, a *ask) bool {
	_, e := f.pages.kept(url, a)
	return e != nil && e.freshFor(a, time.Now()) && (!isRangeRequest(a.Request) || e.canCut())
}

// without answers a if it has only-if-cached, and reports whether it did.
func (f *front) without(w http.ResponseWriter, a *ask) bool {
	if !a.says.OnlyIfCached {
		return false
	}
	f.stats.from[hit].Add(1)
	addStatus(w.Header(), cacheStatus{detail: "only-if-cached"}.line(f.name))
	http.Error(w, "not in the cache", http.StatusGatewayTimeout)
	return true
}

// deliver writes e, as a response from a source.
func (f *front) deliver(w http.ResponseWriter, a *ask, e *response, from source) bool {
	f.stats.from[from].Add(1)
	w.Header()["Cache-Status"] = []string{e.above + f.cacheStatusOf(a, e, from).line(f.name)}
	if e.writeTo(w, a.Request, from) {
		return true
	}
	w.Header().Del("Cache-Status")
	f.stats.from[from].Add(^uint64(0))
	return false
}

// fail answers a after its fetch has failed. An error page of the origin is passed on as it
// is. If a has to pass through, fail writes nothing and returns false.
func (f *front) fail(w http.ResponseWriter, a *ask, from source, err error) bool {
	if a.Context().Err() != nil {
		f.stats.from[from].Add(1)
		f.leave(w)
		return true
	}
	bad, ok := errors.AsType[badStatus](err)
	if ok && bad.personal {
		from = passed
	}
	if ok && (!bad.isFor(a) || !f.deliver(w, a, bad.response, from)) {
		return false
	}
	f.stats.failed.Add(1)
	if ok {
		return true
	}
	f.stats.from[from].Add(1)
	if p, ok := errors.AsType[*dedup.PanicError](err); ok && from == fetched {
		f.Logger.Error("httpcache: " + p.Error())
	}
	addStatus(w.Header(), f.cacheStatusOf(a, nil, from).line(f.name))
	f.explain(w, err)
	return true
}
