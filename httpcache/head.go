package httpcache

import (
	"net/http"
	"slices"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// headAnswered is called with the response e to a HEAD request, when no response to GET is
// kept or it is stale. If both are of the same version of the page, e updates the fields of
// the response to GET (RFC 9111, 4.3.5), and gets its other fields.
func (f *front) headAnswered(a *ask, key pageKey, e *response) {
	url := key.url()
	url.method = http.MethodGet
	place, old := f.pages.kept(url, a)
	if old == nil || e.status != http.StatusOK || old.status != http.StatusOK || e.revalidated || old.isRemoved() ||
		!slices.Equal(old.vary, e.vary) || !rfc9111.SameVersion(e.header, old.header, old.length()) {
		return
	}
	now := time.Now()
	e.header = rfc9111.Freshen(old.header, e.header)
	e.policy = rfc9111.PolicyOf(e.status, e.header, now, now, f.rules)
	if e.tags == nil {
		e.tags = old.tags
	}
	next := &response{
		status: old.status, header: e.header, above: e.above, body: old.body, trailer: old.trailer, policy: e.policy, born: e.born,
		revalidated: true, asked: e.asked, answered: e.answered, vary: old.vary, selected: old.selected, home: place, tags: e.tags,
	}
	next.seen.Store(e.seen.Load())
	f.pages.update(place, old, next)
	f.storage.later(next)
}

// length returns the length of the body, or -1 if it is not known.
func (e *response) length() int64 {
	if e.body == nil || !e.body.whole.Load() {
		return -1
	}
	return e.body.length
}
