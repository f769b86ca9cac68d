package httpcache

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// Handlers and transports with unusual behavior.

// The status of a handler that writes nothing is 200.
func TestWriteThatIsAnsweredByNothingEndsWhatWasKept(t *testing.T) {
	page := "old"
	h := newTestCache(t, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			page = "new"
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, page)
	}))
	require.Equal(t, "old", answerTo(h, "GET", "/").Body.String())
	w := httptest.NewRecorder()
	w.Header().Set("Set-By", "a handler around it")
	h.ServeHTTP(w, newRequest(t.Context(), "POST", "/"))
	require.Equal(t, "passed", w.Header().Get("X-Cache"))
	require.Equal(t, "a handler around it", w.Header().Get("Set-By"))
	require.Equal(t, "new", answerTo(h, "GET", "/").Body.String())
}

// A hijackable response fails if it is written to.
type hijackable struct {
	*httptest.ResponseRecorder
	hijacked bool
}

func (w *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked = true
	return nil, nil, nil
}
func (w *hijackable) WriteHeader(int) { panic("hijacked") }

func TestHijackedConnectionIsLeftAlone(t *testing.T) {
	h := newTestCache(t, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _, err := w.(http.Hijacker).Hijack()
		require.NoError(t, err)
	}))
	w := &hijackable{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(w, newRequest(t.Context(), "GET", "/", "Connection: Upgrade", "Upgrade: chat"))
	require.True(t, w.hijacked)
}

// net/http says that handlers should not change their requests, but some do.
func TestHandlerThatChangesItsRequestChangesNothingElse(t *testing.T) {
	page := "old"
	h := newTestCache(t, &Options{ShowKeys: true}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.TrimSuffix(r.URL.Path, "/")
		r.Header.Set("Cache-Control", "no-store")
		if r.Method == http.MethodPost {
			page = "new"
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, page)
	}))
	w := answerTo(h, "GET", "/page/")
	require.Equal(t, "old", w.Body.String())
	require.Contains(t, w.Header().Get("Cache-Status"), `key="/page/"`)
	answerTo(h, "POST", "/page/")
	require.Equal(t, "new", answerTo(h, "GET", "/page/").Body.String())
}

// The handler sets them while the response is being used.
func TestHandlerSetsTrailersOfABodyThatIsEmpty(t *testing.T) {
	h := newTestCache(t, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "A, B")
		w.(http.Flusher).Flush()
		w.Header().Set("A", "1")
		w.Header().Set("B", "2")
		w.Header().Set(http.TrailerPrefix+"C", "3")
	}))
	for range 500 {
		w := answerTo(h, "GET", "/", "Cookie: a=b")
		require.Equal(t, "passed", w.Header().Get("X-Cache"))
		trailer := answerTo(h, "GET", "/").Result().Trailer
		require.Equal(t, http.Header{"A": {"1"}, "B": {"2"}, "C": {"3"}}, trailer)
	}
}

// net/http does that too, because it has not sent the header yet.
func TestTypeIsGuessedAfterTheHeaderAsWell(t *testing.T) {
	h := newTestCache(t, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		w.Header().Set("Too", "late")
		io.WriteString(w, "<html>")
	}))
	w := answerTo(h, "GET", "/")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.Empty(t, w.Header().Get("Too"))
}

// The ContentLength of such a request is 0.
func TestTransportSendsBodiesOfUnknownLength(t *testing.T) {
	var next roundTrip = func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		return &http.Response{
			StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}},
			Body: io.NopCloser(strings.NewReader("for " + string(body))),
		}, err
	}
	client := &http.Client{Transport: newTestCache(t, nil).Transport(next)}
	for _, query := range []string{"one", "two"} {
		req, err := http.NewRequest(http.MethodGet, "http://search/", io.MultiReader(strings.NewReader(query)))
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, "for "+query, string(body))
	}
}

// http.Client accepts such responses.
func TestTransportThatLeavesOutWhatIsEmpty(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST"} {
		var next roundTrip = func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil }
		h := newTestCache(t, nil).Transport(next)
		res, err := h.RoundTrip(newRequest(t.Context(), method, "http://here/"))
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Empty(t, body)

		next = func(*http.Request) (*http.Response, error) { return nil, nil }
		_, err = newTestCache(t, nil).Transport(next).RoundTrip(newRequest(t.Context(), method, "http://here/"))
		require.ErrorIs(t, err, errNoResponse)
	}
}

// Callers often neither read nor close a body without bytes.
func TestEmptyBodyLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var next roundTrip = func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{"Cache-Control": {"max-age=60"}}}, nil
		}
		h := newTestCache(t, nil).Transport(next)
		for range 3 {
			_, err := h.RoundTrip(newRequest(context.Background(), "GET", "http://here/"))
			require.NoError(t, err)
		}
	})
}

// A closer is a body whose Close calls fault.
type closer struct {
	io.Reader
	fault func()
}

func (c *closer) Close() error { c.fault(); return nil }

func TestBodyWhoseClosePanicsOrExitsIsABodyThatIsThere(t *testing.T) {
	for _, fault := range []func(){func() { panic("oh") }, runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, nil)
			s.transport = roundTrip(func(*http.Request) (*http.Response, error) {
				body := &closer{strings.NewReader("page"), fault}
				return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: body}, nil
			})
			require.Equal(t, "page", s.request("GET", "/").body)
			synctest.Wait()
			require.Equal(t, "hit", s.request("GET", "/").cache())
			_, e := s.pages.kept(s.keyOf("GET", newRequest(t.Context(), "GET", "/")), s.newAsk(newRequest(t.Context(), "GET", "/"), nil))
			require.Equal(t, e.weight(), e.weighed.Load(), "it is known what it weighs")
		})
	}
}

// Otherwise its context would be a child of the cache's context until Close.
func TestFetchThatPanicsEndsItsExchange(t *testing.T) {
	for _, uncoalesced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, nil, func(o *Options) { o.NoCoalescing = uncoalesced })
			var asked context.Context
			s.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				asked = r.Context()
				return &http.Response{StatusCode: 204, Header: http.Header{}, Body: &closer{strings.NewReader(""), func() { panic("oh") }}}, nil
			})
			func() {
				defer func() { require.Equal(t, uncoalesced, recover() != nil) }()
				require.Equal(t, 502, s.request("GET", "/").status)
			}()
			require.Error(t, asked.Err())
		})
	}
}

func TestRenewalThatPanicsIsLogged(t *testing.T) {
	for _, uncoalesced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, answering("Cache-Control: max-age=2, stale-while-revalidate=100"), func(o *Options) { o.NoCoalescing = uncoalesced })
			s.at(t, "0 fetched")
			up := s.transport
			s.transport = roundTrip(func(*http.Request) (*http.Response, error) { panic("oh") })
			s.at(t, "5 stale")
			synctest.Wait()
			require.Contains(t, s.log.String(), "oh")
			s.transport = up
			s.at(t, "6 stale")
			s.at(t, "7 hit")
		})
	}
}
