package programs_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// short is a timeout that a test waits for.
const short = 50 * time.Millisecond

// untilEnd reads from a connection until its other end has closed it. A reset counts
// as one, because the server may close with unread bytes.
func untilEnd(t *testing.T, conn net.Conn) string {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	got, err := io.ReadAll(conn)
	require.False(t, os.IsTimeout(err), "the server does not close the connection")
	return string(got)
}

// TestHTTPReadTimeouts sends half of a request, and waits until the server has enough.
func TestHTTPReadTimeouts(t *testing.T) {
	cases := map[string]struct {
		configure func(*http.Server, *http.Transport)
		sent      string
	}{
		"header": {
			func(s *http.Server, _ *http.Transport) { s.ReadHeaderTimeout = short },
			"GET / HTTP/1.1\r\nHost: ",
		},
		"body": {
			func(s *http.Server, _ *http.Transport) { s.ReadTimeout = short },
			"POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1000\r\n\r\nfive",
		},
		"idle": {
			func(s *http.Server, _ *http.Transport) { s.IdleTimeout = short },
			"POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 4\r\n\r\nfive",
		},
	}
	inWorlds(t, func(t *testing.T, w world) {
		for name, c := range cases {
			failed := make(chan error, 1)
			s := w.serve(t, http1, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				failed <- err
			}, c.configure)
			conn, err := w.dialer(s.listener)(t.Context(), "", "")
			require.NoError(t, err)
			_, err = io.WriteString(conn, c.sent)
			require.NoError(t, err)
			answer := untilEnd(t, conn)
			require.NoError(t, conn.Close())
			switch name {
			case "body":
				require.ErrorIs(t, <-failed, os.ErrDeadlineExceeded)
			case "idle":
				require.NoError(t, <-failed)
				require.True(t, strings.HasPrefix(answer, "HTTP/1.1 200 OK"), answer)
			}
		}
	})
}

// TestHTTPWriteTimeout has a handler that writes to a client that does not read.
func TestHTTPWriteTimeout(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			failed := make(chan error, 1)
			s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(rw, endless{})
				failed <- err
			}, func(s *http.Server, _ *http.Transport) { s.WriteTimeout = 10 * short })
			resp, err := s.client.Get(s.url)
			if err == nil {
				defer resp.Body.Close()
			}
			err = <-failed
			require.Error(t, err)
			if k.proto == "HTTP/1.1" { // HTTP/2 resets the stream
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			}
		})
	})
}

// TestHTTPShutdown ends a server while it answers a request, which it still does.
func TestHTTPShutdown(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			began, goOn := make(chan struct{}), make(chan struct{})
			s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				close(began)
				<-goOn
				io.WriteString(rw, "answer")
			})
			answer := make(chan string, 1)
			go func() {
				resp, err := s.client.Get(s.url)
				if err != nil {
					answer <- err.Error()
					return
				}
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body)
				answer <- string(text)
			}()
			<-began
			ended := make(chan error, 1)
			go func() { ended <- s.Shutdown(t.Context()) }()
			require.ErrorIs(t, s.wait(), http.ErrServerClosed)
			_, err := w.dialer(s.listener)(t.Context(), "", "")
			require.Error(t, err, "the listener is closed")
			require.Empty(t, ended, "Shutdown waits for the request")
			close(goOn)
			require.Equal(t, "answer", <-answer)
			require.NoError(t, <-ended)
		})
	})
}

// TestHTTPClose ends a server together with the request that it answers.
func TestHTTPClose(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			began, left := make(chan struct{}), make(chan struct{})
			s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				close(began)
				<-r.Context().Done()
				close(left)
			})
			failed := make(chan error, 1)
			go func() {
				resp, err := s.client.Get(s.url)
				if err == nil {
					resp.Body.Close()
				}
				failed <- err
			}()
			<-began
			require.NoError(t, s.Close())
			require.Error(t, <-failed)
			<-left
		})
	})
}

// TestHTTPPipelined sends several requests at once: net/http's background read takes a
// byte of the next while the handler runs, and must lose none.
func TestHTTPPipelined(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		s := w.serve(t, http1, "tcp", func(rw http.ResponseWriter, r *http.Request) {
			io.WriteString(rw, r.URL.Path)
		})
		conn, err := w.dialer(s.listener)(t.Context(), "", "")
		require.NoError(t, err)
		defer conn.Close()
		const requests = 100
		go func() {
			for i := range requests {
				io.WriteString(conn, "GET /"+strconv.Itoa(i)+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
			}
		}()
		in := bufio.NewReader(conn)
		for i := range requests {
			resp, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "/"+strconv.Itoa(i), string(text))
		}
	})
}
