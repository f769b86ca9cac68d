package main

import (
	"log"
	"net/http"
	"net/url"
	"time"
)

const (
	fetchTimeout = 30 * time.Second
	maxBody      = 256 << 10 // bytes of one shared page
	maxPages     = 1 << 10   // pages kept at once
)

// A front is what stands before an origin: a handler, its cache, and what
// there is to know about them.
type front struct {
	*handler
	asked   *counted // requests that went to the origin
	waiting *gauge   // requests that wait for a page
	close   func()
}

// newFront returns a front that coalesces, or one that does not.
func newFront(target *url.URL, t *http.Transport, ttl time.Duration, coalesce bool, log *log.Logger) *front {
	asked := &counted{RoundTripper: t}
	up := &upstream{origin: target, transport: asked, ttl: ttl, maxBody: maxBody}
	options := shelfOptions[*page]{limit: maxPages, ttl: func(p *page) time.Duration { return p.keep }}

	f := &front{handler: newHandler(up, log), asked: asked, close: t.CloseIdleConnections}
	if !coalesce {
		d := newDirect(up.fetch, options)
		f.pages, f.waiting = d, &d.values.waiting
		return f
	}
	c := newCache(up.fetch, fetchTimeout, options)
	f.pages, f.waiting = c, &c.values.waiting
	f.close = func() { c.Close(); t.CloseIdleConnections() }
	return f
}
