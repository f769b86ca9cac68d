package httpcache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"
)

// ProxyOptions are the options of [Cache.Proxy]. The zero value of a field means its default.
type ProxyOptions struct {
	// Transport makes the requests to the origin. The default is a clone of
	// http.DefaultTransport that keeps 64 idle connections for each host.
	Transport http.RoundTripper

	// TrustedProxies are the addresses of the proxies in front of this one whose
	// Forwarded, X-Real-Ip and X-Forwarded-* fields are trusted. These fields are passed
	// on, and the address of the peer is appended to X-Forwarded-For and Forwarded. By
	// default no peer is trusted: these fields are removed, and replaced by the address,
	// host and scheme of the request itself.
	TrustedProxies []netip.Prefix

	// PreserveHost passes the Host of the request on. By default Host is the origin's,
	// and X-Forwarded-Host is that of the request.
	PreserveHost bool

	// Forwarded adds a Forwarded field (RFC 7239) to each request to the origin, next to
	// X-Forwarded-For, -Host and -Proto. A Forwarded field of a trusted proxy is always
	// extended.
	Forwarded bool

	// Via is the name of this proxy in the Via field of its requests, and in the
	// Proxy-Status field of its errors (RFC 9209). It must be a token. A request whose
	// Via has this name gets status 508, because it is in a loop. The default is a random
	// name, so that proxies in a chain have different names.
	Via string

	// BodyTimeout is the time within which a client must send each piece of the body of
	// its request, until the origin answers. Otherwise it gets status 408. The default is
	// Options.Timeout. After the answer, and if a handler around the proxy passes an
	// http.ResponseWriter whose SetReadDeadline an [http.ResponseController] does not find,
	// only http.Server.ReadTimeout limits it.
	BodyTimeout time.Duration

	// Rewrite, if it is not nil, may change each request to the origin before it is sent,
	// like the field of that name in [httputil.ReverseProxy]. It may be called from several
	// goroutines at once, with nothing locked.
	//
	// shared is true if the response may also go to other clients than that of pr.In. The
	// request has all end-to-end fields of that client. If responses of the origin depend
	// on a field that they do not name in Vary, one client can choose what others get, so
	// Rewrite must delete such fields from pr.Out. If shared is true, pr.In has no body,
	// and Rewrite may be called after its client has left.
	Rewrite func(pr *httputil.ProxyRequest, shared bool)
}

// withDefaults returns a copy of o with all defaults filled in. o may be nil.
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
		panic("httpcache: Via is not a token: " + opts.Via)
	}
	return opts
}

// Proxy returns a reverse proxy, which answers requests by kept responses and asks origin
// for the others. The path of origin comes before the path of the request. A request whose
// path has a ".." segment, encoded or not, gets status 400, because it could leave the path
// of origin.
//
// Requests that are not shared pass through with their bodies and trailers. So do upgrades
// to other protocols, such as WebSocket, but not to other versions of HTTP or to TLS, in
// which requests would reach the origin unseen. The origin must begin its answer to a
// request that passes through within Options.Timeout after the last piece of the request's
// body. A long poll must be shorter. The time for the rest is not limited.
//
// Host and scheme of the request, as the origin gets them, and all X-Forwarded-* fields of a
// trusted proxy are part of a page's key. The client's address is not: a shared request
// has that of the client that started it.
//
// Proxy panics if origin has no host, if BodyTimeout is negative, or if Via is not a token.
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

// newProxy returns the handler of the requests that pass through. They come from f.pass.
func newProxy(f *front) http.Handler {
	return &httputil.ReverseProxy{
		Transport: f.transport,
		ErrorLog:  slog.NewLogLogger(f.Logger.Handler(), slog.LevelError),
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery // as it is, even if it is invalid
			pr.Out.Trailer = pr.In.Trailer           // filled in while the body is read
			f.rewrite(pr, false)
		},
		ModifyResponse: func(res *http.Response) error {
			f.inspect(res)
			res.Header.Set("X-Cache", passed.String()) // instead of another cache's
			res.Header.Del("Surrogate-Key")
			if res.StatusCode == http.StatusSwitchingProtocols {
				passingOf(res.Request).switched = res.Body
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) { passingOf(r).fail(err) },
	}
}

// rewrite sets the URL, the Host and the forwarding fields of a request to the origin.
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

// logFailure logs that a request to the origin failed, unless ctx or the Cache has ended.
func (f *front) logFailure(ctx context.Context, what string, err error) {
	if ctx.Err() == nil && f.base.Err() == nil {
		f.Logger.Error("httpcache: request to the origin failed", "request", what, "error", err)
	}
}

// A counted transport counts the requests to the origin. A response without a header or a
// body, which http.Client accepts, gets an empty one. One that no client can get is an error.
type counted struct {
	http.RoundTripper
	n *atomic.Uint64
}

var (
	errNoResponse = errors.New("the transport returned neither a response nor an error")
	errBadStatus  = errors.New("no status of a final response")
)

func (c counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	res, err := c.RoundTripper.RoundTrip(req)
	switch {
	case err != nil:
		return nil, err
	case res == nil:
		return nil, errNoResponse
	}
	res.Request = req // a transport may leave it out, or make another one
	if res.Body == nil {
		res.Body = http.NoBody
	}
	if res.Header == nil {
		res.Header = http.Header{}
	}
	if !isFinal(req, res.StatusCode) {
		res.Body.Close()
		return nil, fmt.Errorf("%w: %d", errBadStatus, res.StatusCode)
	}
	return res, nil
}

// isFinal reports whether a status ends the exchange with the origin that begins with r. 101 does only if
// r asks for another protocol.
func isFinal(r *http.Request, status int) bool {
	if status == http.StatusSwitchingProtocols {
		return len(r.Header["Upgrade"]) > 0
	}
	return 200 <= status && status <= 999
}
