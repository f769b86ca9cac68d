package httpcache

import (
	"net/http"
	"slices"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// headAnswered is told what the origin answered to a HEAD request for a page that
// is not there for GET, or stale. The answer updates what is kept for GET if it is
// about the same version of the page (RFC 9111, 4.3.5), and has its fields then.
func (f *front) headAnswered(a *ask, key pageKey, e *response) {
	if e.home != key {
		defer f.pages.keep(e.home, e)
	}
	url := key.url()
	url.method = http.MethodGet
	place, old := f.pages.kept(url, a)
	if old == nil || e.status != http.StatusOK || old.status != http.StatusOK || e.revalidated ||
		!slices.Equal(old.vary, e.vary) || !rfc9111.SameVersion(e.header, old.header, old.length()) {
		return
	}
	now := time.Now()
	e.header = rfc9111.Freshen(old.header, e.header)
	e.policy = rfc9111.PolicyOf(e.status, e.header, now, now, f.rules)
	next := &response{
		status: old.status, header: e.header, above: e.above, body: old.body, policy: e.policy, born: e.born,
		revalidated: true, asked: e.asked, answered: e.answered, vary: old.vary, selected: old.selected, home: place,
	}
	f.pages.update(place, old, next)
	f.storage.later(next)
}

// length is how long the body is, or -1 if it is not known.
func (e *response) length() int64 {
	if e.body == nil || !e.body.whole.Load() {
		return -1
	}
	return e.body.length
}
