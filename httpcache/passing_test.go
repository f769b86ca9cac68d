package httpcache

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// readAll is an origin that wants all of a request's body first.
func readAll(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Write(body)
}

func TestBodyThatBreaksOffIsTheClientsFault(t *testing.T) {
	for _, test := range []struct {
		body   string
		status int
	}{
		{"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n\r\n", 400},
		{"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400},
		{"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
		{"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
		{"Transfer-Encoding: chunked\r\n\r\n\r\n", 400},
	} {
		w := newWire(t, http.HandlerFunc(readAll), nil, nil)
		c := w.call(t)
		go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+test.body)
		r := c.whole(t, "POST")
		require.Equal(t, test.status, r.status, test.body)
		require.Equal(t, "passed", r.cache())
		require.Contains(t, r.header.Get("Proxy-Status"), "; error=http_request_error")
		require.Zero(t, w.Stats().Failed, "the origin is well")
		require.Empty(t, w.log.String())
	}
}

func TestBodyOverTheLimitOfAHandlerAroundIs413(t *testing.T) {
	s := newSite(t, readAll)
	r := newRequest(t.Context(), "POST", "/")
	w := newNowhere()
	r.Body, r.ContentLength = http.MaxBytesReader(w, io.NopCloser(strings.NewReader("too long")), 3), 8
	s.transport = bodySender{s.transport}
	s.proxy = newProxy(s.front)
	s.ServeHTTP(w, r)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Zero(t, s.Stats().Failed)
}

// A bodySender fails as a transport does if it cannot read what it sends.
type bodySender struct{ http.RoundTripper }

func (b bodySender) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return b.RoundTripper.RoundTrip(r)
}

func TestBodyThatStallsIs408(t *testing.T) {
	for name, sent := range map[string]string{"length": "Content-Length: 100\r\n\r\nabc", "chunked": "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t, http.HandlerFunc(readAll), &Options{Timeout: time.Second}, &ProxyOptions{BodyTimeout: 5 * time.Second})
				c, start := w.call(t), time.Now()
				go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+sent)
				require.Equal(t, http.StatusRequestTimeout, c.whole(t, "POST").status)
				require.Equal(t, 5*time.Second, time.Since(start))
				_, err := c.in.ReadByte()
				require.Equal(t, io.EOF, err, "what comes next could be the body")
				require.Zero(t, w.Stats().Failed)
				require.Empty(t, w.log.String())
			})
		})
	}
}

// Without an answer, the server would send an empty page with status 200 when the context of a
// request has ended and the client is still there.
func TestEndOfAContextIsNoEmptyPage(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 1<<10 {
			io.Copy(io.Discard, r.Body)
		}
		time.Sleep(3 * time.Second)
		io.WriteString(w, "page")
	}
	hasty := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			defer cancel()
			h.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	proxy := func(w *wire) *http.Server { return &http.Server{Handler: hasty(w.front)} }
	handler := func(w *wire) *http.Server { return &http.Server{Handler: hasty(w.Handler(http.HandlerFunc(slow)))} }
	upload := func(w *wire) *http.Server { return &http.Server{Handler: w.front, ReadTimeout: time.Second} }
	for _, c := range []struct {
		server  func(w *wire) *http.Server
		request string
		status  int
	}{
		{proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", http.StatusGatewayTimeout},
		{proxy, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: me\r\n\r\n", http.StatusGatewayTimeout},
		{proxy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nall", http.StatusGatewayTimeout},
		{proxy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhalf", http.StatusRequestTimeout},
		{proxy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 50000), http.StatusGatewayTimeout},
		{handler, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", http.StatusGatewayTimeout},
		{upload, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhalf", http.StatusRequestTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(t, http.HandlerFunc(slow), nil, nil)
			n := newPipeNet()
			serve(t, n, c.server(w))
			conn, err := n.dial(t.Context(), "", "")
			require.NoError(t, err)
			defer time.Sleep(3 * time.Second) // until the origin has ended
			defer conn.Close()
			start := time.Now()
			go io.WriteString(conn, c.request)
			method, _, _ := strings.Cut(c.request, " ")
			got := (&call{conn, bufio.NewReader(conn)}).whole(t, method)
			require.Equal(t, c.status, got.status, "%.100s", c.request)
			require.NotEmpty(t, got.body)
			require.Equal(t, time.Second, time.Since(start))
		})
	}
}

func TestBodyMayTakeLongIfItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(readAll), &Options{Timeout: time.Second}, &ProxyOptions{BodyTimeout: 5 * time.Second})
		c := w.call(t)
		go func() {
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
			for i := range 10 {
				time.Sleep(4 * time.Second)
				fmt.Fprint(c, i)
			}
		}()
		require.Equal(t, "0123456789", c.whole(t, "POST").body)
	})
}

func TestOriginThatDoesNotAnswerIs504(t *testing.T) {
	for _, method := range []string{"GET", "POST", "OPTIONS"} {
		synctest.Test(t, func(t *testing.T) {
			hang := func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }
			w := newWire(t, http.HandlerFunc(hang), &Options{Timeout: 3 * time.Second}, nil)
			c, start := w.call(t), time.Now()
			c.send(method+" / HTTP/1.1", "Host: a", "Cookie: a=b", "Content-Length: 4", "", "body")
			r := c.whole(t, method)
			require.Equal(t, http.StatusGatewayTimeout, r.status)
			require.Equal(t, 3*time.Second, time.Since(start))
			require.Contains(t, r.header.Get("Proxy-Status"), "; error=http_response_timeout")
			require.EqualValues(t, 1, w.Stats().Failed)
			require.Contains(t, w.log.String(), "took too long")
		})
	}
}

func TestAnswerThatHasBegunMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			time.Sleep(time.Minute)
			w.Write([]byte("done"))
		}), &Options{Timeout: time.Second}, &ProxyOptions{BodyTimeout: time.Second})
		require.Equal(t, "done", w.call(t).send("GET / HTTP/1.1", "Host: a", "Cookie: a=b").whole(t, "GET").body)
		require.Zero(t, w.Stats().Failed)
	})
}

func TestClientThatLeavesIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithCancel(t.Context())
		got := s.later(ctx, "POST", "/")
		synctest.Wait()
		cancel()
		<-got
		require.Zero(t, s.Stats().Failed)
		require.Empty(t, s.log.String())
	})
}

// RFC 9110, 15.2; RFC 8297.
func TestInterimResponsesArePassedOn(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Link", "</more.css>; rel=preload")
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Link")
		w.Write([]byte("page"))
	}
	for kind, field := range map[string]string{"passed": "Cookie: a=b", "fetched": "X-Y: z"} {
		t.Run(kind, func(t *testing.T) {
			w := newWire(t, http.HandlerFunc(origin), nil, nil)
			c := w.call(t).send("GET / HTTP/1.1", "Host: a", field)
			early := c.answer(t, "GET")
			require.Equal(t, http.StatusEarlyHints, early.StatusCode)
			require.Equal(t, http.Header{"Link": {"</style.css>; rel=preload"}}, early.Header)
			require.Equal(t, http.StatusProcessing, c.answer(t, "GET").StatusCode)
			r := c.whole(t, "GET")
			require.Equal(t, "page", r.body)
			require.Equal(t, kind, r.cache())
			require.Empty(t, r.header["Link"])

			old := w.call(t).send("GET /old HTTP/1.0", field).whole(t, "GET")
			require.Equal(t, 200, old.status, "HTTP/1.0 has no interim responses")
			require.Equal(t, "page", old.body)
		})
	}
}

// The client that started a fetch may not read.
func TestOthersDoNotWaitForAnInterimResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				w.WriteHeader(http.StatusEarlyHints)
			}
			time.Sleep(time.Second)
			io.WriteString(w, "page")
		}), &Options{TTL: time.Minute}, nil)
		first := w.call(t).send("GET / HTTP/1.1", "Host: a")
		synctest.Wait()
		start := time.Now()
		require.Equal(t, "page", w.call(t).send("GET / HTTP/1.1", "Host: a").whole(t, "GET").body)
		require.Equal(t, time.Second, time.Since(start))
		for range 3 {
			require.Equal(t, http.StatusEarlyHints, first.answer(t, "GET").StatusCode)
		}
		require.Equal(t, "page", first.whole(t, "GET").body)
	})
}

// A strictWriter fails when it writes an interim response.
type strictWriter struct {
	*httptest.ResponseRecorder
	fault func()
}

func (w strictWriter) WriteHeader(status int) {
	if status < 200 {
		w.fault()
	}
	w.ResponseRecorder.WriteHeader(status)
}

func TestInterimResponseThatPanicsOrExits(t *testing.T) {
	h := newTestCache(t, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "page")
	}))
	w := strictWriter{httptest.NewRecorder(), func() { panic("oh") }}
	require.PanicsWithValue(t, "oh", func() { h.ServeHTTP(w, newRequest(t.Context(), "GET", "/")) })
	w.fault = runtime.Goexit
	h.ServeHTTP(w, newRequest(t.Context(), "GET", "/"))
	require.Equal(t, "page", w.Body.String())
}

func TestHeaderOfAHandlerAroundIsInTheFinalAnswerOnly(t *testing.T) {
	w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
	}), nil, nil)
	around := newPipeNet()
	serveOn(t, around, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Around", "1")
		w.front.ServeHTTP(rw, r)
	}))
	w.net = around
	for _, field := range []string{"Cookie: a=b", "X-Y: z"} {
		c := w.call(t).send("GET / HTTP/1.1", "Host: a", field)
		require.Equal(t, http.Header{"Link": {"</style.css>"}}, c.answer(t, "GET").Header)
		r := c.whole(t, "GET")
		require.Equal(t, "1", r.header.Get("X-Around"))
		require.Equal(t, []string{"</style.css>"}, r.header["Link"])
	}
}

func TestTrailersPassThrough(t *testing.T) {
	w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.Copy(w, r.Body)
		w.Header().Set("X-Sum", "of "+r.Trailer.Get("X-Part"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
	}), nil, nil)
	c := w.call(t)
	go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Part\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"4\r\nbody\r\n0\r\nX-Part: one\r\n\r\n")
	res := c.answer(t, "POST")
	require.Contains(t, res.Trailer, "X-Sum")
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "body", string(body))
	require.Equal(t, http.Header{"X-Sum": {"of one"}, "X-Late": {"1"}}, res.Trailer)
}

// A shared page keeps its trailer, which is announced to those who come later.
func TestTrailerIsKeptWithThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"a"`)
			w.Header().Set("Cache-Control", "max-age=60")
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "page")
			http.NewResponseController(w).Flush()
			time.Sleep(time.Second)
			w.Header().Set("X-Sum", "of page")
			w.Header().Set(http.TrailerPrefix+"X-Late", "1")
		}), nil, nil)
		for _, from := range []string{"fetched", "hit", "hit", "revalidated", "hit"} {
			res := w.call(t).send("GET / HTTP/1.1", "Host: a").answer(t, "GET")
			require.Equal(t, from, res.Header.Get("X-Cache"))
			require.Contains(t, res.Trailer, "X-Sum")
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, "page", string(body))
			require.Equal(t, http.Header{"X-Sum": {"of page"}, "X-Late": {"1"}}, res.Trailer)
			time.Sleep(20 * time.Second)
		}
		part := w.call(t).send("GET / HTTP/1.1", "Host: a", "Range: bytes=1-2").whole(t, "GET")
		require.Equal(t, "ag", part.body)
		require.Equal(t, "2", part.header.Get("Content-Length"))
		require.Equal(t, "page", w.call(t).send("GET / HTTP/1.0").whole(t, "GET").body)
		require.Empty(t, w.call(t).send("HEAD / HTTP/1.1", "Host: a").whole(t, "HEAD").body)
	})
}

func TestWebSocketPassesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
			buf.Flush()
			line, _ := buf.ReadString('\n')
			fmt.Fprint(conn, "echo "+line)
		}), &Options{Timeout: time.Second}, nil)
		c := w.call(t).send("GET / HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: websocket")
		res := c.answer(t, "GET")
		require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
		require.Equal(t, "websocket", res.Header.Get("Upgrade"))
		require.Equal(t, "passed", res.Header.Get("X-Cache"))
		time.Sleep(time.Minute) // longer than any limit
		fmt.Fprint(c, "hello\n")
		line, err := bufio.NewReader(c.in).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "echo hello\n", line)
	})
}

// As http.Client permits, the response of a transport need not have its request, or may have another one.
func TestResponseWithoutItsRequestPassesThrough(t *testing.T) {
	for _, of := range []*http.Request{nil, newRequest(t.Context(), "POST", "/")} {
		transport := roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("page")), Request: of}, nil
		})
		c := newTestCache(t, nil)
		for _, h := range []http.Handler{
			c.Proxy(&url.URL{Scheme: "http", Host: "origin.test"}, &ProxyOptions{Transport: transport}),
			&httputil.ReverseProxy{Transport: c.Transport(transport), Rewrite: func(*httputil.ProxyRequest) {}},
		} {
			require.Equal(t, "page", answerTo(h, "POST", "/").Body.String())
			require.Equal(t, "page", answerTo(h, "GET", "/", "Cookie: a=b").Body.String())
		}
	}
}

// The client would get it as its final answer, or the connection to the origin would stay open.
func TestAnswerThatIsNoFinalOneIs502(t *testing.T) {
	for _, answer := range []string{"101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x", "101 Switching Protocols", "042 Answer"} {
		for _, request := range []string{
			"GET / HTTP/1.1\r\nHost: a", "HEAD / HTTP/1.1\r\nHost: a", "POST / HTTP/1.1\r\nHost: a",
			"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket",
		} {
			synctest.Test(t, func(t *testing.T) {
				left := make(chan error, 1)
				w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						panic(err)
					}
					defer conn.Close()
					io.WriteString(conn, "HTTP/1.1 "+answer+"\r\n\r\n")
					_, err = io.Copy(io.Discard, conn)
					left <- err
				}), nil, nil)
				method, _, _ := strings.Cut(request, " ")
				require.Equal(t, http.StatusBadGateway, w.call(t).send(request).whole(t, method).status)
				require.NoError(t, <-left)
				require.EqualValues(t, 1, w.Stats().Failed)
			})
		}
	}
}

// Through another version of HTTP, a client would ask the origin for anything,
// and past the cache.
func TestOtherVersionsOfHTTPDoNotPassThrough(t *testing.T) {
	for _, protocol := range []string{"h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.0", "h3"} {
		for _, method := range []string{"GET", "POST"} {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
			s.request(method, "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+protocol, "HTTP2-Settings: AAMAAABk")
			r := <-s.asked
			for _, name := range []string{"Connection", "Upgrade", "Http2-Settings"} {
				require.Empty(t, r.Header[name], protocol)
			}
		}
	}
}

func TestTypeThatTheOriginDoesNotTellIsNotGuessed(t *testing.T) {
	for kind, field := range map[string]string{"passed": "Cookie: a=b", "fetched": "X-Y: z"} {
		for _, length := range []string{"", "Content-Length"} {
			w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = nil
				if length != "" {
					w.Header().Set(length, "29")
				}
				io.WriteString(w, "<html><script>alert(1)</script>"[:29])
			}), &Options{TTL: time.Hour}, nil)
			r := w.call(t).send("GET / HTTP/1.1", "Host: a", field).whole(t, "GET")
			require.Equal(t, kind, r.cache())
			require.Empty(t, r.header["Content-Type"], kind)
			again := w.call(t).send("GET / HTTP/1.1", "Host: a", "Range: bytes=0-5").whole(t, "GET")
			require.Empty(t, again.header["Content-Type"], kind)
		}
	}
}
