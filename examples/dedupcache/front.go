package main

import (
	"context"
	"hash/maphash"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/waitgroup"
)

// fetchTimeout is for an origin's header, and for each piece of a body.
const fetchTimeout = 30 * time.Second

// A front is what stands before an origin: a handler, its pages, and what there
// is to know about them.
type front struct {
	*handler
	asked *counted // requests that went to the origin
	close func()   // ends what is under way; all users get errors
}

// newFront returns a front that coalesces, or one that does not.
func newFront(cfg *config, target *url.URL, t http.RoundTripper, coalesce bool, log *log.Logger) (*front, error) {
	asked := &counted{RoundTripper: t}
	base, end := context.WithCancelCause(context.Background())
	h := &handler{log: log, upstream: &upstream{
		origin: target, transport: asked, vary: cfg.vary,
		ttl: cfg.ttl, timeout: fetchTimeout, maxObject: int64(cfg.maxObject),
		ticks: new(ticks), writes: writes{seed: maphash.MakeSeed()}, base: base, fetches: new(waitgroup.Group),
	}}
	pages, err := newPages(h.lead, uint64(cfg.maxBytes), coalesce)
	if err != nil {
		end(nil)
		return nil, err
	}
	h.pages, h.upstream.ended, h.proxy = pages, h.bodyEnded, newProxy(h)
	return &front{handler: h, asked: asked, close: func() {
		end(dedup.ErrClosed)
		pages.Close()
		h.fetches.Wait(context.Background())
		if idle, ok := t.(interface{ CloseIdleConnections() }); ok {
			idle.CloseIdleConnections()
		}
	}}, nil
}
