package httpcache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// after is an origin that takes a while.
func after(d time.Duration, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { time.Sleep(d); answer(w, r) }
}

func TestWhatIsNotSharedCostsTheLeaderOneFetchAndOthersTwo(t *testing.T) {
	const takes = 500 * time.Millisecond
	for _, says := range []string{"Cache-Control: no-store", "Cache-Control: private", "Set-Cookie: a=b", "Vary: *", "403"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, after(takes, func(w http.ResponseWriter, r *http.Request) {
				if addLines(w.Header(), says); says == "403" {
					w.WriteHeader(403)
				}
				io.WriteString(w, "for "+r.Header.Get("X-User"))
			}))
			start := time.Now()
			require.Equal(t, "for one", s.request("GET", "/alone", "X-User: one").body)
			require.Equal(t, takes, time.Since(start))
			require.Len(t, s.asked, 1)

			start = time.Now()
			took := make(chan time.Duration, 20)
			for i := range 20 {
				go func() {
					r := s.request("GET", "/group", fmt.Sprint("X-User: ", i))
					require.Equal(t, fmt.Sprint("for ", i), r.body)
					require.Equal(t, "passed", r.cache())
					took <- time.Since(start)
				}()
			}
			require.Equal(t, takes, <-took)
			for range 19 {
				require.Equal(t, 2*takes, <-took)
			}
			require.Len(t, s.asked, 21, "one request each")
		})
	}
}

func TestVerdictIsOfOneURLAndHasATimeOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := 429
		s := newSite(t, after(time.Second, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }),
			func(o *Options) { o.TTL, o.UncacheableTTL = 24*time.Hour, 5*time.Second })
		pair := func(path string) string {
			a := s.later(t.Context(), "GET", path)
			synctest.Wait()
			b := s.later(t.Context(), "GET", path)
			return (<-a).cache() + " " + (<-b).cache()
		}
		require.Equal(t, "passed passed", pair("/"))
		status = 200
		require.Equal(t, "fetched coalesced", pair("/other"))
		status = 403
		start := time.Now()
		require.Equal(t, "passed passed", pair("/"))
		require.Equal(t, time.Second, time.Since(start), "both at once")
		time.Sleep(5 * time.Second)
		status = 200
		require.Equal(t, "fetched coalesced", pair("/"))
	})
}

func TestVerdictEndsWithTheFirstAnswerThatMayBeShared(t *testing.T) {
	says, status := "private", 200
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", says)
		w.WriteHeader(status)
	})
	require.Equal(t, "passed", s.request("GET", "/").cache())
	says, status = "max-age=100", 503
	require.Equal(t, "passed", s.request("GET", "/").cache(), "an error says nothing")
	status = 200
	require.Equal(t, "passed", s.request("POST", "/").cache())
	require.Equal(t, "passed", s.request("GET", "/", "Cookie: a=b").cache())
	require.Equal(t, "passed", s.request("GET", "/").cache())
	require.Equal(t, "fetched", s.request("GET", "/").cache())
	require.Equal(t, "hit", s.request("GET", "/").cache())
}

func TestRefusalLeavesWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := false
		answer := answering("Cache-Control: max-age=10", `ETag: "a"`)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			if refuse {
				w.WriteHeader(429)
				return
			}
			answer(w, r)
		})
		s.at(t, "0 fetched")
		refuse = true
		require.Equal(t, 429, s.request("GET", "/", "Cache-Control: max-age=0, min-fresh=20").status)
		s.at(t, "5 hit")
		refuse = false
		time.Sleep(s.UncacheableTTL)
		s.at(t, "16 revalidated")
	})
}

func TestVerdictsAreBounded(t *testing.T) {
	s := newSite(t, nil)
	for i := range maxURLs * 3 / 2 {
		s.uncacheable.add(pageKey{uri: fmt.Sprint(i)})
	}
	require.Less(t, s.uncacheable.urls.Stats().Entries, maxURLs*5/4)
	key := pageKey{method: "HEAD", uri: "/", vary: "x"}
	s.uncacheable.add(key)
	require.True(t, s.uncacheable.has(pageKey{method: "GET", uri: "/"}), "of all responses of the URL")
}

func TestLeaderWhoLeavesBeforeAPersonalAnswerLeavesNothingOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin, gate := gated(answering("Cache-Control: private"))
		s := newSite(t, origin)
		ctx, leave := context.WithCancel(t.Context())
		first := s.later(ctx, "GET", "/")
		synctest.Wait()
		second := s.later(t.Context(), "GET", "/")
		synctest.Wait()
		leave()
		require.Equal(t, 504, (<-first).status)
		close(gate)
		require.Equal(t, "passed", (<-second).cache())
		time.Sleep(2 * discardDelay)
		synctest.Wait()
		require.Zero(t, s.fetches.Count())
	})
}
