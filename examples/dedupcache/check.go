package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/vigil-go/vigil/httpcache"
	"github.com/vigil-go/vigil/internal/cli"
)

// check asks for cfg.page as a shared request does, once, and writes what would become
// of the answer.
func check(ctx context.Context, cfg *config, stdout io.Writer) error {
	cache, err := httpcache.New(cfg.options(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	defer cache.Close()
	transport := realTransport()
	defer transport.CloseIdleConnections()
	look := &look{RoundTripper: transport, cache: cache}
	if look.plain, err = http.NewRequestWithContext(ctx, http.MethodGet, cfg.page.String(), nil); err != nil {
		return err
	}
	origin := &url.URL{Scheme: cfg.page.Scheme, Host: cfg.page.Host}
	proxy := cache.Proxy(origin, &httpcache.ProxyOptions{Transport: look})
	answer := &nowhere{header: http.Header{}}
	proxy.ServeHTTP(answer, asServed(look.plain))
	switch {
	case look.err != nil:
		return fmt.Errorf("%s: %w", cfg.page.Redacted(), cli.OneLine(look.err))
	case !look.done:
		return fmt.Errorf("%s: the proxy does not pass this on, but answers with status %d", cfg.page.Redacted(), answer.status)
	}
	fmt.Fprintf(stdout, "GET %s\n\n%s", cfg.page, look.explanation)
	return nil
}

// asServed returns r as a server gets it.
func asServed(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	in.URL = &url.URL{Path: cmp.Or(r.URL.Path, "/"), RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	in.RequestURI, in.RemoteAddr, in.Body = r.URL.RequestURI(), "127.0.0.1:0", http.NoBody
	return in
}

// A look makes one request, and reads only the header of the response.
type look struct {
	http.RoundTripper
	cache *httpcache.Cache
	plain *http.Request // as a client makes it

	done        bool
	explanation httpcache.Explanation
	err         error
}

var errLooked = errors.New("the header is all that is needed")

func (l *look) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	res, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		l.err = cmp.Or(context.Cause(r.Context()), err)
		return nil, err
	}
	l.explanation, l.done = l.cache.Explain(l.plain, res, asked), true
	res.Body.Close()
	return nil, errLooked
}

// nowhere is a response of which only the status is used.
type nowhere struct {
	header http.Header
	status int
}

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) WriteHeader(status int)      { n.status = status }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
