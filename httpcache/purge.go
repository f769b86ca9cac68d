package httpcache

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// A Selection selects responses for [Cache.Purge]. Exactly one of URL, Prefix and Tag must
// be set.
type Selection struct {
	// URL selects all variants of one page. It is a path with its query, as in a request:
	// "/page?q=1". With a scheme and a host, "http://example.org/page", it selects only
	// responses to requests for that host, of any scheme.
	URL string

	// Prefix selects all pages whose path and query begin with it. "/" selects everything.
	Prefix string

	// Tag selects responses that have this tag in Cache-Tag, whose tags are separated by
	// commas, or in Surrogate-Key, whose tags are separated by spaces. Case matters.
	// Surrogate-Key is not passed on to clients.
	Tag string

	// Soft makes the responses stale instead of removing them. They can be revalidated,
	// and can be used for the times of stale-while-revalidate and stale-if-error, which
	// begin now.
	Soft bool

	host string // of URL
}

// Purge removes the selected responses, or makes them stale, and returns the number of those
// that were in memory. It panics unless exactly one of URL, Prefix and Tag is set.
//
// A request that comes after Purge has returned gets no selected response that the origin
// was asked for before the call, except for a stale one after a soft purge. A fetch in
// flight continues for the requests that wait for it, but its response is not kept as
// fresh.
//
// Purge also selects the responses in Options.Store, which are removed in the background.
// Purge returns when it is recorded in the Store, so that the next process continues if this
// one is killed. If recording fails or takes more than 2 s, a kill can bring them back.
func (c *Cache) Purge(s Selection) (n int) {
	p := c.purges.add(s.checked())
	if c.storage != nil {
		if c.storage.backlog.purged() {
			c.storage.swept.Store(p)
		}
	}
	for key, e := range c.pages.All() {
		e.catchUp() // even if p does not select it, so that the purges before p become garbage
		if e.rule != nil || !p.selects(e) {
			continue
		}
		if n++; !s.Soft {
			c.pages.drop(key, e)
		}
	}
	if c.storage != nil {
		c.storage.record(p)
	}
	return n
}

func (s Selection) checked() Selection {
	set := 0
	for _, field := range []string{s.URL, s.Prefix, s.Tag} {
		if field != "" {
			set++
		}
	}
	if set != 1 {
		panic("httpcache: a Selection needs one of URL, Prefix and Tag")
	}
	if u, err := url.Parse(s.URL); err == nil && u.Host != "" {
		s.URL, s.host = u.RequestURI(), strings.ToLower(u.Host)
	}
	return s
}

func (s *Selection) selects(e *response) bool {
	switch {
	case s.URL != "":
		host, _, _ := strings.Cut(e.home.host, " ")
		return e.home.uri == s.URL && (s.host == "" || s.host == host)
	case s.Prefix != "":
		return strings.HasPrefix(e.home.uri, s.Prefix)
	}
	return slices.Contains(e.tags, s.Tag)
}

// tagsOf returns the tags of a response.
func tagsOf(h http.Header) []string {
	tags := rfc9111.List(h["Cache-Tag"])
	for _, field := range h["Surrogate-Key"] {
		tags = append(tags, strings.Fields(field)...)
	}
	return tags
}

// A purge is one call of Purge, in a list whose order is that of the calls. A response
// points to the last purge that has been applied to it; at first, to the last one before
// the origin was asked. The later ones are applied when the response is used, so a purge
// is garbage as soon as it has been applied to all responses.
type purge struct {
	Selection
	at     time.Time
	number uint64 // of the one before, and one
	next   atomic.Pointer[purge]
}

// purges has the end of the list.
type purges struct {
	mu   sync.Mutex // locked while a purge is added
	last atomic.Pointer[purge]
}

func (ps *purges) add(s Selection) *purge { return ps.addAt(s, time.Now()) }

func (ps *purges) addAt(s Selection, at time.Time) *purge {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := &purge{Selection: s, at: at, number: ps.last.Load().number + 1}
	ps.last.Load().next.Store(p)
	ps.last.Store(p)
	return p
}

// A purged is what purges have done to a response.
type purged struct {
	seen  atomic.Pointer[purge]
	since atomic.Int64 // the time at which it became stale, in Unix nanoseconds; zero, or removed
}

const removed = math.MinInt64

// catchUp applies the purges that have not been applied to e yet.
func (e *response) catchUp() {
	last := e.seen.Load()
	if last == nil || last.next.Load() == nil {
		return
	}
	for p := last.next.Load(); p != nil; p = p.next.Load() {
		if last = p; p.selects(e) {
			e.applyPurge(p)
		}
	}
	e.seen.Store(last)
}

// applyPurge applies p to e. Of several purges, one that removes e counts, or the earliest.
func (e *response) applyPurge(p *purge) {
	since := p.at.UnixNano()
	if !p.Soft {
		since = removed
	}
	for old := e.since.Load(); old == 0 || since < old; old = e.since.Load() {
		if e.since.CompareAndSwap(old, since) {
			return
		}
	}
}

// isRemoved reports whether a purge has removed e.
func (e *response) isRemoved() bool {
	e.catchUp()
	return e.since.Load() == removed
}

// leftOf returns for how much longer e is fresh, after purges. Without them that is left.
func (e *response) leftOf(left time.Duration, now time.Time) time.Duration {
	e.catchUp()
	switch since := e.since.Load(); since {
	case 0:
		return left
	case removed:
		return math.MinInt64 / 2
	default:
		return min(left, time.Duration(since-now.UnixNano()))
	}
}
