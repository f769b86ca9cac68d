package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func do(req *http.Request) reply {
	res, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{status: res.StatusCode, header: res.Header, body: string(body), err: err}
}

// A site is a coalescing front before an origin that the test wrote.
type site struct {
	*front
	url   string
	log   bytes.Buffer
	asked chan *http.Request
}

func newSite(t *testing.T, origin http.HandlerFunc) *site {
	s := &site{asked: make(chan *http.Request, 100)}
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked <- r
		origin(w, r)
	}))
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL + "/base")
	require.NoError(t, err)
	s.front = newFront(target, realTransport(), time.Hour, true, log.New(&s.log, "", 0))
	t.Cleanup(s.close)
	before := httptest.NewServer(s.front)
	t.Cleanup(before.Close)
	s.url = before.URL
	return s
}

// request makes a request with header lines like "Cookie: a=b".
func (s *site) request(method, path string, header ...string) reply {
	req, _ := http.NewRequest(method, s.url+path, nil)
	for _, line := range header {
		if name, value, ok := strings.Cut(line, ": "); ok {
			req.Header.Add(name, value)
		}
	}
	return do(req)
}

func (r reply) cache() string { return r.header.Get("X-Cache") }

func TestPageIsServedWholeAndThenFromTheCache(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Connection", "X-Secret")
		w.Header().Set("X-Secret", "for the next hop only")
		io.WriteString(w, r.URL.RequestURI())
	})
	for _, from := range []string{"fetched", "hit"} {
		r := s.request("GET", "/a%2Fb?q=1")
		require.NoError(t, r.err)
		require.Equal(t, from, r.cache())
		require.Equal(t, "/base/a%2Fb?q=1", r.body)
		require.Equal(t, "text/plain", r.header.Get("Content-Type"))
		require.Empty(t, r.header.Get("X-Secret"))
	}
	require.Equal(t, "0", s.request("GET", "/a%2Fb?q=1").header.Get("Age"))
	require.Len(t, s.asked, 1)
}

func TestHeadIsSharedAndHasNoBody(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "12345678") })
	for _, from := range []string{"fetched", "hit"} {
		r := s.request("HEAD", "/")
		require.Equal(t, from, r.cache())
		require.Equal(t, "12345678", r.header.Get("Content-Length"))
		require.Empty(t, r.body)
	}
	require.Equal(t, "HEAD", (<-s.asked).Method)
}

func TestNothingOfTheFirstUserReachesTheSharedFetch(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
	require.Equal(t, "fetched", s.request("GET", "/", "X-User: alice", "Accept-Language: de", "User-Agent: alice's").cache())
	r := <-s.asked
	require.Empty(t, r.Header["X-User"])
	require.Empty(t, r.Header["Accept-Language"])
	require.Equal(t, "vigil-dedupcache", r.UserAgent())
}

func TestPersonalRequestsArePassedThrough(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Method+r.Header.Get("Authorization")+r.Header.Get("Cookie"))
	})
	for _, test := range [][]string{
		{"POST", "", "POST"},
		{"DELETE", "", "DELETE"},
		{"OPTIONS", "", "OPTIONS"},
		{"GET", "Authorization: Basic alice", "GETBasic alice"},
		{"GET", "Cookie: user=bob", "GETuser=bob"},
		{"GET", "Range: bytes=0-1", "GET"},
		{"GET", "Cache-Control: max-age=0, no-cache", "GET"},
		{"GET", "Cache-Control: no-store", "GET"},
	} {
		r := s.request(test[0], "/same", test[1])
		require.Equal(t, "passed", r.cache(), test)
		require.Equal(t, test[2], r.body)
	}
	require.Equal(t, "fetched", s.request("GET", "/same").cache(), "none of them was kept")
}

func TestPersonalAnswersAreNotShared(t *testing.T) {
	for _, header := range []string{
		"Set-Cookie: session=1", "Cache-Control: private", "Cache-Control: max-age=60, no-store",
		`Cache-Control: Private="X-User"`, "Vary: Cookie", "Vary: Accept-Encoding, Accept-Language", "Vary: *",
	} {
		t.Run(header, func(t *testing.T) {
			name, value, _ := strings.Cut(header, ": ")
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(name, value)
				io.WriteString(w, "for "+r.UserAgent())
			})
			for _, user := range []string{"alice", "bob"} {
				r := s.request("GET", "/me", "User-Agent: "+user)
				require.Equal(t, "passed", r.cache())
				require.Equal(t, "for "+user, r.body)
				require.Equal(t, value, r.header.Get(name))
			}
			require.Len(t, s.asked, 3, "the verdict is remembered: one fetch, then one for each user")
		})
	}
}

func TestRefusalIsNotShared(t *testing.T) {
	for _, status := range []int{400, 401, 403, 429} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Api-Key") != "alice's" {
				w.WriteHeader(status)
			}
		})
		require.Equal(t, status, s.request("GET", "/").status)
		require.Equal(t, 200, s.request("GET", "/", "X-Api-Key: alice's").status)
		require.Equal(t, status, s.request("GET", "/").status)
	}
}

func TestAgeOfACacheFurtherUpCounts(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Age", "100")
		w.Header().Set("Cache-Control", r.URL.Query().Get("cc"))
	})
	for _, test := range [][2]string{{"max-age=200", "hit"}, {"max-age=100", "fetched"}, {"max-age=99", "fetched"}} {
		require.Equal(t, "100", s.request("GET", "/?cc="+test[0]).header.Get("Age"))
		r := s.request("GET", "/?cc="+test[0])
		require.Equal(t, test[1], r.cache())
		require.Regexp(t, "^1[0-9][0-9]$", r.header.Get("Age"))
	}
}

func TestLargePagesAreNotShared(t *testing.T) {
	const size = maxBody + 1
	for _, known := range []bool{true, false} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			if !known {
				w.(http.Flusher).Flush() // so the length is not announced
			}
			w.Write(make([]byte, size))
		})
		for range 2 {
			r := s.request("GET", "/large")
			require.NoError(t, r.err)
			require.Equal(t, "passed", r.cache())
			require.Len(t, r.body, size)
		}
	}
}

func TestLargestPageIsShared(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, maxBody)) })
	s.request("GET", "/")
	require.Equal(t, "hit", s.request("GET", "/").cache())
}

func TestGzipHasAPageOfItsOwn(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		io.WriteString(w, r.Header.Get("Accept-Encoding"))
	})
	for _, test := range [][3]string{
		{"gzip, br", "fetched", "gzip"}, {"identity", "fetched", "identity"}, {"deflate;q=1, GZIP;q=0.5", "hit", "gzip"},
		{"gzip;q=0, *", "hit", "identity"}, {"gzip; q=0.0", "hit", "identity"}, {"br", "hit", "identity"},
	} {
		r := s.request("GET", "/", "Accept-Encoding: "+test[0])
		require.Equal(t, test[1], r.cache(), test[0])
		require.Equal(t, test[2], r.body, test[0])
	}
}

func TestOriginsErrorPageIsHandedOnAndNotKept(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	})
	for range 2 {
		r := s.request("GET", "/")
		require.Equal(t, 503, r.status)
		require.Equal(t, "out of order\n", r.body)
		require.Equal(t, "fetched", r.cache())
	}
	require.Len(t, s.asked, 2)
	require.EqualValues(t, 2, s.stats.failed.Load())
}

func TestRedirectsAreHandedOn(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })
	for range 2 {
		r := s.request("GET", "/")
		require.Equal(t, 302, r.status)
		require.Equal(t, "/elsewhere", r.header.Get("Location"))
		require.Equal(t, "fetched", r.cache(), "a temporary redirect is not kept")
	}
}

func TestOriginThatIsGoneIsABadGateway(t *testing.T) {
	s := newSite(t, nil)
	target, err := url.Parse("http://127.0.0.1:1")
	require.NoError(t, err)
	f := newFront(target, realTransport(), time.Hour, true, log.New(&s.log, "", 0))
	defer f.close()
	for _, method := range []string{"GET", "POST"} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		require.Equal(t, 502, w.Code)
		require.Equal(t, "Bad Gateway\n", w.Body.String())
	}
	require.Equal(t, 2, strings.Count(s.log.String(), "\n"), s.log.String())
	require.Contains(t, s.log.String(), "GET /: ")
}

func TestOriginThatBreaksOffIsABadGateway(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half a p")
	})
	require.Equal(t, 502, s.request("GET", "/").status)
}

type pagesFunc func(ctx context.Context, key pageKey) (*page, source, error)

func (f pagesFunc) Get(ctx context.Context, key pageKey) (*page, source, error) { return f(ctx, key) }

func TestStatusAndLogOfFailures(t *testing.T) {
	for _, test := range []struct {
		err    error
		from   source
		status int
		logs   string
	}{
		{errors.New("x"), led, 502, "x\n"},
		{errors.New("x"), joined, 502, ""},
		{errTimeout, led, 504, errTimeout.Error() + "\n"},
		{waitmap.ErrClosed, joined, 503, ""},
		{&panicError{"oh", []byte("stack")}, led, 502, "the load panicked: oh\nstack\n"},
	} {
		var logged bytes.Buffer
		h := newHandler(&upstream{}, log.New(&logged, "", 0))
		h.pages = pagesFunc(func(context.Context, pageKey) (*page, source, error) { return nil, test.from, test.err })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		require.Equal(t, test.status, w.Code)
		require.Equal(t, test.logs, logged.String())
		require.NotContains(t, w.Body.String(), "stack")
	}
}

func TestUserWhoLeftGetsNothingAndIsNoError(t *testing.T) {
	h := newHandler(&upstream{}, log.New(io.Discard, "", 0))
	h.pages = pagesFunc(func(ctx context.Context, _ pageKey) (*page, source, error) { return nil, led, ctx.Err() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	require.Empty(t, w.Body.String())
	require.Zero(t, h.stats.failed.Load())
}

func TestOneUsersDisconnectDoesNotFailTheOthers(t *testing.T) {
	answer := make(chan bool)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-answer; io.WriteString(w, "whole") })
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan reply), make(chan reply)
	go func() {
		req, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/", nil)
		first <- do(req)
	}()
	<-s.asked
	go func() { second <- s.request("GET", "/") }()
	require.Eventually(t, func() bool { return s.waiting.now.Load() == 2 }, 10*time.Second, time.Millisecond)
	cancel()
	require.Error(t, (<-first).err)
	require.Eventually(t, func() bool { return s.waiting.now.Load() == 1 }, 10*time.Second, time.Millisecond)
	close(answer)
	r := <-second
	require.Equal(t, "whole", r.body)
	require.Equal(t, "joined", r.cache())
	require.Empty(t, s.asked)
}

func TestKeepFor(t *testing.T) {
	const limit = 10 * time.Second
	for _, test := range []struct {
		status int
		header string
		want   time.Duration
	}{
		{200, "", limit},
		{404, "", limit},
		{302, "", 0},
		{429, "", 0},
		{500, "", 0},
		{200, "Cache-Control: max-age=3", 3 * time.Second},
		{200, "Cache-Control: MAX-AGE = \"3\"", 3 * time.Second},
		{200, "Cache-Control: max-age=3, s-maxage=5", 5 * time.Second},
		{200, "Cache-Control: max-age=86400", limit},
		{200, "Cache-Control: max-age=0", 0},
		{200, "Cache-Control: max-age=-1", 0},
		{200, "Cache-Control: max-age=soon", 0},
		{200, "Cache-Control: public, no-cache", 0},
		{200, "Expires: 0", 0},
		{200, "Expires: Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{200, "Expires: Fri, 01 Jan 2100 00:00:00 GMT", limit},
	} {
		h := http.Header{}
		if name, value, ok := strings.Cut(test.header, ": "); ok {
			h.Set(name, value)
		}
		require.Equal(t, test.want, keepFor(test.status, h, limit), "%d %s", test.status, test.header)
	}
}
