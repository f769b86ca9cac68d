package httpcache

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReloadValidatesAndRefreshesWhatIsKept(t *testing.T) {
	for _, row := range []struct{ header, from string }{
		{"Cache-Control: no-cache", "revalidated"},
		{"Cache-Control: max-age=0, no-cache", "revalidated"},
		{"Pragma: foo, No-Cache", "revalidated"},
		{"Pragma: foo", "hit"},
		{"Pragma: ", "hit"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, answering("Cache-Control: max-age=10", `ETag: "a"`))
			s.at(t, "0 fetched")
			time.Sleep(8 * time.Second)
			require.Equal(t, row.from, s.request("GET", "/", row.header).cache(), row)
			if row.from != "hit" {
				s.at(t, "17 hit")
			}
			require.Equal(t, "hit", s.request("GET", "/", "Cache-Control: max-age=10", "Pragma: no-cache").cache())
		})
	}
}

func TestReloadsAreCoalescedWithThoseThatCameBeforeTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin, gate := gated(answering("Cache-Control: max-age=1000"))
		s := newSite(t, origin)
		kept := s.later(t.Context(), "GET", "/")
		gate <- true
		require.Equal(t, "answer 1", (<-kept).body)
		first := s.later(t.Context(), "GET", "/", "Cache-Control: no-cache")
		synctest.Wait()
		var others []<-chan reply
		for range 10 {
			others = append(others, s.later(t.Context(), "GET", "/", "Cache-Control: no-cache"))
			synctest.Wait()
		}
		require.Equal(t, "answer 1", s.request("GET", "/").body, "others need not wait for it")
		require.Len(t, s.asked, 2)
		gate <- true
		require.Equal(t, "answer 2", (<-first).body)
		synctest.Wait()
		gate <- true
		for _, got := range others {
			require.Equal(t, "answer 3", (<-got).body)
		}
		require.Len(t, s.asked, 3)
		require.Equal(t, "answer 3", s.request("GET", "/").body)
	})
}

func TestReloadOfColdPagesIsCoalescedAndSaysSo(t *testing.T) {
	s := newSite(t, answering())
	require.Equal(t, "fetched", s.request("GET", "/", "Cache-Control: no-cache").cache())
	require.Equal(t, "no-cache", (<-s.asked).Header.Get("Cache-Control"), "caches further up do the same")
	require.Equal(t, "hit", s.request("GET", "/").cache())
	require.Equal(t, "passed", s.request("GET", "/", "Cache-Control: no-cache", "Range: bytes=0-1").cache())
}

func TestReloadGetsNothingStaleIfTheOriginFails(t *testing.T) {
	up := true
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if w.Header().Set("Cache-Control", "max-age=100, stale-if-error=100"); !up {
			w.WriteHeader(503)
		}
	})
	s.request("GET", "/")
	up = false
	require.Equal(t, 503, s.request("GET", "/", "Cache-Control: no-cache").status)
	require.Equal(t, "hit", s.request("GET", "/").cache())
}

func TestNoStoreOfARequestKeepsNothing(t *testing.T) {
	s := newSite(t, answering())
	for range 2 {
		require.Equal(t, "passed", s.request("GET", "/", "Cache-Control: no-store").cache())
	}
	require.Equal(t, "fetched", s.request("GET", "/").cache())
	require.Equal(t, "hit", s.request("GET", "/", "Cache-Control: no-store").cache(), "what is kept may be used")
	require.Equal(t, "passed", s.request("GET", "/", "Cache-Control: no-store, no-cache").cache())
}
