package httpcache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

// pass sends r to the origin by itself.
func (f *front) pass(w http.ResponseWriter, r *http.Request) { f.passAs(w, r, pageKey{}) }

// passAs is pass. If url is not zero, the reason is that it is in Cache.uncacheable.
func (f *front) passAs(w http.ResponseWriter, r *http.Request, url pageKey) {
	f.stats.from[passed].Add(1)
	p := f.newPassing(w, r)
	p.uncacheable = url
	defer p.end()
	f.proxy.ServeHTTP(p, p.request)
}

// A passing is a request that passes through, and the http.ResponseWriter of its answer.
// While the origin is waited for, its timer runs.
type passing struct {
	http.ResponseWriter
	front       *front
	client      *http.Request
	request     *http.Request // what passes through, which ends with cancel
	cancel      context.CancelCauseFunc
	forget      func() bool // does without clientEnded
	timer       *time.Timer
	own         http.Header // of the answer, except for the origin's fields
	switched    io.Closer   // the origin's connection after a change of protocols, or nil
	uncacheable pageKey     // if it is not zero, the request passes because this URL is in Cache.uncacheable

	mu        sync.Mutex
	answered  bool  // the header of the origin's response is there
	uploading bool  // the client's body has not ended
	reading   bool  // a read of it is in progress
	broken    error // why it is not complete
}

type passingKey struct{} // of a passing, in the context of its request

func passingOf(r *http.Request) *passing { return r.Context().Value(passingKey{}).(*passing) }

func (f *front) newPassing(w http.ResponseWriter, r *http.Request) *passing {
	p := &passing{ResponseWriter: w, front: f, client: r, own: maps.Clone(w.Header()), forget: func() bool { return true }}
	clear(w.Header()) // otherwise an interim response would have these fields
	ctx, cancel := context.WithCancelCause(inServer(r.Context()))
	p.cancel = cancel
	p.timer = time.AfterFunc(f.Timeout, func() { cancel(errTimeout) })
	if f.origin == nil { // a handler, and a client's transport, have no limit
		p.gotHeader()
	}
	p.request = r.WithContext(context.WithValue(ctx, passingKey{}, p))
	if r.Body != nil && r.Body != http.NoBody {
		stall := time.AfterFunc(time.Hour, p.stalled)
		stall.Stop()
		p.uploading = true
		p.forget = context.AfterFunc(r.Context(), p.clientEnded)
		p.request.Body = &upload{r.Body, p, stall}
	}
	return p
}

func (p *passing) end() {
	p.gotHeader()
	p.forget()
	p.cancel(nil)
	if p.switched != nil { // a ReverseProxy that cannot tell the client leaves it open
		p.switched.Close()
	}
}

// gotHeader notes that the header of the origin's response is there, so no limit is left.
func (p *passing) gotHeader() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = true
	p.timer.Stop()
}

var errStalled = errors.New("the request's body does not arrive")

// stalled cancels a request whose body does not arrive.
func (p *passing) stalled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading && !p.answered {
		p.broken = errStalled
		p.endRead()
		p.cancel(errStalled)
	}
}

// clientEnded is called when the client's context has ended.
func (p *passing) clientEnded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.uploading && !p.answered {
		p.endRead()
	}
}

// endRead ends a read of the body that is in progress, and those that come. The transport waits for them
// before it returns, and the server before it sends the answer.
func (p *passing) endRead() {
	http.NewResponseController(p.ResponseWriter).SetReadDeadline(time.Unix(1, 0))
}

// beforeRead is called before each read of the client's body. While the client is waited for, the origin
// is not. After the end of the client's context it returns an error, because that of a read would say that
// the client is late.
func (p *passing) beforeRead() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.client.Context().Err(); err != nil && !p.answered {
		return err
	}
	p.reading = true
	p.timer.Stop()
	return nil
}

// afterRead is called with the error of each read. It returns the first one that there was, or err.
func (p *passing) afterRead(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	if !p.answered {
		p.timer.Reset(p.front.Timeout)
	}
	if err == nil {
		return nil
	}
	p.uploading = false
	if p.broken == nil && err != io.EOF {
		p.broken = err
	}
	return cmp.Or(p.broken, err)
}

// brokenBody returns why the client's body is not complete, or nil. If the server could not read it, it has
// ended the client's context before Read says so. If no read is in progress, the origin does not take it.
func (p *passing) brokenBody() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading && p.broken == nil && p.client.Context().Err() != nil {
		return errStalled
	}
	return p.broken
}

// An upload is the client's body on its way to the origin.
type upload struct {
	io.ReadCloser
	passing *passing
	stall   *time.Timer
}

func (u *upload) Read(b []byte) (int, error) {
	if err := u.passing.beforeRead(); err != nil {
		return 0, err
	}
	u.stall.Reset(u.passing.front.opts.BodyTimeout)
	n, err := u.ReadCloser.Read(b)
	u.stall.Stop()
	return n, u.passing.afterRead(err)
}

// fail answers the client when there is no answer of the origin. If the client broke off its
// body, the origin has not failed.
func (p *passing) fail(err error) {
	f, ctx := p.front, p.client.Context()
	if broken := p.brokenBody(); broken != nil { // which may be why ctx has ended
		f.refuse(p, badBody(broken))
		return
	}
	if ctx.Err() != nil {
		f.leave(p)
		return
	}
	if cause := context.Cause(p.request.Context()); cause != nil {
		err = cause
	}
	f.stats.failed.Add(1)
	f.logFailure(ctx, p.client.Method+" "+p.client.URL.RequestURI(), err)
	addStatus(p.Header(), p.cacheStatus(0).line(f.name))
	f.explain(p, fmt.Errorf("origin: %w", err))
}

// Unwrap is for http.ResponseController.
func (p *passing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// WriteHeader writes interim responses to clients that understand them, and then the header
// as it came. It does not guess a Content-Type.
func (p *passing) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		if isInterim(p.client, status) {
			p.ResponseWriter.WriteHeader(status)
		}
		return
	}
	h := p.Header()
	h.Set("X-Cache", passed.String())
	for name, values := range p.own {
		h[name] = append(h[name], values...)
	}
	if !p.front.isHandler {
		keepType(h)
	}
	p.ResponseWriter.WriteHeader(status)
}

// keepType prevents net/http from guessing the type of a body.
func keepType(h http.Header) {
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
}
