package httpcache

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// Clients and origins that are hostile, or just careless.

// RFC 9111, 4.4.
func TestWriteEndsWhatWasKeptOfThePage(t *testing.T) {
	page, status := "old", http.StatusNoContent
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=60")
		if r.Method != http.MethodGet {
			w.WriteHeader(status)
			return
		}
		io.WriteString(w, page)
	})
	english := []string{"Accept-Encoding: gzip"}
	for _, method := range []string{"PUT", "POST", "DELETE", "PATCH", "FROB"} {
		page, status = "old", http.StatusNoContent
		require.Equal(t, "old", s.request("GET", "/").body)
		require.Equal(t, "old", s.request("GET", "/", english...).body)
		page, status = "new after "+method, http.StatusForbidden
		require.Equal(t, "passed", s.request(method, "/").cache())
		require.Equal(t, "old", s.request("GET", "/").body, "a write that failed")
		status = http.StatusNoContent
		s.request("OPTIONS", "/")
		s.request(method, "/other")
		require.Equal(t, "hit", s.request("GET", "/").cache())
		s.request(method, "/")
		require.Equal(t, page, s.request("GET", "/").body)
		require.Equal(t, page, s.request("GET", "/", english...).body)
		require.Equal(t, "hit", s.request("GET", "/").cache())
		page = "old"
		s.request(method, "/")
	}
}

func TestPersonalErrorIsTroubleToo(t *testing.T) {
	for _, personal := range []string{"Cache-Control: no-store", "Set-Cookie: a=b", "Vary: *"} {
		synctest.Test(t, func(t *testing.T) {
			up := true
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				if !up {
					addLines(w.Header(), personal)
					http.Error(w, "sorry", http.StatusServiceUnavailable)
					return
				}
				w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=10, stale-if-error=100")
				io.WriteString(w, "answer 1")
			})
			s.at(t, "0 fetched")
			up = false
			s.at(t, "15 stale") // a renewal fails behind the user's back
			synctest.Wait()
			s.at(t, "16 stale")
			s.at(t, "30 stale")
			r := s.request("GET", "/never/seen")
			require.Equal(t, "passed", r.cache(), "to each his own")
			require.Equal(t, "sorry\n", r.body)
		})
	}
}

func TestPassedThroughAsItCame(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.RequestURI()) })
	for _, header := range []string{"", "Cookie: a=b"} {
		require.Equal(t, "/base/search?q=a;b&%zz", s.request("GET", "/search?q=a;b&%zz", header).body)
	}
}

func TestHopByHopFieldsHideNothing(t *testing.T) {
	for _, hidden := range []string{"Cache-Control: private", "Set-Cookie: a=b", "Vary: *", "Cache-Control: no-store"} {
		s := newSite(t, answering("Connection: cache-control, set-cookie, vary", hidden))
		s.request("GET", "/")
		require.Equal(t, "answer 2", s.request("GET", "/").body, hidden)
	}
}

func TestHeadHasNoParts(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "0123456789") })
	s.request("GET", "/")
	r := s.request("HEAD", "/", "Range: bytes=2-4")
	require.Equal(t, 200, r.status)
	require.Equal(t, "hit", r.cache())
	require.Equal(t, "10", r.header.Get("Content-Length"))
	require.Empty(t, r.body)
}

// A brokenBody has a beginning, and then its reader panics or exits.
type brokenBody struct {
	begun bool
	fault func()
}

func (b *brokenBody) Read(p []byte) (int, error) {
	if b.begun {
		time.Sleep(time.Second) // of a bubble: the user has read that
		b.fault()
	}
	b.begun = true
	return copy(p, "begun"), nil
}

func (b *brokenBody) Close() error { return nil }

func TestBodyThatPanicsOrExitsIsABrokenTransfer(t *testing.T) {
	for _, fault := range []func(){func() { panic("oh") }, runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, nil)
			s.transport = roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: &brokenBody{fault: fault}}, nil
			})
			r := s.request("GET", "/")
			require.True(t, r.aborted)
			require.Equal(t, "begun", r.body)
			synctest.Wait()
			require.False(t, s.keeps("/"))
			require.Contains(t, s.log.String(), "the body broke off")
		})
	}
}

// They would reach the origin beside the path of -origin, or not at all.
func TestTargetsWithoutAPathAreRefused(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
	for _, target := range []string{"GET http:foo", "GET *", "CONNECT elsewhere:80"} {
		method, uri, _ := strings.Cut(target, " ")
		for _, header := range []string{"", "Cookie: a=b"} {
			require.Equal(t, 400, s.request(method, uri, header).status, target)
		}
	}
	require.Empty(t, s.asked)
	require.Empty(t, s.log.String())
	require.Equal(t, 200, s.request("GET", "http://elsewhere/page").status)
	require.Equal(t, "http://origin.test/base/page", (<-s.asked).URL.String())
}

// A body may end at the moment in which a newer page takes the place of its own.
func TestBodyThatEndsLateDoesNotBringItsPageBack(t *testing.T) {
	s := newSite(t, nil)
	key := pageKey{front: s.front, method: "GET", uri: "/"}
	page := func() *response {
		return &response{status: 200, policy: rfc9111.Policy{Lifetime: time.Hour}, born: time.Now(), home: key}
	}
	for range 2000 {
		old, next := page(), page()
		s.pages.keep(key, old)
		old.weighed.Store(0) // there is something to settle
		var both sync.WaitGroup
		both.Go(func() { s.pages.recheck(key) })
		both.Go(func() { s.pages.keep(key, next) })
		both.Wait()
		got, ok := s.pages.Peek(key)
		require.True(t, ok)
		require.Same(t, next, got)
	}
}
