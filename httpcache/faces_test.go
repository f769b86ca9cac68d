package httpcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func newTestCache(t *testing.T, o *Options) *Cache {
	if o == nil {
		o = &Options{}
	}
	o.Logger = slog.New(slog.DiscardHandler)
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// asked counts the requests to a handler.
type asked struct {
	n atomic.Int64
	http.HandlerFunc
}

func (a *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.n.Add(1)
	a.HandlerFunc(w, r)
}

func answerTo(h http.Handler, method, url string, header ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, newRequest(context.Background(), method, url, header...))
	return w
}

func TestHandlerKeepsWhatTheNextOneSays(t *testing.T) {
	next := &asked{HandlerFunc: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "<html>"+r.Host+r.URL.RequestURI()+" for "+r.RemoteAddr)
	}}
	h := newTestCache(t, nil).Handler(next)
	for i, from := range []string{"fetched", "hit"} {
		w := answerTo(h, "GET", "http://here/page?q")
		require.Equal(t, from, w.Header().Get("X-Cache"), i)
		require.Equal(t, "<html>here/page?q for 192.0.2.1:1234", w.Body.String())
		require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"), "guessed, as net/http does")
	}
	require.Equal(t, "fetched", answerTo(h, "GET", "http://there/page?q").Header().Get("X-Cache"), "of another host")
	require.EqualValues(t, 2, next.n.Load())
	require.Equal(t, "passed", answerTo(h, "POST", "http://here/page?q").Header().Get("X-Cache"))
	require.Equal(t, "fetched", answerTo(h, "GET", "http://here/page?q").Header().Get("X-Cache"), "a POST invalidates it")
}

func TestHandlerCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &asked{HandlerFunc: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		}}
		h := newTestCache(t, nil).Handler(next)
		got := make(chan string)
		for range 10 {
			go func() { got <- answerTo(h, "GET", "/").Body.String() }()
		}
		for range 10 {
			require.Equal(t, "page", <-got)
		}
		require.EqualValues(t, 1, next.n.Load())
	})
}

func TestHandlersOfOneCacheAreKeptApart(t *testing.T) {
	c := newTestCache(t, nil)
	for _, name := range []string{"a", "b"} {
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, name)
		}))
		require.Equal(t, name, answerTo(h, "GET", "/").Body.String())
	}
}

func TestHandlerThatPanicsOrExits(t *testing.T) {
	fault := func() {}
	h := newTestCache(t, nil).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fault() }))
	for _, fault = range []func(){func() { panic("oh") }, runtime.Goexit, func() { panic(http.ErrAbortHandler) }} {
		require.Equal(t, 502, answerTo(h, "GET", "/").Code)
	}
	fault = func() { panic("oh") }
	require.PanicsWithValue(t, "oh", func() { answerTo(h, "POST", "/") }, "the server's affair")
	require.Panics(t, func() { newTestCache(t, nil).Handler(nil) })
}

func TestHandlerStreamsAndBreaksOff(t *testing.T) {
	for _, method := range []string{"GET", "POST"} { // shared, and not
		h := newTestCache(t, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}))
		server := httptest.NewServer(h)
		require.Error(t, getBy(method, server.URL))
		server.Close()
	}
}

// A ReverseProxy panics because a body broke off only if its context has a server. Otherwise it returns,
// as if the body was complete.
func TestBodyThatBreaksOffInAReverseProxyBehindAHandler(t *testing.T) {
	origin := &url.URL{Scheme: "http", Host: "origin.test"}
	half := roundTrip(func(r *http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
		return &http.Response{
			StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, ContentLength: -1, Body: io.NopCloser(body), Request: r,
		}, nil
	})
	next := &httputil.ReverseProxy{
		Transport: half, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(origin) },
	}
	handler := newTestCache(t, nil).Handler(next)
	proxy := newTestCache(t, nil).Proxy(origin, &ProxyOptions{Transport: half})
	for _, h := range []http.Handler{handler, proxy} {
		for _, method := range []string{"GET", "POST"} { // shared, and not
			for range 2 {
				require.PanicsWithValue(t, http.ErrAbortHandler, func() { answerTo(h, method, "/") }, method)
			}
		}
	}
}

// getBy returns the error of a request or of its body.
func getBy(method, url string) error {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.ReadAll(res.Body)
	return err
}

// A remote is a server that a Transport asks.
func remote(t *testing.T, h http.HandlerFunc) (url string, a *asked) {
	a = &asked{HandlerFunc: h}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return server.URL, a
}

func through(t *testing.T, c *Cache) *http.Client {
	inner := &http.Transport{DisableCompression: true}
	t.Cleanup(inner.CloseIdleConnections)
	return &http.Client{Transport: c.Transport(inner)}
}

func fetchWith(t *testing.T, c *http.Client, method, url, body string, header ...string) reply {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if body == "" {
		req, err = http.NewRequest(method, url, nil)
	}
	require.NoError(t, err)
	addLines(req.Header, header...)
	res, err := c.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	require.Same(t, req, res.Request)
	b, err := io.ReadAll(res.Body)
	return reply{status: res.StatusCode, header: res.Header, body: string(b), err: err}
}

func TestTransportKeepsAndCoalesces(t *testing.T) {
	url, server := remote(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		b, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Method+" "+r.Host+r.URL.RequestURI()+string(b))
	})
	c := through(t, newTestCache(t, nil))
	host := strings.TrimPrefix(url, "http://")
	for _, from := range []string{"fetched", "hit"} {
		r := fetchWith(t, c, "GET", url+"/a/../b?q", "")
		require.NoError(t, r.err)
		require.Equal(t, from, r.cache())
		require.Equal(t, "GET "+host+"/a/../b?q", r.body)
	}
	r := fetchWith(t, c, "PUT", url+"/a/../b?q", "body")
	require.Equal(t, "passed", r.cache())
	require.Equal(t, "PUT "+host+"/a/../b?qbody", r.body)
	require.Equal(t, "fetched", fetchWith(t, c, "GET", url+"/a/../b?q", "").cache(), "a PUT invalidates it")
	require.EqualValues(t, 3, server.n.Load())
	require.Equal(t, "passed", fetchWith(t, c, "GET", url+"/a/../b?q", "", "Authorization: me").cache())
}

func TestTransportPassesLargeBodiesAndEnds(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	url, _ := remote(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(content)
	})
	c := through(t, newTestCache(t, &Options{MaxObject: 1000}))
	require.True(t, string(content) == fetchWith(t, c, "GET", url, "").body)
	res, err := c.Get(url)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close(), "half-way")
	c.CloseIdleConnections()
}

func TestTransportReturnsTheWholeTrailer(t *testing.T) {
	url, _ := remote(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "page")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	})
	c := through(t, newTestCache(t, nil))
	for _, field := range []string{"X-Y: shared", "Cookie: a=b"} {
		for _, method := range []string{"GET", "PUT"} {
			req := newRequest(t.Context(), method, url, field)
			req.RequestURI = ""
			res, err := c.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, "page", string(body))
			require.Equal(t, http.Header{"X-Sum": {"1"}, "X-Late": {"2"}}, res.Trailer, method+" "+field)
		}
	}
}

func TestTransportReturnsTheErrorOfTheNextOne(t *testing.T) {
	broken := errors.New("no route")
	rt := newTestCache(t, nil).Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, broken }))
	for _, method := range []string{"GET", "POST"} {
		res, err := rt.RoundTrip(httptest.NewRequest(method, "http://there/", nil))
		require.ErrorIs(t, err, broken)
		require.Nil(t, res)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := rt.RoundTrip(httptest.NewRequestWithContext(ctx, "GET", "http://there/", nil))
	require.ErrorIs(t, err, context.Canceled)
}

func TestTransportEndsWithTheContextOfItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := newTestCache(t, nil).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := rt.RoundTrip(httptest.NewRequestWithContext(ctx, "GET", "http://there/", nil))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestPrivateCacheIsThatOfOneUser(t *testing.T) {
	says := ""
	url, server := remote(t, func(w http.ResponseWriter, r *http.Request) {
		addLines(w.Header(), strings.Split(says, "\n")...)
		io.WriteString(w, "mine")
	})
	for _, test := range []struct{ says, shared, private string }{
		{"Cache-Control: private, max-age=60", "passed", "hit"},
		{"Cache-Control: max-age=60\nSet-Cookie: a=b", "passed", "hit"},
		{"Cache-Control: max-age=0, s-maxage=60", "hit", "fetched"},
		{"Cache-Control: no-store", "passed", "passed"},
	} {
		says = test.says
		for private, want := range map[bool]string{false: test.shared, true: test.private} {
			c := through(t, newTestCache(t, &Options{Private: private}))
			fetchWith(t, c, "GET", url, "")
			require.Equal(t, want, fetchWith(t, c, "GET", url, "").cache(), "%s, private %v", test.says, private)
		}
	}
	says = "Cache-Control: max-age=60"
	c := through(t, newTestCache(t, &Options{Private: true}))
	fetchWith(t, c, "GET", url, "", "Cookie: a=b", "Authorization: me")
	require.Equal(t, "hit", fetchWith(t, c, "GET", url, "", "Cookie: a=b", "Authorization: me").cache())
	require.Positive(t, server.n.Load())
}
