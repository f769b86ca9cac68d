package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/examples/dedupcache/internal/httpcache"
)

// afterlife is how long a response that the origin can be asked about is kept
// beyond its time: it may turn out that it still holds.
const afterlife = time.Hour

// A response is one answer of the origin to a shared request. Except for its
// body, which may still be arriving, it does not change: many write it out at
// once, and a newer one replaces it.
type response struct {
	status int
	header http.Header // end to end, without Age
	body   *body       // nil: it has none
	policy httpcache.Policy
	born   time.Time // when its age was 0

	revalidated bool // the origin said that what was kept still holds

	asked  uint64 // the front's tick at which the origin was asked
	landed uint64 // and at which the answer was there

	// verdict: there is nothing to share here, every user asks separately.
	// Kept until the time given, so that users that come next do not wait to
	// hear it.
	verdict time.Time

	weighed  atomic.Uint32 // what weight was when it was stored last
	renewing atomic.Bool   // a renewal is under way in the background
}

// A badStatus is a response that says that the origin is in trouble. It is an
// error, so that it goes to the users that waited for it and is not kept.
type badStatus struct{ *response }

func (e badStatus) Error() string { return fmt.Sprintf("origin: status %d", e.status) }

// isVerdict tells a verdict from a response.
func (e *response) isVerdict() bool { return !e.verdict.IsZero() }

// keptFor returns how much longer the response is worth keeping. That is more
// than it is fresh if it can be used, or validated, when it is stale.
func (e *response) keptFor(now time.Time) time.Duration {
	switch {
	case e.isVerdict():
		return e.verdict.Sub(now)
	case e.body != nil && !e.body.keepable():
		return 0
	}
	stale := max(e.policy.StaleWhileRevalidate, e.policy.StaleIfError)
	if httpcache.HasValidator(e.header) {
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
func (e *response) left(now time.Time) time.Duration { return e.policy.Lifetime - now.Sub(e.born) }

// weight is about how many bytes of memory the response takes, or will.
func (e *response) weight() uint32 {
	size := int64(500)
	for name, values := range e.header {
		size += int64(len(name))
		for _, value := range values {
			size += int64(len(value))
		}
	}
	if e.body != nil {
		arrived, _ := e.body.size()
		announced, _ := strconv.ParseInt(e.header.Get("Content-Length"), 10, 64)
		size += max(arrived, min(announced, e.body.limit))
	}
	return uint32(size)
}

// freshFor reports whether a is answered by the response as it is: because it
// is fresh, or because the origin was asked after a had come. The second holds
// for what is never fresh as well: users that wait for it together share it.
func (e *response) freshFor(a *ask, now time.Time) bool {
	if e.asked > a.tick {
		return true
	}
	if e.asked < a.written {
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
	picky := a.says.MaxAge.Given || a.says.MinFresh.Given
	return !picky && e.asked > a.written && e.left(now)+allowed > 0
}

// writeTo answers r. It returns false, and has written nothing, if the body was
// lost meanwhile. A body that breaks off aborts the connection: the user must
// not take it for a whole one.
func (e *response) writeTo(w http.ResponseWriter, r *http.Request, from source) bool {
	var body *reader
	if e.body != nil {
		var ok bool
		if body, ok = e.body.open(); !ok {
			return false
		}
		defer e.body.release()
	}
	h := w.Header()
	maps.Copy(h, e.header)
	h.Set("X-Cache", from.String())
	h.Set("Age", strconv.FormatInt(int64(max(0, time.Since(e.born))/time.Second), 10))
	switch {
	case e.status == http.StatusOK && httpcache.NotModified(r.Header, e.header):
		h.Del("Content-Length")
		w.WriteHeader(http.StatusNotModified)
	case body == nil:
		w.WriteHeader(e.status)
	default:
		e.writeBody(w, r, body)
	}
	return true
}

func (e *response) writeBody(w http.ResponseWriter, r *http.Request, body *reader) {
	data, whole := e.body.complete()
	if whole {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	}
	if wantsPart(r) && e.canCut() { // another page than the one that was seen before, perhaps
		modified, _ := http.ParseTime(e.header.Get("Last-Modified"))
		http.ServeContent(w, r, "", modified, bytes.NewReader(data))
		return
	}
	w.WriteHeader(e.status)
	switch {
	case r.Method == http.MethodHead:
	case whole:
		w.Write(data)
	default:
		if err := body.writeTo(r.Context(), w); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// canCut reports whether a part of the response can be served: all of it is
// there, and it is what its offsets are about.
func (e *response) canCut() bool {
	if e.body == nil || e.status != http.StatusOK || len(e.header["Content-Encoding"]) > 0 {
		return false
	}
	_, whole := e.body.complete()
	return whole
}

// writeTo hands on what arrives, as it arrives.
func (r *reader) writeTo(ctx context.Context, w http.ResponseWriter) error {
	out := http.NewResponseController(w)
	buf := make([]byte, piece)
	for {
		n, err := r.read(ctx, buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		if r.caughtUp() {
			out.Flush() // what comes next may take a while
		}
	}
}
