package httpcache

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// An Explanation is what a [Cache] would do with a response, and why. See [Cache.Explain].
type Explanation struct {
	// Status is the status of the response.
	Status int

	// Shared is true if other clients may get the response, at least those that waited
	// for it.
	Shared bool

	// NotShared is why the response is not Shared: a directive, a field or the status of
	// the response, or something in the request.
	NotShared string

	// Age is the age of the response when it was received.
	Age time.Duration

	// Fresh is the time for which the response is fresh after it was received: its
	// lifetime less its Age.
	Fresh time.Duration

	// Rule is what Fresh follows from: "s-maxage", "max-age", "Expires" or "no-cache" of
	// the response; "Last-Modified", which means a tenth of the time since then, at most
	// a day; "TTL", which means [Options].TTL; or "" if there is none of them.
	Rule string

	// StaleWhileRevalidate and StaleIfError are the times after Fresh for which the
	// response may be used while the origin is asked, and if that fails. They are those
	// of the directives, less the time for which the response had been stale when it was
	// received.
	StaleWhileRevalidate, StaleIfError time.Duration

	// MustRevalidate is true if the response is not used once it is stale, even if a
	// request allows that.
	MustRevalidate bool

	// Validated is true if the response has a validator, so that the origin can be asked
	// whether it is still valid when it is stale.
	Validated bool

	// Kept is the time for which the response is kept after it was received, unless it
	// is evicted. It exceeds Fresh if the response can be used or validated when it is
	// stale.
	Kept time.Duration

	// NotKept is why the response is not kept at all.
	NotKept string

	// Method, Scheme, Host and URI (path and query) are the key of the page.
	Method, Scheme, Host, URI string

	// Vary names the request fields that belong to the key of the response, and Cookies
	// the cookies of the request that do; see [Options].KeyCookies.
	Vary, Cookies []string

	// Details are the fields and directives of the response that matter to the cache.
	Details []Detail
}

// A Detail is a field of a response, or one directive of it, and what it means to the cache.
type Detail struct {
	Field string // the name of the field
	Value string // its value, or one of its directives
	Means string // a few words
}

// Explain returns what the cache would do with res, a response to req for which the origin
// was asked at the time asked, and which was received now. The zero time means now. Explain
// keeps and changes nothing, and does not read the body. Host and scheme are those of req
// itself; forwarding fields are not trusted.
//
// Handlers, Transports and Proxies of the Cache treat a response in the same way.
func (c *Cache) Explain(req *http.Request, res *http.Response, asked time.Time) Explanation {
	now := time.Now()
	if asked.IsZero() {
		asked = now
	}
	req = received(req)
	shared := &http.Request{Method: req.Method, Header: sharedFields(req.Header)}
	e := c.toResponse(shared, res, nil, asked, now)
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

// whyNotAsked returns why r gets no kept or shared response, or "".
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

// locate sets the key of the response.
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
