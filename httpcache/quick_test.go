package httpcache

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A quick is a server with QuickHits, before an origin in this process.
type quick struct {
	*front
	server *http.Server
	addr   string
	hits   atomic.Int64 // that the server has not seen
	idle   atomic.Int64 // how often the server has waited for another request
	ended  chan error
}

func newQuick(t *testing.T, origin http.HandlerFunc) *quick {
	return newQuickOn(t, origin, func(l net.Listener) net.Listener { return l })
}

// newQuickOn is newQuick on what the listener is wrapped in.
func newQuickOn(t *testing.T, origin http.HandlerFunc, wrap func(net.Listener) net.Listener) *quick {
	q := &quick{ended: make(chan error, 1)}
	cache, err := New(&Options{TTL: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	target := &url.URL{Scheme: "http", Host: "origin.test"}
	q.front = cache.Proxy(target, &ProxyOptions{Transport: viaHandler{origin}}).(*front)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	q.addr = l.Addr().String()
	q.server = &http.Server{
		Handler: q.front, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute,
	}
	q.server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			q.idle.Add(1)
		}
	}
	quickly := QuickHits(q.server, wrap(l), q.front, func(time.Duration) { q.hits.Add(1) })
	go func() { q.ended <- q.server.Serve(quickly) }()
	t.Cleanup(func() {
		q.server.Close()
		require.ErrorIs(t, <-q.ended, http.ErrServerClosed)
		require.NoError(t, cache.Close())
	})
	return q
}

// A raw is a connection on which requests are written as they are.
type raw struct {
	net.Conn
	in *bufio.Reader
}

func (q *quick) dial(t *testing.T) *raw {
	c, err := net.Dial("tcp", q.addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &raw{c, bufio.NewReader(c)}
}

func (c *raw) send(t *testing.T, text string) {
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
}

func (c *raw) answer(t *testing.T) reply {
	res, err := http.ReadResponse(c.in, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return reply{status: res.StatusCode, header: res.Header, body: string(body)}
}

const plain = "GET /page?q HTTP/1.1\r\nHost: here\r\nUser-Agent: me\r\nAccept: */*\r\n\r\n"

// ask makes a request that is for the server, and waits until that is done with it: a
// client that asks earlier is not answered quickly.
func (q *quick) ask(t *testing.T, c *raw, request string) reply {
	before := q.idle.Load()
	c.send(t, request)
	r := c.answer(t)
	require.Eventually(t, func() bool { return q.idle.Load() > before }, time.Minute, time.Millisecond)
	return r
}

// requireHits requires that n requests were answered quickly, which is counted after they are.
func (q *quick) requireHits(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return q.hits.Load() >= int64(n) }, time.Minute, time.Millisecond)
	require.EqualValues(t, n, q.hits.Load())
}

// fill fills the cache by one request like plain, and waits until its body is there.
func (q *quick) fill(t *testing.T, c *raw, request string) {
	q.ask(t, c, request)
	require.Eventually(t, func() bool { return q.fetches.Count() == 0 }, time.Minute, time.Millisecond)
}

func TestQuickAnswerIsThatOfTheServer(t *testing.T) {
	for _, size := range []int{0, 1, 10_000, maxQuickBody, maxQuickBody + 1} {
		q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
			addLines(w.Header(), "Cache-Control: max-age=60", `ETag: "a"`, "Vary: Accept-Encoding", "X-Two: 1", "X-Two: 2",
				"Content-Type: text/plain", fmt.Sprint("Content-Length: ", size))
			w.Write(bytes.Repeat([]byte("x"), size))
		})
		c := q.dial(t)
		q.fill(t, c, plain)
		c.send(t, plain)
		quickly := c.answer(t)
		if size > maxQuickBody { // that was by the server too
			require.Eventually(t, func() bool { return q.idle.Load() == 2 }, time.Minute, time.Millisecond)
		}
		byServer := q.ask(t, c, strings.Replace(plain, "Accept:", "X-Other: 1\r\nAccept:", 1))
		for _, r := range []reply{quickly, byServer} {
			r.header.Del("Age") // a second may have passed
			r.header["Cache-Status"] = []string{strings.TrimRight(r.header.Get("Cache-Status"), "0123456789")}
		}
		require.Equal(t, byServer, quickly)
		require.Equal(t, "hit", quickly.cache())
		quickOnes := 1
		if size > maxQuickBody {
			quickOnes = 0
		}
		q.requireHits(t, quickOnes)
		require.EqualValues(t, 2, q.Stats().Hits)
		require.EqualValues(t, 3, q.Stats().Requests)
	}
}

// A wrappedListener's connections are not those of package net.
type wrappedListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l wrappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

// A countedConn counts how it is written to.
type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

type partsConn struct{ countedConn }

func (c partsConn) WriteBuffers(b *net.Buffers) (int64, error) {
	c.writes.Add(1)
	return b.WriteTo(c.Conn)
}

func TestQuickAnswerIsOneWrite(t *testing.T) {
	var body []byte
	for i := range maxQuickBody / 4 {
		body = fmt.Appendf(body, "%03x ", i%0x1000)
	}
	var writes atomic.Int64
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"of package net":    func(c net.Conn) net.Conn { return c },
		"with Write":        func(c net.Conn) net.Conn { return countedConn{c, &writes} },
		"with WriteBuffers": func(c net.Conn) net.Conn { return partsConn{countedConn{c, &writes}} },
	} {
		t.Run(name, func(t *testing.T) {
			q := newQuickOn(t, func(w http.ResponseWriter, r *http.Request) {
				addLines(w.Header(), "Cache-Control: max-age=60", fmt.Sprint("Content-Length: ", len(body)))
				w.Write(body)
			}, func(l net.Listener) net.Listener { return wrappedListener{l, wrap} })
			c := q.dial(t)
			q.fill(t, c, plain)
			writes.Store(0)
			for n := range 5 {
				c.send(t, plain)
				require.Equal(t, string(body), c.answer(t).body)
				q.requireHits(t, n+1)
			}
			if name != "of package net" {
				require.EqualValues(t, 5, writes.Load())
			}
		})
	}
}

func TestRequestsOfOneConnectionAreAnsweredInOrder(t *testing.T) {
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		b, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Method+" "+r.URL.RequestURI()+string(b))
	})
	c := q.dial(t)
	q.fill(t, c, plain)
	other := strings.Replace(plain, "page?q", "other", 1)
	post := "POST /post HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbody"
	c.send(t, plain+plain+post+plain+other+plain)
	for i, want := range []string{"GET /page?q", "GET /page?q", "POST /postbody", "GET /page?q", "GET /other", "GET /page?q"} {
		require.Equal(t, want, c.answer(t).body, i)
	}
	q.requireHits(t, 2) // what the server has read already is the server's
	require.Eventually(t, func() bool { return q.idle.Load() == 5 }, time.Minute, time.Millisecond)
	for range 3 {
		c.send(t, plain)
		require.Equal(t, "GET /page?q", c.answer(t).body)
	}
	q.requireHits(t, 5)
	for _, b := range []byte(plain) { // a piece at a time, which the server puts together
		c.send(t, string(b))
	}
	require.Equal(t, "GET /page?q", c.answer(t).body)
}

func TestOnlyPlainRequestsAreAnsweredQuickly(t *testing.T) {
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })
	q.fill(t, q.dial(t), plain)
	for _, change := range [][2]string{
		{"GET", "HEAD"}, {"GET", "get"}, {"HTTP/1.1", "HTTP/1.0"}, {"/page?q", "http://here/page?q"}, {"/page?q", "/../page?q"},
		{"/page?q", "/page%3fq"}, {"/page?q", "/page?q#x"}, {"/page?q", "//page?q"}, {"Host: here", "Host: there"},
		{"Host: here", "Host:here"}, {"Host: here", "Host : here"}, {"Host: here", "Host: here\r\nHost: here"},
		{"Host: here\r\n", ""}, {"Accept: */*", "Cookie: a=b"}, {"Accept: */*", "Cache-Control: no-cache"},
		{"Accept: */*", "Pragma: no-cache"}, {"Accept: */*", "Range: bytes=0-1"}, {"Accept: */*", "If-None-Match: x"},
		{"Accept: */*", "Authorization: me"}, {"Accept: */*", "Content-Length: 0"}, {"Accept: */*", "Transfer-Encoding: chunked"},
		{"Accept: */*", "Connection: close"}, {"Accept: */*", "Connection: X"}, {"Accept: */*", "X-Other: 1"},
		{"Accept: */*", "Accept: */*\r\n folded"}, {"\r\nAccept", "\nAccept"}, {"me", "m\x00e"}, {"me", "m\xffe"},
		{" HTTP", "  HTTP"}, {"GET ", "GET\t"},
	} {
		request := strings.Replace(plain, change[0], change[1], 1)
		require.NotEqual(t, plain, request)
		r, _ := parseQuick([]byte(request))
		if r != nil { // then it is another page
			require.Equal(t, "there", r.Host, change)
		}
		c := q.dial(t)
		c.send(t, request)
		c.CloseWrite()
		io.Copy(io.Discard, c.in)
		require.Zero(t, q.hits.Load(), change)
	}
}

func (c *raw) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// A hit that comes while the server works on the request before it waits for its turn.
func TestHitDoesNotOvertakeWhatTheServerWorksOn(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/slow" {
			asked <- true
			<-answer
		}
		io.WriteString(w, r.URL.Path)
	})
	c := q.dial(t)
	q.fill(t, c, plain)
	c.send(t, strings.Replace(plain, "page", "slow", 1))
	<-asked
	c.send(t, plain)
	other := q.dial(t) // while that is answered, the first would be too
	other.send(t, plain)
	require.Equal(t, "/page", other.answer(t).body)
	close(answer)
	require.Equal(t, "/slow", c.answer(t).body)
	require.Equal(t, "/page", c.answer(t).body)
	q.requireHits(t, 1)
}

func TestPageWithATrailerIsForTheServer(t *testing.T) {
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
		addLines(w.Header(), "Cache-Control: max-age=60", "Trailer: X-Sum")
		io.WriteString(w, "page")
		w.Header().Set("X-Sum", "1")
	})
	c := q.dial(t)
	q.fill(t, c, plain)
	r := q.ask(t, c, plain)
	require.Equal(t, "hit", r.cache())
	require.Zero(t, q.hits.Load())
}

// A readingConn gives out pieces of input, and notes the deadlines for reads.
type readingConn struct {
	net.Conn
	input     []string
	deadlines []time.Duration // from now
}

func (c *readingConn) Read(p []byte) (int, error) {
	if len(c.input) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.input[0])
	c.input = c.input[1:]
	return n, nil
}

func (c *readingConn) Write(p []byte) (int, error) { return len(p), nil }
func (c *readingConn) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

func (c *readingConn) SetReadDeadline(t time.Time) error {
	c.deadlines = append(c.deadlines, time.Until(t))
	return nil
}

// The server has set a deadline once, before the first of many requests was answered.
func TestQuickAnswersRenewTheDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })
		get := newRequest(t.Context(), "GET", "/page?q")
		get.Host = "here"
		s.writeTo(httptest.NewRecorder(), get)
		synctest.Wait()
		post := strings.Replace(plain, "GET", "POST", 1)
		in := &readingConn{input: []string{plain, plain, plain + post}}
		server := &http.Server{IdleTimeout: time.Minute, ReadHeaderTimeout: time.Second}
		q := newQuickConnOf(in, &quickListener{front: s.front, server: server, answered: func(time.Duration) {
			time.Sleep(400 * time.Millisecond)
		}})
		p := make([]byte, 1000)
		n, err := q.Read(p)
		require.NoError(t, err)
		require.Equal(t, post, string(p[:n]))
		require.EqualValues(t, 3, s.Stats().Hits)
		require.Equal(t, []time.Duration{time.Minute, time.Second}, in.deadlines, "not for each of them")
		in.input = []string{"body"}
		n, err = q.Read(p)
		require.NoError(t, err)
		require.Equal(t, "body", string(p[:n]), "the server's")
	})
}

func TestWhatIsNotFreshIsForTheServer(t *testing.T) {
	var n atomic.Int64
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, n.Add(1))
	})
	c := q.dial(t)
	q.fill(t, c, plain)
	for i, end := range []func(){
		func() { q.Purge(Selection{URL: "/page?q"}) },
		func() { q.Purge(Selection{Prefix: "/", Soft: true}) },
		func() { q.ask(t, c, strings.Replace(plain, "GET", "DELETE", 1)); n.Add(-1) },
	} {
		c.send(t, plain)
		require.Equal(t, fmt.Sprint(i+1), c.answer(t).body)
		q.requireHits(t, 2*i+1)
		end()
		q.fill(t, c, plain)
		c.send(t, plain)
		require.Equal(t, fmt.Sprint(i+2), c.answer(t).body)
		q.requireHits(t, 2*i+2)
	}
}

func TestVariantsAreToldApartQuickly(t *testing.T) {
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
		addLines(w.Header(), "Cache-Control: max-age=60", "Vary: Accept-Language")
		io.WriteString(w, r.Header.Get("Accept-Language"))
	})
	c := q.dial(t)
	languages := []string{"en", "de"}
	request := func(language string) string {
		return strings.Replace(plain, "Accept: */*", "Accept-Language: "+language, 1)
	}
	for _, language := range languages {
		q.fill(t, c, request(language))
	}
	for _, language := range languages {
		c.send(t, request(language))
		require.Equal(t, language, c.answer(t).body)
	}
	q.requireHits(t, 2)
}

func TestShutdownEndsConnectionsThatWereAnsweredQuickly(t *testing.T) {
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })
	c := q.dial(t)
	q.fill(t, c, plain)
	c.send(t, plain)
	c.answer(t)
	require.NoError(t, q.server.Shutdown(context.Background()))
	_, err := c.in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

// A slowConn takes what is written when it is told to.
type slowConn struct {
	net.Conn
	begun, take chan bool
	deadline    atomic.Int64
	closed      atomic.Bool
}

func (c *slowConn) Write(p []byte) (int, error) {
	c.begun <- true
	<-c.take
	return len(p), nil
}

func (c *slowConn) SetWriteDeadline(t time.Time) error { c.deadline.Store(t.Unix()); return nil }
func (c *slowConn) Close() error                       { c.closed.Store(true); return nil }

func TestCloseDoesNotWaitForAnAnswerThatIsBeingWritten(t *testing.T) {
	c := &slowConn{begun: make(chan bool), take: make(chan bool)}
	q, done := newQuickConnOf(c, &quickListener{server: &http.Server{}}), make(chan bool)
	go func() { q.write(&quickAnswer{parts: [][]byte{nil}}, false); close(done) }()
	<-c.begun
	require.NoError(t, q.Close())
	require.False(t, c.closed.Load())
	require.NotZero(t, c.deadline.Load())
	close(c.take)
	<-done
	require.True(t, c.closed.Load())

	idle := &quickConn{Conn: &slowConn{}}
	require.NoError(t, idle.Close())
	require.True(t, idle.Conn.(*slowConn).closed.Load())
}

func TestQuickHitsNeedsAProxy(t *testing.T) {
	c := newTestCache(t, nil)
	for _, h := range []http.Handler{nil, http.NotFoundHandler(), c.Handler(http.NotFoundHandler())} {
		require.Panics(t, func() { QuickHits(&http.Server{}, nil, h, nil) })
	}
}

// FuzzParseQuick compares what is taken for a plain request with what net/http reads.
func FuzzParseQuick(f *testing.F) {
	for _, seed := range []string{
		plain, plain + plain, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b?c&d=%20 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /?a HTTP/1.1\r\nHost: a:80\r\nConnection: keep-alive\r\nSec-Fetch-Mode: x\r\n\r\nrest",
		"GET /~a/@b:c,d+e/ HTTP/1.1\r\nhost: a\r\nACCEPT-encoding: gzip, br\r\n\r\n", "GET /? HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, size := parseQuick(data)
		if r == nil {
			require.Zero(t, size)
			return
		}
		in := bufio.NewReader(bytes.NewReader(data[:size]))
		want, err := http.ReadRequest(in)
		require.NoError(t, err)
		_, err = in.ReadByte()
		require.True(t, errors.Is(err, io.EOF), "nothing is left")
		want.Header.Del("Connection")
		require.Equal(t, want.Header, r.Header)
		require.Equal(t, want.Host, r.Host)
		require.Equal(t, want.Method, r.Method)
		require.Equal(t, want.RequestURI, r.RequestURI)
		require.Equal(t, want.URL.RequestURI(), r.URL.RequestURI())
		require.Equal(t, want.URL.Path, r.URL.Path)
		require.Zero(t, want.ContentLength)
		require.Empty(t, want.TransferEncoding)
		require.False(t, want.Close)
	})
}
