package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"
)

// A pageKey is everything that a shared request consists of: the origin is
// asked for this and nothing else, so no header of the user who happened to be
// first can show in what the others get.
type pageKey struct {
	method, uri string
	gzip        bool
}

func keyOf(r *http.Request) pageKey {
	return pageKey{method: r.Method, uri: r.URL.RequestURI(), gzip: acceptsGzip(r)}
}

func (k pageKey) String() string { return k.method + " " + k.uri }

// A page is one answer of the origin, complete. Nobody changes it: many write
// it out at once.
type page struct {
	status int
	header http.Header
	body   []byte
	born   time.Time
	keep   time.Duration

	// verdict: there is nothing to share here, everybody asks for himself.
	// Kept like a page, so that those who come next do not wait to hear it.
	verdict bool
}

// A badStatus is a page that says that the origin is in trouble. It is an
// error, so that it goes to those who waited for it and is not kept.
type badStatus struct{ *page }

func (e badStatus) Error() string { return fmt.Sprintf("origin: status %d", e.status) }

// An upstream fetches pages from an origin.
type upstream struct {
	origin    *url.URL
	transport http.RoundTripper
	ttl       time.Duration
	maxBody   int64 // larger answers are not shared
}

// fetch is the loader of the cache.
func (u *upstream) fetch(ctx context.Context, key pageKey) (*page, error) {
	req, err := u.request(ctx, key)
	if err != nil {
		return nil, err
	}
	res, err := u.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("origin: %w", err)
	}
	defer res.Body.Close()
	return u.read(res)
}

func (u *upstream) request(ctx context.Context, key pageKey) (*http.Request, error) {
	uri, err := url.ParseRequestURI(key.uri)
	if err != nil {
		return nil, err
	}
	req := &http.Request{Method: key.method, URL: uri, Header: http.Header{}}
	(&httputil.ProxyRequest{Out: req}).SetURL(u.origin)
	req.Header.Set("User-Agent", "vigil-dedupcache")
	req.Header.Set("Accept-Encoding", "identity")
	if key.gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	return req.WithContext(ctx), nil
}

func (u *upstream) read(res *http.Response) (*page, error) {
	p := &page{status: res.StatusCode, born: time.Now().Add(-seconds(res.Header.Get("Age")))}
	p.keep = keepFor(res.StatusCode, res.Header, u.ttl)
	if personal(res) || res.ContentLength > u.maxBody && res.Request.Method != http.MethodHead {
		return u.doNotShare(res), nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, u.maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("origin: reading the body: %w", err)
	}
	if int64(len(body)) > u.maxBody {
		return u.doNotShare(res), nil
	}
	p.header, p.body = endToEnd(res.Header), body
	if res.StatusCode >= 500 {
		return nil, badStatus{p}
	}
	return p, nil
}

// doNotShare is the verdict on a response; trouble passes, so it is not kept.
func (u *upstream) doNotShare(res *http.Response) *page {
	p := &page{verdict: true, keep: u.ttl}
	if res.StatusCode >= 500 {
		p.keep = 0
	}
	return p
}

// endToEnd returns the headers that are not about one connection.
func endToEnd(h http.Header) http.Header {
	h = maps.Clone(h)
	for _, name := range tokens(h["Connection"]) {
		h.Del(name)
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		h.Del(name)
	}
	return h
}

// writeTo answers a request with p.
func (p *page) writeTo(w http.ResponseWriter, method string, from source) {
	h := w.Header()
	maps.Copy(h, p.header)
	h.Set("X-Cache", from.String())
	if from == hit {
		h.Set("Age", strconv.Itoa(int(time.Since(p.born).Seconds())))
	}
	if method != http.MethodHead && p.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(p.body)))
	}
	w.WriteHeader(p.status)
	io.Copy(w, bytes.NewReader(p.body))
}
