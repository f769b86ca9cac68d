package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/waitmap"
)

// A source says where an answer came from. Users see it in the X-Cache header.
type source int8

const (
	passed source = iota // from the origin, for this request only
	led                  // from the origin, by a fetch that this request started
	joined               // from the origin, by a fetch that was under way: coalesced
	hit                  // from the cache
)

func (s source) String() string { return [...]string{"passed", "fetched", "joined", "hit"}[s] }

// pages is a cache, coalescing or not.
type pages interface {
	Get(ctx context.Context, key pageKey) (*page, source, error)
}

// A handler serves shared pages from a cache and passes all else through.
type handler struct {
	pages pages
	proxy http.Handler
	log   *log.Logger
	stats stats
}

// stats counts the requests of a handler.
type stats struct {
	requests, failed atomic.Uint64
	from             [hit + 1]atomic.Uint64 // by source
	latency          histogram
	running          gauge
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	defer func() { h.stats.latency.record(time.Since(start)) }()
	h.stats.running.add(1)
	defer h.stats.running.add(-1)
	h.stats.requests.Add(1)

	if !shareable(r) {
		h.pass(w, r)
		return
	}
	p, from, err := h.pages.Get(r.Context(), keyOf(r))
	if err == nil && p.verdict {
		h.pass(w, r)
		return
	}
	h.stats.from[from].Add(1)
	if err != nil {
		h.fail(w, r, from, err)
		return
	}
	p.writeTo(w, r.Method, from)
}

// pass lets r have the origin to itself.
func (h *handler) pass(w http.ResponseWriter, r *http.Request) {
	h.stats.from[passed].Add(1)
	w.Header().Set("X-Cache", passed.String())
	h.proxy.ServeHTTP(w, r)
}

// fail tells a user what became of the fetch. The origin's own error page is
// handed on as it is.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, from source, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to be told
	}
	h.stats.failed.Add(1)
	if bad, ok := errors.AsType[badStatus](err); ok {
		bad.writeTo(w, r.Method, from)
		return
	}
	if from != joined { // once for each fetch
		h.explain(err)
	}
	status := statusOf(err)
	http.Error(w, http.StatusText(status), status)
}

func (h *handler) explain(err error) {
	h.log.Print(err)
	if p, ok := errors.AsType[*panicError](err); ok {
		h.log.Printf("%s", p.stack)
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, waitmap.ErrClosed):
		return http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// newHandler returns a handler without its pages.
func newHandler(u *upstream, log *log.Logger) *handler {
	h := &handler{log: log}
	h.proxy = newProxy(u, h)
	return h
}

// newProxy passes requests through, each for itself.
func newProxy(u *upstream, h *handler) http.Handler {
	return &httputil.ReverseProxy{
		Transport: u.transport,
		ErrorLog:  h.log,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(u.origin)
			pr.SetXForwarded()
		},
		ModifyResponse: func(res *http.Response) error {
			res.Header.Del("X-Cache") // of a cache further up
			if res.StatusCode >= 500 {
				h.stats.failed.Add(1)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			h.fail(w, r, passed, err)
		},
	}
}

// counted counts what goes to the origin, shared or not.
type counted struct {
	http.RoundTripper
	n atomic.Uint64
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(req)
}
