package httpcache

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// A cacheStatus is this cache's member of a Cache-Status field (RFC 9211).
type cacheStatus struct {
	forward   string // why the origin was asked; "" for a hit
	status    int    // of the response of the origin; zero if there is none
	stored    bool
	collapsed bool // with the request of another client
	kept      bool // ttl is shown
	ttl       time.Duration
	detail    string // a token
	key       string
}

// Why the origin was asked.
const (
	forMethod  = "method"    // of a method that kept responses do not answer
	forBypass  = "bypass"    // the request is not one for a shared response
	forRequest = "request"   // the request demands it
	forNothing = "uri-miss"  // nothing is kept for the URL
	forVariant = "vary-miss" // only other variants are kept
	forMiss    = "miss"      // what is kept is not valid, or is not shared
	forStale   = "stale"
)

// line returns the member of a cache with that name.
func (t cacheStatus) line(name string) string {
	b := append(make([]byte, 0, 96), name...)
	switch {
	case t.forward != "":
		b = append(append(b, "; fwd="...), t.forward...)
	case t.detail == "":
		b = append(b, "; hit"...)
	}
	if t.forward != "" && t.status > 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(t.status), 10)
	}
	if t.kept {
		b = strconv.AppendInt(append(b, "; ttl="...), seconds(t.ttl), 10)
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{t.stored, "; stored"}, {t.collapsed, "; collapsed"}} {
		if flag.set {
			b = append(b, flag.name...)
		}
	}
	if t.key != "" {
		b = append(append(b, "; key="...), quoted(t.key)...)
	}
	if t.detail != "" {
		b = append(append(b, "; detail="...), t.detail...)
	}
	return string(b)
}

// cacheStatusOf returns the cacheStatus of a, which gets e from a source. e may be nil.
func (f *front) cacheStatusOf(a *ask, e *response, from source) cacheStatus {
	t := cacheStatus{forward: a.why, status: a.failed, collapsed: from == coalesced}
	if f.ShowKeys {
		t.key = a.URL.RequestURI()
	}
	if e == nil {
		return t
	}
	now := time.Now()
	t.ttl = e.left(now)
	switch {
	case from == hit || a.why == "":
		t.forward, t.collapsed, t.kept = "", false, true
		return t
	case from == stale:
		t.kept = true
		return t
	case e.revalidated:
		t.status = http.StatusNotModified
	default:
		t.status = e.status
	}
	t.stored = !e.personal && !e.isFailure(now) && e.keptFor(now) > 0
	t.kept = t.stored
	return t
}

// cacheStatus returns the cacheStatus of a request that passes through.
func (p *passing) cacheStatus(status int) cacheStatus {
	t := p.front.cacheStatusAlone(p.client, status)
	if p.uncacheable != (pageKey{}) {
		t.forward = forMiss
	}
	return t
}

// cacheStatusAlone returns the cacheStatus of r, which no kept response can answer.
func (f *front) cacheStatusAlone(r *http.Request, status int) cacheStatus {
	t := cacheStatus{forward: whyPassed(r), status: status}
	if f.ShowKeys {
		t.key = r.URL.RequestURI()
	}
	return t
}

// whyAsked returns why e, which is kept under key or nil, does not answer a.
func whyAsked(a *ask, url, key pageKey, e *response) string {
	switch {
	case e == nil && key != url:
		return forVariant
	case e == nil:
		return forNothing
	case e.asked < a.written:
		return forMiss
	case e.left(time.Now()) > 0:
		return forRequest
	}
	return forStale
}

// seconds rounds down, so that the time left of a stale response is negative.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second < 0 {
		s--
	}
	return s
}

// addStatus appends a member to the Cache-Status of a response. Those of caches nearer to the
// origin come first.
func addStatus(h http.Header, line string) {
	if above := h["Cache-Status"]; len(above) > 0 {
		line = strings.Join(above, ", ") + ", " + line
	}
	h["Cache-Status"] = []string{line}
}

// whyPassed returns why r passes through.
func whyPassed(r *http.Request) string {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return forMethod
	case rfc9111.Parse(r.Header["Cache-Control"]).NoStore:
		return forRequest
	case len(r.Header["Range"]) > 0:
		return forMiss
	}
	return forBypass
}

var errName = errors.New("httpcache: Name has a character that is not printable ASCII")

// nameOf returns the name of a cache as an item of a structured field.
func nameOf(name string) (string, error) {
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return "", errName
		}
	}
	if rfc9111.IsToken(name) {
		return name, nil
	}
	return quoted(name), nil
}

// quoted returns s as a string of a structured field. Characters that such a string cannot
// have are percent-encoded.
func quoted(s string) string {
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			const hex = "0123456789ABCDEF"
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
