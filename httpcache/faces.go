package httpcache

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
)

// Handler returns a handler that answers requests by kept responses, and by next for the
// others. Host and scheme of a request are part of a page's key.
//
// A shared request to next runs in a goroutine of its own. It has the header and the address
// of the client that started it, without conditions and ranges. Its context ends when all
// clients have left before next has begun its answer, and later after
// Options.UnreadTimeout without a client. It also ends if next does not begin its answer, or
// continue it, within Options.Timeout. If next panics, the panic is logged and the clients
// get status 502. A request that is not shared is passed to next as it came, in the
// goroutine of its caller, which also gets a panic of next.
//
// Two Handlers of one Cache do not share responses. Handler panics if next is nil.
func (c *Cache) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("httpcache: Handler needs a handler")
	}
	f := &front{Cache: c, site: c.siteOf("handler"), transport: counted{viaHandler{next}, &c.stats.asked}, isHandler: true}
	f.proxy = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.stats.asked.Add(1)
		url := *r.URL
		r = r.WithContext(r.Context())
		r.URL = &url // some handlers change it
		i := &inspectedWriter{ResponseWriter: w, front: f, request: r}
		next.ServeHTTP(i, r)
		i.end()
	})
	return f
}

// An inspectedWriter passes a handler's response to f.inspect before it is written to the client.
type inspectedWriter struct {
	http.ResponseWriter
	front   *front
	request *http.Request
	done    bool
}

// Unwrap is for http.ResponseController.
func (w *inspectedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *inspectedWriter) WriteHeader(status int) {
	if !w.done && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.done = true
		w.front.inspect(&http.Response{StatusCode: status, Header: w.Header(), Request: w.request})
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *inspectedWriter) Write(p []byte) (int, error) {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// end is called when the handler has returned. If it wrote nothing, the status is 200.
func (w *inspectedWriter) end() {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
}

// Hijack implements http.Hijacker. The handler then writes the response itself.
func (w *inspectedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.done = w.done || err == nil
	return c, rw, err
}

// Flush implements http.Flusher.
func (w *inspectedWriter) Flush() {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	http.NewResponseController(w.ResponseWriter).Flush()
}

// Transport returns an http.RoundTripper that answers requests by kept responses, and asks
// next for the others. A nil next means http.DefaultTransport. An error of next is returned
// to all requests that waited for the fetch.
//
// Without Options.Private the Transport is a shared cache, so it does not keep what is for
// one user. With it, the Transport is like the cache of a browser.
//
// Two Transports of one Cache do not share responses.
func (c *Cache) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	f := &front{Cache: c, site: c.siteOf("transport"), transport: counted{next, &c.stats.asked}, isClient: true}
	f.proxy = http.HandlerFunc(f.forward)
	return &roundTripper{f}
}

// A roundTripper makes requests by a front.
type roundTripper struct{ front *front }

// RoundTrip implements http.RoundTripper.
func (c *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	f := c.front
	if whyAlone(r) != "" || r.Body != nil && r.Body != http.NoBody { // if its length is 0, that is not known
		return f.bypass(r)
	}
	in := r.WithContext(r.Context())
	in.Body, in.RequestURI = http.NoBody, r.URL.RequestURI()
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	res, err := viaHandler{f}.RoundTrip(in)
	if err == nil {
		res.Request = r
	}
	return res, err
}

// CloseIdleConnections closes the idle connections of the transport behind the cache.
func (c *roundTripper) CloseIdleConnections() {
	next := c.front.transport.(counted).RoundTripper
	if idle, ok := next.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}

// bypass makes a request that no kept response can answer. It may be a write to a page.
func (f *front) bypass(r *http.Request) (*http.Response, error) {
	f.stats.requests.Add(1)
	f.stats.from[passed].Add(1)
	res, err := f.transport.RoundTrip(r)
	if err != nil {
		f.stats.failed.Add(1)
		return nil, err
	}
	f.noteWriteBy(r, res)
	res.Header.Set("X-Cache", passed.String())
	addStatus(res.Header, f.cacheStatusAlone(r, res.StatusCode).line(f.name))
	return res, nil
}

// forward makes a request that turned out not to be shared.
func (f *front) forward(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	res, err := f.transport.RoundTrip(out)
	if err != nil {
		passingOf(r).fail(err)
		return
	}
	defer res.Body.Close()
	f.inspect(res)
	maps.Copy(w.Header(), res.Header)
	for name := range res.Trailer {
		w.Header().Add("Trailer", name)
	}
	w.WriteHeader(res.StatusCode)
	http.NewResponseController(w).Flush()
	if _, err := io.Copy(w, res.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	setTrailer(w.Header(), res.Trailer)
}

// inspect looks at a response that passes through.
func (f *front) inspect(res *http.Response) {
	p := passingOf(res.Request)
	p.gotHeader()
	addStatus(res.Header, p.cacheStatus(res.StatusCode).line(f.name))
	f.noteWrite(res)
	f.reconsider(res)
	if res.StatusCode >= 500 {
		f.stats.failed.Add(1)
	}
}

// rewriteNext is rewrite for a shared request to a handler, or to a client's transport.
func (f *front) rewriteNext(pr *httputil.ProxyRequest) {
	out, in := pr.Out, pr.In
	out.URL = in.URL
	out.Host, out.Proto, out.ProtoMajor, out.ProtoMinor = in.Host, in.Proto, in.ProtoMajor, in.ProtoMinor
	if f.isHandler {
		out.RequestURI, out.RemoteAddr, out.TLS, out.Body = in.RequestURI, in.RemoteAddr, in.TLS, http.NoBody
	}
}

// errorWriter returns the pipeWriter of a Transport, which takes an error instead of a page
// that describes it. It returns nil if w is a server's response.
func (f *front) errorWriter(w http.ResponseWriter) *pipeWriter {
	for f.isClient {
		switch inner := w.(type) {
		case *pipeWriter:
			return inner
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return nil
		}
	}
	return nil
}
