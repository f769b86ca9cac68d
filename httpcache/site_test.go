package httpcache

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A site is a coalescing front before an origin that the test wrote. There is
// no network between them, so that it can live in a bubble.
type site struct {
	*front
	log   notes
	asked chan *http.Request // what the origin was asked for
}

// notes are a buffer that goroutines share.
type notes struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.String()
}

func newSite(t *testing.T, origin http.HandlerFunc, changes ...func(*Options)) *site {
	s := new(site)
	o := &Options{TTL: time.Hour, Logger: slog.New(slog.NewTextHandler(&s.log, nil))}
	for _, change := range changes {
		change(o)
	}
	s.asked = make(chan *http.Request, 1000)
	target, err := url.Parse("http://origin.test/base")
	require.NoError(t, err)
	transport := viaHandler{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked <- r
		origin(w, r)
	})}
	cache, err := New(o)
	require.NoError(t, err)
	s.front = cache.Proxy(target, &ProxyOptions{Transport: transport}).(*front)
	t.Cleanup(func() { require.NoError(t, cache.Close()) })
	return s
}

// A reply is an answer that was read to its end.
type reply struct {
	status  int
	header  http.Header
	body    string
	err     error
	aborted bool // the front broke the connection
}

func (r reply) cache() string { return r.header.Get("X-Cache") }

// request makes a request with header lines like "Cookie: a=b". Its context can end,
// as that of a server's requests.
func (s *site) request(method, path string, header ...string) reply {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return s.do(ctx, method, path, header...)
}

func (s *site) do(ctx context.Context, method, path string, header ...string) (got reply) {
	w := httptest.NewRecorder()
	aborted := s.writeTo(w, newRequest(ctx, method, path, header...))
	return reply{status: w.Code, header: w.Header(), body: w.Body.String(), aborted: aborted}
}

// writeTo has the front answer r, and reports whether it broke off.
func (s *site) writeTo(w http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			aborted = true
		}
	}()
	s.ServeHTTP(w, r)
	return false
}

func newRequest(ctx context.Context, method, path string, header ...string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	addLines(r.Header, header...)
	return r
}

func addLines(h http.Header, lines ...string) {
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
}

// later makes a request at the same time as others.
func (s *site) later(ctx context.Context, method, path string, header ...string) <-chan reply {
	got := make(chan reply, 1)
	go func() { got <- s.do(ctx, method, path, header...) }()
	return got
}

// A served is a proxy on a real connection, before an origin on another.
type served struct {
	cache *Cache
	url   string
}

func newServed(t *testing.T, origin http.Handler, changes ...func(*Options)) *served {
	behind := httptest.NewServer(origin)
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL)
	require.NoError(t, err)
	o := &Options{TTL: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	for _, change := range changes {
		change(o)
	}
	cache, err := New(o)
	require.NoError(t, err)
	transport := newTransport()
	before := httptest.NewUnstartedServer(cache.Proxy(target, &ProxyOptions{Transport: transport}))
	before.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	before.Start()
	t.Cleanup(func() {
		before.Close()
		require.NoError(t, cache.Close())
		transport.CloseIdleConnections()
	})
	return &served{cache, before.URL}
}

// newNowhere returns where an answer can go that nobody reads.
func newNowhere() *httptest.ResponseRecorder { return httptest.NewRecorder() }

func get(url string, header ...string) reply {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return reply{err: err}
	}
	addLines(req.Header, header...)
	res, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{status: res.StatusCode, header: res.Header, body: string(body), err: err}
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
