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

// afterlife is how long a response that the origin can be asked about is kept
// beyond its time: it may turn out that it still holds.
const afterlife = time.Hour

// maxAge is how long a rule is kept, unless there is no room.
const maxAge = 365 * 24 * time.Hour

// A response is one answer of the origin to a shared request. Except for its
// body, which may still be arriving, it does not change: many write it out at
// once, and a newer one replaces it.
type response struct {
	status  int
	header  http.Header // end to end, without Age and Cache-Status
	above   string      // what is to come before our member of Cache-Status
	body    *body       // nil: it has none
	trailer *trailer    // of the body; nil: it has none
	policy  rfc9111.Policy
	born    time.Time // when its age was 0

	head atomic.Pointer[[]byte] // for a quickConn

	revalidated bool // the origin said that what was kept still holds

	asked  uint64 // the front's tick at which the origin was asked
	landed uint64 // and at which the answer was there

	personal bool // it is for the user whose fetch this was, and no other

	vary     []string // the request fields that it depends on
	selected string   // and their values in the request for it
	home     pageKey  // where it belongs

	tags []string // for purges
	purged

	rule *rule // it is no response, but tells those of its URL apart

	weighed  atomic.Uint32 // what weight was when it was stored last
	replaced atomic.Bool   // another version, or none, has taken its place
	renewing atomic.Bool   // a renewal is under way in the background
}

// A badStatus is a response that says that the origin is in trouble. It is an
// error, so that it goes to the users that waited for it and is not kept.
type badStatus struct{ *response }

func (e badStatus) Error() string { return fmt.Sprintf("origin: status %d", e.status) }

// suits reports whether e, which came from a place, is what the origin would
// send a too.
func (e *response) suits(a *ask, place pageKey) bool {
	if e.rule != nil { // another user has just taught it
		return false
	}
	return e.home == place || e.personal || selecting(e.vary, a.Header) == e.selected
}

// isFor reports whether a may have e, which it waited for.
func (e *response) isFor(a *ask) bool {
	return e.personal && e == a.own.Load() || !e.personal && selecting(e.vary, a.Header) == e.selected
}

// keptAt is keptFor, at a place.
func (e *response) keptAt(key pageKey, now time.Time) time.Duration {
	if e.personal || e.home != key {
		return 0
	}
	return e.keptFor(now)
}

// isFailure tells answers of an origin in trouble, unless it says that they hold
// for a while.
func (e *response) isFailure(now time.Time) bool {
	return e.status >= 500 && (e.personal || e.left(now) <= 0)
}

// keptFor returns how much longer the response is worth keeping. That is more
// than it is fresh if it can be used, or validated, when it is stale.
func (e *response) keptFor(now time.Time) time.Duration {
	switch {
	case e.rule != nil:
		return maxAge
	case e.body != nil && !e.body.kept.Load():
		return 0
	}
	stale := max(e.policy.StaleWhileRevalidate, e.policy.StaleIfError)
	if rfc9111.HasValidator(e.header) {
		stale = max(stale, afterlife)
	}
	return e.left(now) + stale
}

// weigh is weight, for the cache.
func (e *response) weigh() uint32 {
	e.weighed.Store(e.weight())
	return e.weighed.Load()
}

// left is how much longer the response is fresh.
func (e *response) left(now time.Time) time.Duration {
	return e.leftOf(e.policy.Lifetime-now.Sub(e.born), now)
}

// weight is about how many bytes of memory the response takes, or will.
func (e *response) weight() uint32 {
	size := int64(1100 + 2*len(e.selected) + 16*len(e.tags)) // measured, with what the store takes
	if e.rule != nil {
		size += e.rule.weight()
	}
	for name, values := range e.header {
		size += int64(len(name))
		for _, value := range values {
			size += int64(len(value))
		}
	}
	if e.body != nil {
		size += e.body.weight()
	}
	return uint32(min(size, math.MaxUint32))
}

// freshFor reports whether a is answered by the response as it is: because it
// is fresh, or because the origin was asked after a had come. The second holds
// for what is never fresh as well: users that wait for it together share it.
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

// staleFor reports whether a is answered by the response although it is stale,
// given for how long that is allowed. Users can forbid it, and so does a write.
func (e *response) staleFor(a *ask, now time.Time, allowed time.Duration) bool {
	picky := a.says.NoCache || a.says.MaxAge.Given || a.says.MinFresh.Given
	return !picky && e.asked > a.written && e.left(now)+allowed > 0
}

// staleIfError is for how long beyond its lifetime a is answered by the response
// if the origin fails: as it says itself, or as a does (RFC 5861, 4).
func (e *response) staleIfError(a *ask) time.Duration {
	if e.policy.MustRevalidate {
		return 0
	}
	return max(e.policy.StaleIfError, a.says.StaleIfError.For)
}

// writeTo answers r. It returns false, and has written nothing, if the body was
// lost meanwhile. A body that breaks off aborts the connection.
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

// writeHeader writes the header, unless a body follows: then it returns true. The
// body is whole, unless there is a follower.
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

// age is the value of the response's Age field now.
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
