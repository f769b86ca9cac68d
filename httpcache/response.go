package httpcache

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// validationTime is how long a response with a validator is kept after it has become stale.
// Until then the origin can say that it is still valid.
const validationTime = time.Hour

// maxAge is how long a rule is kept, unless it is evicted.
const maxAge = 365 * 24 * time.Hour

// A response is what the origin answered to a shared request. It is immutable except for its
// body, which may still be arriving, and for atomic fields, because many requests write it
// out at once.
type response struct {
	status  int
	header  http.Header // end to end, without Age and Cache-Status
	above   string      // the members of Cache-Status of the caches before this one
	body    *body       // nil if it has none
	trailer *trailer    // of the body; nil if it has none
	policy  rfc9111.Policy
	born    time.Time // the time at which its age was zero

	head atomic.Pointer[[]byte] // for a quickConn

	revalidated bool // the origin has said that a kept response is still valid

	asked    uint64 // the tick at which the origin was asked
	answered uint64 // the tick at which the header was there

	personal bool // it is only for the client that started the fetch

	vary     []string // the request fields that it varies by
	selected string   // their values in the request
	home     pageKey  // the key under which it is kept

	tags []string // for purges
	purged

	rule *rule // not nil if this is no response, but the rule of a URL; see vary.go

	weighed  atomic.Uint32 // its weight when it was stored last
	replaced atomic.Bool   // it was replaced or removed
	renewing atomic.Bool   // it is being replaced in the background
}

// A badStatus is the response of an origin that failed. It is an error, so that it goes to
// the requests that waited for it and is not kept.
type badStatus struct{ *response }

func (e badStatus) Error() string { return fmt.Sprintf("origin: status %d", e.status) }

// suits reports whether e, which was found or fetched for place, is the right variant for a.
func (e *response) suits(a *ask, place pageKey) bool {
	if e.rule != nil { // the rule of the URL has been made meanwhile
		return false
	}
	return e.home == place || e.personal || selecting(e.vary, a.Header) == e.selected
}

// isFor reports whether a may be answered by e, which it waited for.
func (e *response) isFor(a *ask) bool {
	return e.personal && e == a.own.Load() || !e.personal && selecting(e.vary, a.Header) == e.selected
}

// keptAt is keptFor, under a key.
func (e *response) keptAt(key pageKey, now time.Time) time.Duration {
	if e.personal || e.home != key {
		return 0
	}
	return e.keptFor(now)
}

// received returns the time at which the response was received, or renewed.
func (e *response) received() time.Time { return e.born.Add(e.policy.Age) }

// isFailure reports whether the origin failed. A status of 500 or more is no failure if the
// response is shared and fresh.
func (e *response) isFailure(now time.Time) bool {
	return e.status >= 500 && (e.personal || e.left(now) <= 0)
}

// keptFor returns for how much longer the response is kept: while it is fresh, and while it
// can be used or validated when it is stale.
func (e *response) keptFor(now time.Time) time.Duration {
	switch {
	case e.rule != nil:
		return maxAge
	case e.body != nil && !e.body.kept.Load():
		return 0
	}
	stale := max(e.policy.StaleWhileRevalidate, e.policy.StaleIfError)
	if rfc9111.HasValidator(e.header) {
		stale = max(stale, validationTime)
	}
	return e.left(now) + stale
}

// weigh is weight, for the cache.
func (e *response) weigh() uint32 {
	e.weighed.Store(e.weight())
	return e.weighed.Load()
}

// left returns for how much longer the response is fresh. It is negative if it is stale.
func (e *response) left(now time.Time) time.Duration {
	return e.leftOf(e.policy.Lifetime-now.Sub(e.born), now)
}

// weight returns about how many bytes of memory the response takes, or will take.
func (e *response) weight() uint32 {
	size := int64(1100 + 2*len(e.selected) + len(e.above)) // measured, with the memory of dedup.Cache
	if e.rule != nil {
		size += e.rule.weight()
	}
	for _, tag := range e.tags {
		size += int64(16 + len(tag))
	}
	for _, fields := range []http.Header{e.header, e.trailer.known()} {
		for name, values := range fields {
			size += int64(len(name))
			for _, value := range values {
				size += int64(len(value))
			}
		}
	}
	if e.body != nil {
		size += e.body.weight()
	}
	return uint32(min(size, math.MaxUint32))
}

// freshFor reports whether the response answers a without a fetch: because it is fresh, or
// because the origin was asked after a came. The latter also applies to responses that are
// never fresh, so that requests that wait for one together share it.
func (e *response) freshFor(a *ask, now time.Time) bool {
	if e.asked > a.tick {
		return true
	}
	if e.asked < a.written || a.says.NoCache {
		return false
	}
	left := e.left(now)
	if age := now.Sub(e.born); a.says.MaxAge.Given && age > a.says.MaxAge.For {
		return false
	}
	return left > 0 && left >= a.says.MinFresh.For
}

// staleFor reports whether the response answers a although it is stale, if that is allowed
// for a time. The request can forbid that, and so does a write to the page.
func (e *response) staleFor(a *ask, now time.Time, allowed time.Duration) bool {
	strict := a.says.NoCache || a.says.MaxAge.Given || a.says.MinFresh.Given
	return !strict && e.asked > a.written && e.left(now)+allowed > 0
}

// staleIfError returns for how long after its lifetime the response answers a if the origin
// fails. The response and the request may each allow that (RFC 5861, 4).
func (e *response) staleIfError(a *ask) time.Duration {
	if e.policy.MustRevalidate {
		return 0
	}
	return max(e.policy.StaleIfError, a.says.StaleIfError.For)
}

// writeTo answers r. If the body was evicted meanwhile, it writes nothing and returns false.
// If the body breaks off, writeTo aborts the connection.
func (e *response) writeTo(w http.ResponseWriter, r *http.Request, from source) bool {
	if e.body == nil {
		e.writeHeader(w, r, from, nil)
		return true
	}
	if !e.body.open() {
		return false
	}
	defer e.body.release()
	if from == hit || from == stale {
		e.body.visit()
	}
	follower, ok := e.body.follow()
	if !ok {
		return false
	}
	if follower != nil {
		defer follower.close()
	}
	if e.writeHeader(w, r, from, follower) {
		e.writeBody(w, r, follower)
	}
	return true
}

// writeHeader sets the header. It writes it unless a body follows, and reports whether one
// does. The body is whole if there is no follower.
func (e *response) writeHeader(w http.ResponseWriter, r *http.Request, from source, follower *reader) bool {
	h := w.Header()
	maps.Copy(h, e.header)
	keepType(h)
	h["X-Cache"] = from.field()
	h.Set("Age", e.age())
	switch {
	case e.status == http.StatusOK && rfc9111.NotModified(r.Header, e.header, time.Now()):
		h.Del("Content-Length")
		w.WriteHeader(http.StatusNotModified)
		return false
	case e.body == nil:
		w.WriteHeader(e.status)
		return false
	case follower == nil:
		h["Content-Length"] = e.body.field
	}
	return true
}

// age returns the value of the Age field.
func (e *response) age() string {
	return strconv.FormatInt(int64(max(0, time.Since(e.born))/time.Second), 10)
}

func (e *response) writeBody(w http.ResponseWriter, r *http.Request, follower *reader) {
	if e.cut(w, r, follower) {
		return
	}
	if e.trailer.announce(w.Header()) {
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(e.status)
	switch {
	case r.Method == http.MethodHead:
		return
	case follower == nil:
		e.body.writeWhole(w)
	default:
		follower.writeTo(r.Context(), w)
	}
	e.trailer.write(w)
}
