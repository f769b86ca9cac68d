package programs_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// echo answers with the request's body and its protocol. It reads all first: net/http
// discards what a handler has not read of an HTTP/1.1 request when it begins to write.
func echo(rw http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	rw.Header().Set("Proto", r.Proto)
	rw.Write(text)
}

func TestHTTP(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				t.Parallel()
				inKinds(t, kinds, func(t *testing.T, k kind) { requests(t, w.serve(t, k, network, echo), k) })
			})
		}
	})
}

// requests makes requests from several goroutines, which share connections.
func requests(t *testing.T, s *site, k kind) {
	var all sync.WaitGroup
	for client := range 4 {
		all.Go(func() {
			for i := range 8 {
				text := strings.Repeat(strconv.Itoa(client*1000+i), 1000*i)
				resp, err := s.client.Post(s.url, "text/plain", strings.NewReader(text))
				if !assert.NoError(t, err) {
					return
				}
				got, err := io.ReadAll(resp.Body)
				assert.NoError(t, err)
				assert.NoError(t, resp.Body.Close())
				assert.True(t, text == string(got), "the echo differs")
				assert.Equal(t, k.proto, resp.Proto)
				assert.Equal(t, k.proto, resp.Header.Get("Proto"))
			}
		})
	}
	all.Wait()
}

// TestHTTPReuse checks that a connection is kept between requests, during which
// net/http reads one byte in the background and breaks that off by a deadline.
func TestHTTPReuse(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			var connections atomic.Int32
			s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				io.WriteString(rw, r.RemoteAddr)
			})
			trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
				if !info.Reused {
					connections.Add(1)
				}
			}}
			ctx := httptrace.WithClientTrace(t.Context(), trace)
			for range 50 {
				req, err := http.NewRequestWithContext(ctx, "GET", s.url, nil)
				require.NoError(t, err)
				require.NotEmpty(t, body(t, s.client, req))
			}
			require.EqualValues(t, 1, connections.Load())
		})
	})
}

// body makes the request and returns the body of the response.
func body(t *testing.T, c *http.Client, req *http.Request) string {
	t.Helper()
	resp, err := c.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(got)
}

func TestHTTPExpectContinue(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, []kind{http1, https1, https2}, func(t *testing.T, k kind) {
			s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/refuse" {
					rw.WriteHeader(http.StatusExpectationFailed)
					return
				}
				echo(rw, r)
			}, func(_ *http.Server, tr *http.Transport) { tr.ExpectContinueTimeout = time.Hour })

			var continued atomic.Int32
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued.Add(1) }})
			req := expecting(t, ctx, s.url, "hello")
			require.Equal(t, "hello", body(t, s.client, req))
			require.EqualValues(t, 1, continued.Load())

			resp, err := s.client.Do(expecting(t, ctx, s.url+"refuse", "not sent"))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusExpectationFailed, resp.StatusCode)
			require.EqualValues(t, 1, continued.Load())
		})
	})
}

func expecting(t *testing.T, ctx context.Context, url, text string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, "PUT", url, strings.NewReader(text))
	require.NoError(t, err)
	req.Header.Set("Expect", "100-continue")
	return req
}

// upgrade takes the connection over, as a websocket's handler does, and answers each
// line. The line "deadline" sets one that is past, and takes it back once a read failed.
func upgrade(rw http.ResponseWriter, r *http.Request) {
	conn, both, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	for {
		line, err := both.ReadString('\n')
		if err != nil {
			return
		}
		if line == "deadline\n" {
			conn.SetReadDeadline(time.Now().Add(-time.Second))
			_, err := conn.Read(make([]byte, 1))
			line = strconv.FormatBool(os.IsTimeout(err)) + "\n"
			conn.SetReadDeadline(time.Time{})
		}
		if _, err := io.WriteString(conn, line); err != nil {
			return
		}
	}
}

func TestHTTPUpgrade(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, []kind{http1, https1}, func(t *testing.T, k kind) {
			talkUpgraded(t, w.serve(t, k, "tcp", upgrade))
		})
	})
}

// talkUpgraded talks to a site whose handler is upgrade.
func talkUpgraded(t *testing.T, s *site) {
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.url, nil)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := s.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	conn := resp.Body.(io.ReadWriteCloser)
	lines := bufio.NewReader(conn)
	for _, l := range [][2]string{{"one", "one"}, {"deadline", "true"}, {"two", "two"}, {strings.Repeat("long", 100_000), strings.Repeat("long", 100_000)}} {
		_, err := io.WriteString(conn, l[0]+"\n")
		require.NoError(t, err)
		got, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.True(t, l[1]+"\n" == got)
	}
}
