package httpcache

import (
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
	timer       *time.Timer
	own         http.Header // of the answer, except for the origin's fields
	uncacheable pageKey     // if it is not zero, the request passes because this URL is in Cache.uncacheable

	mu       sync.Mutex
	answered bool  // the header of the origin's response is there
	broken   error // why the client's body is not complete
}

type passingKey struct{} // of a passing, in the context of its request

func passingOf(r *http.Request) *passing { return r.Context().Value(passingKey{}).(*passing) }

func (f *front) newPassing(w http.ResponseWriter, r *http.Request) *passing {
	p := &passing{ResponseWriter: w, front: f, client: r, own: maps.Clone(w.Header())}
	clear(w.Header()) // otherwise an interim response would have these fields
	ctx, cancel := context.WithCancelCause(r.Context())
	p.cancel = cancel
	p.timer = time.AfterFunc(f.Timeout, func() { cancel(errTimeout) })
	if f.origin == nil { // a handler, and a client's transport, have no limit
		p.gotHeader()
	}
	p.request = r.WithContext(context.WithValue(ctx, passingKey{}, p))
	if r.Body != nil && r.Body != http.NoBody {
		stall := time.AfterFunc(time.Hour, p.stalled)
		stall.Stop()
		p.request.Body = &upload{r.Body, p, stall}
	}
	return p
}

func (p *passing) end() {
	p.gotHeader()
	p.cancel(nil)
}

// gotHeader notes that the header of the origin's response is there, so no limit is left.
func (p *passing) gotHeader() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = true
	p.timer.Stop()
}

// stopTimer is called while the client is waited for, not the origin.
func (p *passing) stopTimer() { p.timer.Stop() }

// startTimer is called when the client has sent a piece of its body, or all of it.
func (p *passing) startTimer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.answered {
		p.timer.Reset(p.front.Timeout)
	}
}

var errStalled = errors.New("the request's body does not arrive")

// stalled cancels a request whose body does not arrive. It also ends a read of the body that
// is in progress, because the server waits for that before it closes the connection.
func (p *passing) stalled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered {
		return
	}
	p.broken = errStalled
	http.NewResponseController(p.ResponseWriter).SetReadDeadline(time.Unix(1, 0))
	p.cancel(errStalled)
}

// breakBody notes the error of the client's body, and returns the first one.
func (p *passing) breakBody(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = err
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
	u.passing.stopTimer()
	u.stall.Reset(u.passing.front.opts.BodyTimeout)
	n, err := u.ReadCloser.Read(b)
	u.stall.Stop()
	u.passing.startTimer()
	if err != nil && err != io.EOF {
		err = u.passing.breakBody(err)
	}
	return n, err
}

// fail answers the client when there is no answer of the origin. If the client broke off its
// body, the origin has not failed.
func (p *passing) fail(err error) {
	p.mu.Lock()
	broken := p.broken
	p.mu.Unlock()
	f, ctx := p.front, p.client.Context()
	switch {
	case broken != nil: // which may be why ctx has ended
		f.refuse(p, badBody(broken))
		return
	case ctx.Err() != nil:
		return // the client has left
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
