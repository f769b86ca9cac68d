package httpcache

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// An Explanation says what a cache makes of a response, and why. See [Cache.Explain].
type Explanation struct {
	// Status is that of the response.
	Status int

	// Shared: other clients than the one that it was asked for may have it, if
	// only those that waited for it.
	Shared bool

	// NotShared is why it is not Shared: a directive, a field or the status of the
	// response; or what the request has.
	NotShared string

	// Age is how old it was when it was received.
	Age time.Duration

	// Fresh is for how long it is fresh from then on: its lifetime less the Age.
	Fresh time.Duration

	// Rule is what Fresh follows from: "s-maxage", "max-age", "Expires" and
	// "no-cache" are what the response says; "Last-Modified" stands for a tenth of
	// the time since then, at most a day, and "TTL" for [Options].TTL. It is "" if
	// nothing says that the response is fresh.
	Rule string

	// StaleWhileRevalidate and StaleIfError are for how long after Fresh it may be
	// used, while the origin is asked and if that fails: what the directives say,
	// less the time for which it had been stale when it was received.
	StaleWhileRevalidate, StaleIfError time.Duration

	// MustRevalidate: it is not used once it is stale, whatever a request allows.
	MustRevalidate bool

	// Validated: once it is stale, the origin is asked whether it still holds.
	Validated bool

	// Kept is for how long it is kept from when it was received, unless there is
	// no room. That is more than Fresh if it is of use when it is stale.
	Kept time.Duration

	// NotKept is why it is not kept at all.
	NotKept string

	// Method, Scheme, Host and URI (path and query) are what the response belongs to.
	Method, Scheme, Host, URI string

	// Vary names the fields of requests that it depends on, and Cookies those
	// cookies of the request (Options.KeyCookies).
	Vary, Cookies []string

	// Details are what the response says that matters here.
	Details []Detail
}

// A Detail is one thing that a response says about caches, and what it means to
// this one.
type Detail struct {
	Field string // its name
	Value string // as it was read: of Cache-Control, one directive
	Means string
}

// Explain says what the cache would make of a response to req for which the origin
// was asked at a time, and which is received now. The zero time stands for now.
// Nothing is kept or changed, and the body is not looked at, only its ContentLength.
// The host and the scheme are those of req itself, whatever proxies say in it.
//
// A Handler, Transport or Proxy of the cache judges a response in the same way.
func (c *Cache) Explain(req *http.Request, res *http.Response, asked time.Time) Explanation {
	now := time.Now()
	if asked.IsZero() {
		asked = now
	}
	shared := &http.Request{Method: req.Method, Header: sharedFields(req.Header)}
	e := c.toResponse(shared, res, nil, asked)
	_, known := varyOf(e.header)
	left := e.left(now)
	late := min(0, left)
	x := Explanation{
		Status: e.status, NotShared: cmp.Or(c.whyNotAsked(req), c.whyPersonal(shared, &e.policy, known)),
		Age: e.policy.Age, Fresh: max(0, left), Rule: e.policy.Rule, MustRevalidate: e.policy.MustRevalidate,
		StaleWhileRevalidate: max(0, e.policy.StaleWhileRevalidate+late),
		StaleIfError:         max(0, e.policy.StaleIfError+late),
	}
	x.Shared = x.NotShared == ""
	length := res.ContentLength
	if hasNoBody(req.Method, e.status) {
		length = 0
	}
	if x.NotKept = c.whyDropped(e, length, now); !x.Shared {
		x.NotKept = "not shared"
	}
	if x.NotKept == "" {
		x.Kept, x.Validated = e.keptFor(now), rfc9111.HasValidator(e.header)
	}
	c.locate(&x, req, e)
	c.quote(&x, res.Header, e)
	return x
}

// whyNotAsked returns why r does not get what is kept or shared, or "".
func (c *Cache) whyNotAsked(r *http.Request) string {
	says := saysOf(r.Header)
	_, plain := c.withoutCookies(r)
	switch {
	case whyAlone(r) != "":
		return whyAlone(r) + " of the request"
	case overrides(r):
		return "method or URL override of the request"
	case !plain:
		return "Cookie of the request"
	case says.NoStore:
		return "no-store of the request"
	case isRangeRequest(r):
		return "Range of the request"
	}
	return ""
}

// locate says what tells the response apart from others.
func (c *Cache) locate(x *Explanation, r *http.Request, e *response) {
	x.Method, x.Scheme, x.Host, x.URI = r.Method, "http", strings.ToLower(cmp.Or(r.Host, r.URL.Host)), r.URL.RequestURI()
	if r.TLS != nil || r.URL.Scheme == "https" {
		x.Scheme = "https"
	}
	x.Vary = e.vary
	if shared, ok := c.withoutCookies(r); ok && !c.Private {
		for _, cookie := range shared.Cookies() {
			x.Cookies = append(x.Cookies, cookie.Name)
		}
	}
}
