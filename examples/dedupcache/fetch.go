package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/vigil-go/vigil/examples/dedupcache/internal/httpcache"
	"github.com/vigil-go/vigil/waitgroup"
)

// A pageKey is everything that a shared request consists of: the origin is
// asked for this and nothing else, so no header of the user whose request was
// first can show in what the others get.
type pageKey struct {
	method, uri string
	vary        string // the fields that may make a difference, a line each
}

func (k pageKey) String() string { return k.method + " " + k.uri }

// weight is about how many bytes of memory a key takes.
func (k pageKey) weight() uint32 { return uint32(len(k.uri) + len(k.vary)) }

var errTimeout = fmt.Errorf("origin: took too long: %w", context.DeadlineExceeded)

// welcome is how long a body that is not to be stored waits for its readers,
// which have just been told that it is there.
const welcome = time.Second

// An upstream fetches responses from an origin.
type upstream struct {
	origin    *url.URL
	transport http.RoundTripper
	ttl       time.Duration // of a response that does not say, and of verdicts
	timeout   time.Duration // for a header, and for each piece of a body
	maxObject int64         // bytes of a body that is stored
	vary      []string      // request fields that may make a difference

	ticks   *ticks
	writes  writes
	base    context.Context // of every fetch: a body belongs to no user
	fetches *waitgroup.Group
	ended   func(pageKey, error) // is told when a body ended; by io.EOF if it is whole
}

// An exchange is one request to the origin, and the body that comes back.
type exchange struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	alarm  *time.Timer // cancels it; stopped while we do not wait for the origin
	limit  time.Duration
}

func (u *upstream) newExchange() *exchange {
	x := &exchange{limit: u.timeout}
	x.ctx, x.cancel = context.WithCancelCause(u.base)
	x.alarm = time.AfterFunc(x.limit, func() { x.cancel(errTimeout) })
	return x
}

func (x *exchange) expect() { x.alarm.Reset(x.limit) }
func (x *exchange) relax()  { x.alarm.Stop() }

// fetch asks the origin for key, and returns when the header is there; the body
// arrives by itself then. old, unless it is nil, is what was kept: the origin
// may say that it still holds.
//
// The end of ctx ends a fetch until the header is there, and no more after.
func (u *upstream) fetch(ctx context.Context, key pageKey, old *response) (*response, error) {
	x := u.newExchange()
	leave := context.AfterFunc(ctx, func() { x.cancel(context.Cause(ctx)) })
	e, res, err := u.ask(x, key, old)
	x.relax()
	if !leave() && err == nil {
		res.Body.Close()
		err = context.Cause(ctx)
	}
	switch {
	case err != nil:
		x.cancel(nil)
		return nil, err
	case e == nil: // a 304 about something else
		res.Body.Close()
		x.cancel(nil)
		return u.fetch(ctx, key, nil)
	}
	u.receive(x, key, e, res)
	if e.status >= 500 {
		return nil, badStatus{e}
	}
	return e, nil
}

// ask makes the request and judges what comes back. Without an error, the body
// is left to be closed.
func (u *upstream) ask(x *exchange, key pageKey, old *response) (*response, *http.Response, error) {
	req, err := u.request(x.ctx, key, old)
	if err != nil {
		return nil, nil, err
	}
	tick, asked := u.ticks.next(), time.Now()
	res, err := u.transport.RoundTrip(req)
	if err != nil {
		if x.ctx.Err() != nil {
			err = context.Cause(x.ctx)
		}
		return nil, nil, fmt.Errorf("origin: %w", err)
	}
	e := u.judge(req, res, old, asked)
	if e != nil {
		e.asked, e.landed = tick, u.ticks.next()
	}
	return e, res, nil
}

func (u *upstream) request(ctx context.Context, key pageKey, old *response) (*http.Request, error) {
	uri, err := url.ParseRequestURI(key.uri)
	if err != nil {
		return nil, err
	}
	req := &http.Request{Method: key.method, URL: uri, Header: key.fields()}
	(&httputil.ProxyRequest{Out: req}).SetURL(u.origin)
	if len(req.Header["User-Agent"]) == 0 { // else pages are told apart by it
		req.Header.Set("User-Agent", "vigil-dedupcache")
	}
	if old != nil {
		httpcache.AskIfChanged(req.Header, old.header)
	}
	return req.WithContext(ctx), nil
}

// judge makes a response of what the origin sent, without its body: a verdict
// if it is not to be shared, and nothing if it is no answer to req.
func (u *upstream) judge(req *http.Request, res *http.Response, old *response, asked time.Time) *response {
	now := time.Now()
	e := &response{status: res.StatusCode, header: httpcache.EndToEnd(res.Header)}
	if e.header.Get("Date") == "" {
		e.header.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	if res.StatusCode == http.StatusNotModified && isConditional(req) {
		if tag := e.header.Get("ETag"); tag != "" && !httpcache.SameTag(tag, old.header.Get("ETag")) {
			return nil
		}
		e.status, e.header, e.body = old.status, httpcache.Freshen(old.header, e.header), old.body
		e.revalidated = true
	}
	e.policy = httpcache.PolicyOf(e.status, e.header, asked, now, u.ttl)
	e.born = now.Add(-e.policy.Age)
	e.header.Del("Age")
	e.header.Del("X-Cache") // of a cache further up
	if e.policy.Personal || !u.knows(e.header["Vary"]) {
		return &response{status: e.status, verdict: now.Add(u.ttl)}
	}
	return e
}

func isConditional(r *http.Request) bool {
	return len(r.Header["If-None-Match"])+len(r.Header["If-Modified-Since"]) > 0
}

// knows reports whether pages are told apart by all the fields that Vary names;
// Accept-Encoding is the same in all shared requests that are not told apart by it.
func (u *upstream) knows(vary []string) bool {
	for _, name := range httpcache.List(vary) {
		name = http.CanonicalHeaderKey(name)
		if name != "Accept-Encoding" && !slices.Contains(u.vary, name) {
			return false
		}
	}
	return true
}

// receive lets the body of e arrive, if there is a new one.
func (u *upstream) receive(x *exchange, key pageKey, e *response, res *http.Response) {
	if e.isVerdict() || e.revalidated || key.method == http.MethodHead || e.status == http.StatusNoContent {
		res.Body.Close()
		x.cancel(nil)
		return
	}
	stored := e.status < 500 && res.ContentLength <= u.maxObject && e.keptFor(time.Now()) > 0
	b := newBody(u.maxObject, stored, x.cancel)
	e.body = b
	time.AfterFunc(welcome, b.release)
	u.fetches.Go(func() { u.fill(x, key, b, res.Body) })
}

var errUnwound = errors.New("origin: reading the body did not return")

// fill is the arrival of a body. It comes to an end though src may panic, or
// call runtime.Goexit: readers wait for it.
func (u *upstream) fill(x *exchange, key pageKey, b *body, src io.ReadCloser) {
	err := errUnwound
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: it panicked: %v\n%s", errUnwound, p, debug.Stack())
		}
		b.finish(err)
		x.relax()
		src.Close()
		x.cancel(nil)
		u.ended(key, err)
	}()
	err = b.fill(x.ctx, src, x.expect, x.relax)
}

// keyOf returns what r asks for, if it is done in a shared request.
func (u *upstream) keyOf(method string, r *http.Request) pageKey {
	var vary strings.Builder
	for _, name := range u.vary {
		value := strings.Join(r.Header[name], ", ")
		if name == "Accept-Encoding" {
			value = "identity"
			if acceptsGzip(r) {
				value = "gzip"
			}
		}
		if value != "" {
			fmt.Fprintf(&vary, "%s: %s\n", name, value)
		}
	}
	return pageKey{method, r.URL.RequestURI(), vary.String()}
}

// fields returns the header of the shared request.
func (k pageKey) fields() http.Header {
	h := http.Header{"Accept-Encoding": {"identity"}}
	for line := range strings.Lines(k.vary) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		h.Set(name, value)
	}
	return h
}

// acceptsGzip reports whether r takes a gzip answer. The origin is asked for
// gzip or for nothing, so Accept-Encoding adds one bit to the key.
func acceptsGzip(r *http.Request) bool {
	return slices.ContainsFunc(httpcache.List(r.Header["Accept-Encoding"]), func(token string) bool {
		name, q, _ := strings.Cut(token, ";")
		q = strings.ReplaceAll(q, " ", "")
		refused := strings.HasPrefix(q, "q=0") && strings.Trim(q[3:], ".0") == ""
		return strings.EqualFold(strings.TrimSpace(name), "gzip") && !refused
	})
}
