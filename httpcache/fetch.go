package httpcache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// A pageKey is the key of a page, or of one of its variants.
type pageKey struct {
	front       *front
	method, uri string
	cookies     string // those of Options.KeyCookies

	// Of the request, as the origin gets them. They may show in the response.
	scheme, host string

	vary string // of a response that depends on request fields: their values
}

// only returns a key for a alone, under which nothing is kept.
func (k pageKey) only(a *ask) pageKey {
	k.vary = "only " + strconv.FormatUint(a.tick, 10)
	return k
}

func (k pageKey) String() string { return k.method + " " + k.uri }

// url returns the key of all responses of k's URL.
func (k pageKey) url() pageKey {
	k.vary = ""
	return k
}

// weight is about how many bytes of memory a key takes.
func (k pageKey) weight() uint32 {
	return uint32(len(k.uri) + len(k.cookies) + len(k.scheme) + len(k.host) + len(k.vary))
}

var errTimeout = fmt.Errorf("origin: took too long: %w", context.DeadlineExceeded)

// An exchange is one request to the origin, and the body that comes back.
type exchange struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer // cancels the exchange; stopped while the origin is not waited for
	limit   time.Duration
	method  string
	hasBody bool // a body arrives, whose end ends the exchange
}

func (f *front) newExchange(method string) *exchange {
	return f.newExchangeWithin(method, f.Timeout)
}

func (f *front) newExchangeWithin(method string, limit time.Duration) *exchange {
	x := &exchange{limit: limit, method: method}
	x.ctx, x.cancel = context.WithCancelCause(f.base)
	x.timer = time.AfterFunc(x.limit, func() { x.cancel(errTimeout) })
	return x
}

func (x *exchange) startTimer() { x.timer.Reset(x.limit) }
func (x *exchange) stopTimer()  { x.timer.Stop() }

// endWithoutBody ends an exchange unless a body arrives by it, also if something panicked.
func (x *exchange) endWithoutBody() {
	if !x.hasBody {
		x.stopTimer()
		x.cancel(nil)
	}
}

// fetch asks the origin for key, with the header of a, and returns when the header of the
// response is there. The body then arrives in the background. If old is not nil, the origin
// is asked whether it is still valid.
//
// The end of ctx ends the fetch only until the header is there.
func (f *front) fetch(ctx context.Context, a *ask, key pageKey, old *response) (*response, error) {
	x := f.newExchange(key.method)
	defer x.endWithoutBody()
	leave := context.AfterFunc(ctx, func() { x.cancel(context.Cause(ctx)) })
	e, res, err := f.ask(x, a, key, old)
	x.stopTimer()
	if !leave() && err == nil {
		res.Body.Close()
		err = context.Cause(ctx)
	}
	switch {
	case err != nil:
		return nil, err
	case e == nil: // a 304 for another version
		res.Body.Close()
		return f.fetch(ctx, a, key, nil)
	}
	return e, f.accept(x, a, e, res, key)
}

// accept stores e, if it is shared, and starts the arrival of its body. If e is a failure,
// accept returns it as an error.
func (f *front) accept(x *exchange, a *ask, e *response, res *http.Response, key pageKey) error {
	e.selected = selecting(e.vary, a.Header)
	arrive := f.receive(x, a, e, res)
	if e.isFailure(time.Now()) {
		e.home = key
		arrive()
		return badStatus{e}
	}
	if key.method == http.MethodHead && !e.personal {
		f.headAnswered(a, key, e)
	}
	if e.home = key; !e.personal {
		f.pages.addVariant(key, e, e.vary, a.Header)
	}
	arrive()
	return nil
}

// ask makes the request, and returns the response in both forms. If there is no error, the
// caller closes the body.
func (f *front) ask(x *exchange, a *ask, key pageKey, old *response) (*response, *http.Response, error) {
	req, err := f.request(x.ctx, a, key, old)
	if err != nil {
		return nil, nil, err
	}
	seen, tick, asked := f.purges.last.Load(), f.ticks.next(), time.Now()
	res, err := f.transport.RoundTrip(req)
	if err != nil {
		if x.ctx.Err() != nil {
			err = context.Cause(x.ctx)
		}
		return nil, nil, fmt.Errorf("origin: %w", err)
	}
	e := f.toResponse(req, res, old, asked, time.Now())
	if e != nil {
		e.asked, e.answered = tick, f.ticks.next()
		e.seen.Store(seen)
	}
	return e, res, nil
}

// request returns the shared request for key, with the end-to-end header of a.
func (f *front) request(ctx context.Context, a *ask, key pageKey, old *response) (*http.Request, error) {
	uri, err := url.ParseRequestURI(key.uri)
	if err != nil {
		return nil, err
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: a.inform})
	req := (&http.Request{Method: key.method, URL: uri, Header: sharedFields(a.Header)}).WithContext(ctx)
	req.Header.Set("Accept-Encoding", codingsOf(a.Header["Accept-Encoding"]).String())
	if old != nil {
		rfc9111.AskIfChanged(req.Header, old.header)
	}
	pr := &httputil.ProxyRequest{In: a.Request, Out: req}
	f.rewrite(pr, true)
	return pr.Out, nil
}

// toResponse returns a response, without its body, of what the origin has sent by now. It
// returns nil if res is a 304 for another version than old.
func (c *Cache) toResponse(req *http.Request, res *http.Response, old *response, asked, now time.Time) *response {
	e := &response{status: res.StatusCode, header: rfc9111.EndToEnd(res.Header), tags: tagsOf(res.Header)}
	if e.header.Get("Date") == "" {
		e.header.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	if res.StatusCode == http.StatusNotModified && isConditional(req) {
		if !rfc9111.IsAbout(e.header, old.header) {
			return nil
		}
		e.status, e.header, e.body, e.trailer = old.status, rfc9111.Freshen(old.header, e.header), old.body, old.trailer
		e.revalidated = true
		if e.tags == nil {
			e.tags = old.tags
		}
	}
	less := c.withoutSetCookies(e.header)
	e.policy = rfc9111.PolicyOf(e.status, less, asked, now, c.rules)
	e.born = now.Add(-e.policy.Age)
	var known bool
	e.vary, known = varyOf(e.header)
	if e.personal = c.whyPersonal(req, &e.policy, known) != ""; !e.personal {
		e.header = less
	}
	if above := e.header["Cache-Status"]; len(above) > 0 {
		e.above = strings.Join(above, ", ") + ", "
	}
	for _, name := range []string{"Age", "Cache-Status", "Surrogate-Key", "X-Cache"} { // X-Cache of another cache
		e.header.Del(name)
	}
	return e
}

// whyPersonal returns why a response to req is not shared, or "". known is false if it is
// not known which requests it answers.
func (c *Cache) whyPersonal(req *http.Request, p *rfc9111.Policy, known bool) string {
	switch {
	case p.Personal:
		return p.Why
	case !known:
		return "Vary"
	case !p.ForAll && !c.Private && len(req.Header["Authorization"]) > 0:
		return "Authorization"
	}
	return ""
}

// whyDropped returns why e is not kept, or "". The body has a length, or -1 if that
// is not known.
func (c *Cache) whyDropped(e *response, length int64, now time.Time) string {
	switch {
	case e.personal:
		return "not shared"
	case e.isFailure(now):
		return "a failure of the origin"
	case length > c.MaxObject:
		return "larger than MaxObject"
	case e.keptFor(now) <= 0:
		return "not fresh, and of no use when stale"
	}
	return ""
}

func isConditional(r *http.Request) bool {
	return len(r.Header["If-None-Match"])+len(r.Header["If-Modified-Since"]) > 0
}

// receive sets the body of e, if res has a new one. The body arrives after the call of the
// function that receive returns.
func (f *front) receive(x *exchange, a *ask, e *response, res *http.Response) (arrive func()) {
	if e.revalidated || hasNoBody(x.method, e.status) {
		return func() { res.Body.Close() }
	}
	stored := f.whyDropped(e, res.ContentLength, time.Now()) == ""
	b := newBody(f.budget, page{f, e}, stored, streamOptions{
		announced: res.ContentLength, limit: f.MaxObject, window: f.window,
		maxDelay: f.MaxDelay, unreadTimeout: f.UnreadTimeout, resume: f.resumer(e, res),
		background: a.tick == 0 && stored && res.ContentLength >= 0, // no request waits
	}, x.cancel)
	e.body = b
	s, src := b.stream.Load(), e.withTrailer(res)
	x.hasBody = true
	return func() {
		f.fetches.Go(func() { f.fill(x, s, src, func(err error) { f.bodyEnded(e, stored, err) }) })
	}
}

func hasNoBody(method string, status int) bool {
	return method == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// fill reads a body into s, and then calls ended. Readers wait for the end of s, so it ends
// even if src panics or calls runtime.Goexit.
func (f *front) fill(x *exchange, s *stream, src io.ReadCloser, ended func(error)) {
	err := errUnwound
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: it panicked: %v\n%s", errUnwound, p, debug.Stack())
		}
		defer ended(err)
		s.finish(err)
		x.stopTimer()
		defer x.cancel(nil)
		f.closeBody(src)
	}()
	err = s.fill(x.ctx, src, x.startTimer, x.stopTimer)
}

// closeBody closes a body, and logs a panic of Close, which would otherwise end the program.
func (f *front) closeBody(body io.Closer) {
	defer func() {
		if p := recover(); p != nil {
			f.Logger.Error("httpcache: closing a body panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	body.Close()
}

// keyOf returns the key of the URL that r asks for. The path is that which the origin gets,
// byte by byte.
func (f *front) keyOf(method string, r *http.Request) pageKey {
	host, scheme := f.keyHost(r)
	key := pageKey{front: f, method: method, scheme: scheme, host: host, uri: r.URL.RequestURI()}
	if cookies := r.Header["Cookie"]; len(cookies) > 0 && !f.Private {
		key.cookies = cookies[0] // one line, with KeyCookies only; see withoutCookies
	}
	return key
}

// mayChange reports whether a response may depend on the well-known field of a name.
func mayChange(name string) bool {
	return isForAll(name) || name == "Transfer-Encoding" || name == "X-Requested-With" ||
		strings.HasPrefix(name, "Accept-") || strings.HasPrefix(name, "Sec-")
}

// sharedFields returns the fields of a client's header that a shared request has: those
// that are end-to-end, without conditions and ranges.
func sharedFields(user http.Header) http.Header {
	h := rfc9111.EndToEnd(user)
	for _, name := range []string{
		"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
		"Content-Length", "Expect", "Proxy-Authorization",
	} {
		h.Del(name)
	}
	for name := range h {
		if plain := hyphened(name); plain != name && mayChange(plain) {
			delete(h, name)
		}
	}
	if len(h["User-Agent"]) == 0 {
		h["User-Agent"] = []string{""} // otherwise the transport sets its own
	}
	return h
}
