package httpcache

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// varying is an origin that takes a second for a page that depends on Accept-Encoding.
func varying(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Second)
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Vary", "Accept-Encoding")
	io.WriteString(w, r.Header.Get("Accept-Encoding"))
}

// A request that found the rule of a URL without the response would ask the origin again.
func TestRuleIsNotStoredBeforeItsResponse(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		io.WriteString(w, "page")
	})
	for range 300 {
		r := newRequest(t.Context(), "GET", "/")
		a, url := s.newAsk(r, nil), s.keyOf("GET", r)
		var early atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for key, e := s.pages.kept(url, a); e == nil; key, e = s.pages.kept(url, a) {
				if key != url {
					early.Add(1)
				}
			}
		}()
		s.request("GET", "/")
		<-done
		require.Zero(t, early.Load())
		s.pages.InvalidateAll()
	}
}

// The Store has the rule of the URL, but not this variant.
func TestHerdForAVariantThatIsNotStoredIsOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, varying, with(newMemory()))
		s.expect(t, "/ fetched", "Accept-Encoding: gzip")
		s = s.again(t, varying)
		first := s.later(t.Context(), "GET", "/", "Accept-Encoding: br")
		time.Sleep(time.Second / 2)
		second := s.later(t.Context(), "GET", "/", "Accept-Encoding: br")
		require.Equal(t, "fetched", (<-first).cache())
		require.Equal(t, "coalesced", (<-second).cache())
		require.Len(t, s.asked, 1)
		s.expect(t, "/ hit", "Accept-Encoding: gzip")
	})
}

func TestHerdForAVariantThatIsStoredIsOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s := newSite(t, varying, with(m))
		s.expect(t, "/ fetched", "Accept-Encoding: gzip")
		s = s.again(t, varying)
		var loads atomic.Int64
		m.on("Load", func(key string) error {
			if strings.Contains(key, "gzip") {
				loads.Add(1)
				time.Sleep(time.Second)
			}
			return nil
		})
		first := s.later(t.Context(), "GET", "/", "Accept-Encoding: gzip")
		time.Sleep(time.Second / 2)
		second := s.later(t.Context(), "GET", "/", "Accept-Encoding: gzip")
		require.Equal(t, "hit", (<-first).cache())
		require.Equal(t, "hit", (<-second).cache())
		require.EqualValues(t, 1, loads.Load())
		require.Empty(t, s.asked)
		s.expect(t, "/ hit", "Accept-Encoding: gzip")
	})
}

// A response that HEAD has updated keeps its tags and its trailer.
func TestPurgeFindsResponsesThatHeadHasUpdated(t *testing.T) {
	for _, selection := range []Selection{{URL: "/"}, {URL: "/", Soft: true}, {Tag: "t"}, {Tag: "t", Soft: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=10")
				w.Header().Set("ETag", `"1"`)
				if r.Method == http.MethodGet {
					w.Header().Set("Cache-Tag", "t")
					w.Header().Set(http.TrailerPrefix+"After", "all")
					io.WriteString(w, "page")
				}
			})
			s.request("GET", "/")
			time.Sleep(15 * time.Second)
			require.Equal(t, "fetched", s.request("HEAD", "/").cache())
			r := s.request("GET", "/")
			require.Equal(t, "hit", r.cache())
			require.Equal(t, "all", r.header.Get("After"), "the trailer")
			require.NotZero(t, s.Purge(selection))
			require.NotEqual(t, "hit", s.request("GET", "/").cache())
		})
	}
}

// HEAD does not update a response that a purge has removed.
func TestHeadDoesNotUpdatePurgedResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=10")
			w.Header().Set("ETag", `"1"`)
			io.WriteString(w, "page")
		})
		s.request("GET", "/")
		time.Sleep(15 * time.Second)
		head := s.later(context.Background(), "HEAD", "/")
		time.Sleep(time.Second / 2)
		s.purges.add(Selection{URL: "/"}) // a Purge that has not reached the page yet
		require.Equal(t, "fetched", (<-head).cache())
		require.Equal(t, "fetched", s.request("GET", "/").cache())
	})
}
