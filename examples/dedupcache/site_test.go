package main

import (
	"bytes"
	"context"
	"io"
	"log"
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

func newSite(t *testing.T, origin http.HandlerFunc, changes ...func(*config)) *site {
	cfg := newConfig()
	cfg.ttl = time.Hour
	for _, change := range changes {
		change(cfg)
	}
	s := &site{asked: make(chan *http.Request, 1000)}
	target, err := url.Parse("http://origin.test/base")
	require.NoError(t, err)
	transport := inProcess(func(w http.ResponseWriter, r *http.Request) {
		s.asked <- r
		origin(w, r)
	})
	s.front, err = newFront(cfg, target, transport, true, log.New(&s.log, "", 0))
	require.NoError(t, err)
	t.Cleanup(s.close)
	return s
}

// inProcess is a transport to a handler. As with a real one, a response is
// there when its header is, its body streams, a handler that panics breaks it
// off, and the end of the request's context ends both.
type inProcess http.HandlerFunc

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	body, pipe := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: pipe, ready: make(chan *http.Response, 1)}
	leave := context.AfterFunc(r.Context(), func() { body.CloseWithError(context.Cause(r.Context())) })
	go func() {
		defer leave()
		defer func() {
			if recover() != nil {
				pipe.CloseWithError(io.ErrUnexpectedEOF)
			}
			w.WriteHeader(http.StatusOK)
			pipe.CloseWithError(context.Cause(r.Context()))
		}()
		h(w, r)
	}()
	select {
	case res := <-w.ready:
		res.Request, res.Body = r, body
		return res, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

type pipeWriter struct {
	header http.Header
	pipe   *io.PipeWriter
	ready  chan *http.Response
	once   sync.Once
}

func (w *pipeWriter) Header() http.Header { return w.header }
func (w *pipeWriter) Flush()              { w.WriteHeader(http.StatusOK) }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		res := &http.Response{StatusCode: status, Header: w.header.Clone(), ContentLength: -1}
		if length := res.Header.Get("Content-Length"); length != "" {
			span, _ := time.ParseDuration(length + "ns")
			res.ContentLength = int64(span)
		}
		w.ready <- res
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
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
