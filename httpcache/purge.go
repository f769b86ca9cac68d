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

// A Selection says which responses [Cache.Purge] is about. One of URL, Prefix and
// Tag is set.
type Selection struct {
	// URL is a path with its query, as in a request: "/page?q=1". All variants
	// of the page are selected; with a scheme and a host in front, only those that
	// clients asked this host for.
	URL string

	// Prefix selects all URLs, in the form above, that begin with it. "/" stands
	// for everything.
	Prefix string

	// Tag selects responses that have this element in their fields Cache-Tag, a
	// list with commas, or Surrogate-Key, a list with spaces. Case matters. Clients
	// do not see Surrogate-Key.
	Tag string

	// Soft makes the responses stale instead of removing them. The origin may say
	// that they still hold, and they are used under stale-while-revalidate and
	// stale-if-error, whose times begin now.
	Soft bool

	host string // of URL
}

// Purge removes the selected responses, or makes them stale, and returns how many
// of those in memory it found. A request that comes after Purge has returned gets
// nothing that the origin was asked for before the call, unless it is stale and
// may be used so: a fetch under way continues for the users that wait for it, and
// its response is not kept as fresh. Purge panics if not exactly one of URL,
// Prefix and Tag is set.
//
// It holds as well for what is in Options.Store, from where it is removed in the
// background. If the process is killed before that is done, the next one may use it.
func (c *Cache) Purge(s Selection) (n int) {
	p := c.purges.add(s.checked())
	if c.storage != nil {
		if c.storage.backlog.purged() {
			c.storage.swept.Store(p)
		}
	}
	for key, e := range c.pages.All() {
		e.catchUp() // also if p is not about it: what was before p can be forgotten then
		if e.rule != nil || !p.selects(e) {
			continue
		}
		if n++; !s.Soft {
			c.pages.drop(key, e)
		}
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

// A purge is one call of Purge, and leads to those that came later. A response
// has a pointer to the last one that it knows of: at first, that from before the
// origin was asked. So it finds out what concerns it whenever it looks, and a
// purge is garbage when all responses have seen it.
type purge struct {
	Selection
	at   time.Time
	next atomic.Pointer[purge]
}

// purges is the end of the list.
type purges struct {
	mu   sync.Mutex // of writers
	last atomic.Pointer[purge]
}

func (ps *purges) add(s Selection) *purge {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := &purge{Selection: s, at: time.Now()}
	ps.last.Load().next.Store(p)
	ps.last.Store(p)
	return p
}

// purged is when purges made a response stale, in Unix nanoseconds, or removed.
type purged struct {
	seen  atomic.Pointer[purge]
	since atomic.Int64 // 0: never
}

const removed = math.MinInt64

// catchUp looks at the purges that e does not know of yet.
func (e *response) catchUp() {
	last := e.seen.Load()
	if last == nil || last.next.Load() == nil {
		return
	}
	for p := last.next.Load(); p != nil; p = p.next.Load() {
		if last = p; p.selects(e) {
			e.suffer(p)
		}
	}
	e.seen.Store(last)
}

// suffer makes p hold for e: the earliest of several, or one that removes it.
func (e *response) suffer(p *purge) {
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

// leftOf returns what purges leave of the time for which e is still fresh.
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
