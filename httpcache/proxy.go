package httpcache

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"
)

// ProxyOptions are the options of [Cache.Proxy]. The zero value of each field
// stands for the default that it names.
type ProxyOptions struct {
	// Transport makes the requests to the origin. The default is a clone of
	// http.DefaultTransport that keeps 64 idle connections for each host.
	Transport http.RoundTripper

	// TrustedProxies are the addresses of the proxies in front of this one whose
	// Forwarded, X-Real-Ip and X-Forwarded-* fields are believed: the fields are
	// passed on, and the proxy's address is appended to X-Forwarded-For and
	// Forwarded. By default no peer is trusted: such fields are removed, and new
	// ones say who the peer is.
	TrustedProxies []netip.Prefix

	// PreserveHost passes the request's Host on. By default the origin is asked
	// with its own name, and X-Forwarded-Host says what the client asked for.
	PreserveHost bool

	// Forwarded adds a Forwarded field (RFC 7239) to the X-Forwarded-For, -Host
	// and -Proto fields that each request to the origin has. A Forwarded field of
	// a trusted proxy is extended in any case.
	Forwarded bool

	// Via is the name of this proxy, a token, in the Via field of its requests,
	// and in Proxy-Status. A request that has been here already, by its Via field,
	// is answered by status 508. The default is a random name, so that a proxy
	// that is in front of another of its kind is not taken for it.
	Via string

	// BodyTimeout is how long a client may take to send each piece of its
	// request's body until the origin answers: 408 otherwise. The default is
	// Options.Timeout.
	BodyTimeout time.Duration

	// Rewrite, if it is not nil, may change each request to the origin last, as
	// the function of that name of an [httputil.ReverseProxy]. It is called by
	// several goroutines at once, and nothing is held meanwhile.
	//
	// shared tells requests whose answer may go to others than the client of
	// pr.In. These have all end-to-end fields of that client, as in other caches.
	// If the origin's answer depends on a field and does not say so by Vary,
	// anybody can choose what the others get: such fields are to be deleted here.
	// pr.In has no body then, and may be used after its client has left.
	Rewrite func(pr *httputil.ProxyRequest, shared bool)
}

// withDefaults returns a copy of o, which may be nil, in which nothing is left
// to a default.
func (o *ProxyOptions) withDefaults(c *Cache) ProxyOptions {
	var opts ProxyOptions
	if o != nil {
		opts = *o
	}
	if opts.Transport == nil {
		opts.Transport = newTransport()
	}
	setDefault(&opts.BodyTimeout, c.Timeout)
	if opts.BodyTimeout < 0 {
		panic("httpcache: negative BodyTimeout")
	}
	setDefault(&opts.Via, "vigil-"+rand.Text()[:10])
	if !isToken(opts.Via) {
		panic("httpcache: Via is no token: " + opts.Via)
	}
	return opts
}

// Proxy returns a reverse proxy: it answers requests by what is kept, and else
// asks the origin, whose path comes before that of the request. A request whose
// path has a ".." in it, encoded or not, is answered by status 400: it could
// leave that of the origin.
//
// Requests that cannot be shared pass through, with their bodies and trailers,
// and those for another protocol too, like WebSocket, but not for another version
// of HTTP or for TLS: what goes through these would escape the rules here. The
// origin has Options.Timeout to begin its answer to such a request, counted from
// the last piece of the request's body, or to switch protocols; so a long poll
// must be shorter. How long the rest takes is not limited.
//
// The client's host and scheme, as the origin is told, are part of what tells
// pages apart; its address is not, which is that of whoever was first.
//
// Proxy panics if origin has no host, or an option makes no sense.
func (c *Cache) Proxy(origin *url.URL, o *ProxyOptions) http.Handler {
	if origin == nil || origin.Host == "" {
		panic("httpcache: Proxy needs an origin with a host")
	}
	opts := o.withDefaults(c)
	site := *origin
	site.User = nil
	f := &front{Cache: c, site: c.siteOf("proxy " + site.String()), origin: origin, transport: counted{opts.Transport, &c.stats.asked}, opts: opts}
	f.proxy = newProxy(f)
	return f
}

func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() // proxies, HTTP/2, dial timeouts
	t.DisableCompression = true                          // bodies are handed on as they come
	t.MaxIdleConnsPerHost = 64
	return t
}

// newProxy passes requests through, each for itself. They come by f.pass.
func newProxy(f *front) http.Handler {
	return &httputil.ReverseProxy{
		Transport: f.transport,
		ErrorLog:  slog.NewLogLogger(f.Logger.Handler(), slog.LevelError),
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery // though it may make no sense to us
			pr.Out.Trailer = pr.In.Trailer           // which is filled as the body is read
			f.rewrite(pr, false)
		},
		ModifyResponse: func(res *http.Response) error {
			f.inspect(res)
			res.Header.Set("X-Cache", passed.String()) // rather than that of a cache further up
			res.Header.Del("Surrogate-Key")
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) { passingOf(r).fail(err) },
	}
}

// rewrite lets a request go to the origin: what it asks for there, and what it says
// about the client.
func (f *front) rewrite(pr *httputil.ProxyRequest, shared bool) {
	if f.origin == nil {
		f.rewriteNext(pr)
		return
	}
	pr.SetURL(f.origin)
	pr.Out.URL.User = f.origin.User
	if f.opts.PreserveHost {
		pr.Out.Host = pr.In.Host
	}
	f.setForwarding(pr)
	if f.opts.Rewrite != nil {
		f.opts.Rewrite(pr, shared)
	}
}

// logFailure logs what happened to a request to the origin, unless its end was
// asked for.
func (f *front) logFailure(ctx context.Context, what string, err error) {
	if ctx.Err() == nil && f.base.Err() == nil {
		f.Logger.Error("httpcache: request to the origin failed", "request", what, "error", err)
	}
}

// counted counts what goes to the origin, shared or not.
type counted struct {
	http.RoundTripper
	n *atomic.Uint64
}

func (c counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(req)
}
