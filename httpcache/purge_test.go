package httpcache

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// tagged is an origin whose pages have tags, variants and a long life.
func tagged(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/base/")
	addLines(w.Header(), "Vary: X-User", "Cache-Control: max-age=1000", "Cache-Tag: all , tag "+path, "Surrogate-Key: "+path+" key")
	io.WriteString(w, path)
}

// taggedPages are pages of tagged.
var taggedPages = []string{"/a", "/a?q=1", "/ab", "/c"}

// selections are what purges select of them.
var selections = []struct {
	Selection
	gone string
}{
	{Selection{URL: "/a"}, "/a"},
	{Selection{URL: "http://EXAMPLE.com/a"}, "/a"},
	{Selection{URL: "https://elsewhere/a"}, ""},
	{Selection{URL: "/a?q=1"}, "/a?q=1"},
	{Selection{URL: "/"}, ""},
	{Selection{Prefix: "/a"}, "/a /a?q=1 /ab"},
	{Selection{Prefix: "/"}, "/a /a?q=1 /ab /c"},
	{Selection{Tag: "tag c"}, "/c"},
	{Selection{Tag: "ab"}, "/ab"},
	{Selection{Tag: "key"}, "/a /a?q=1 /ab /c"},
	{Selection{Tag: "all"}, "/a /a?q=1 /ab /c"},
	{Selection{Tag: "ALL"}, ""},
	{Selection{Tag: "none"}, ""},
}

func TestPurgeRemovesWhatIsSelected(t *testing.T) {
	for _, row := range selections {
		synctest.Test(t, func(t *testing.T) { purgeOf(t, row.Selection, row.gone) })
	}
}

func purgeOf(t *testing.T, selected Selection, gone string) {
	s := newSite(t, tagged)
	for _, uri := range taggedPages {
		for _, user := range []string{"X-User: 1", "X-User: 2"} {
			r := s.request("GET", uri, user)
			require.Equal(t, "fetched", r.cache())
			require.Empty(t, r.header["Surrogate-Key"])
			require.NotEmpty(t, r.header["Cache-Tag"])
		}
	}
	synctest.Wait() // the bodies are in their places
	require.Equal(t, 2*len(strings.Fields(gone)), s.Purge(selected), selected)
	require.Zero(t, s.Purge(selected), "they are not in memory any more")
	requireGone(t, s, gone, fmt.Sprint(selected))
}

// requireGone checks that of taggedPages, in both variants, just those in gone are not kept.
func requireGone(t *testing.T, s *site, gone, what string) {
	for _, uri := range taggedPages {
		for _, user := range []string{"X-User: 1", "X-User: 2"} {
			from := s.request("GET", uri, user).cache()
			require.Equal(t, strings.Contains(" "+gone+" ", " "+uri+" "), from == "fetched", "%s: %s %s", what, uri, from)
		}
	}
}

func TestPurgeNeedsOneSelection(t *testing.T) {
	s := newSite(t, tagged)
	for _, bad := range []Selection{{}, {Soft: true}, {URL: "/", Tag: "x"}} {
		require.PanicsWithValue(t, "httpcache: a Selection needs one of URL, Prefix and Tag", func() { s.Purge(bad) })
	}
}

func TestSoftPurgeMakesStale(t *testing.T) {
	for _, row := range []struct{ says, steps string }{
		{"max-age=1000", "0 fetched, 5 hit, 10 purge, 10 revalidated, 11 hit"},
		{"max-age=1000, stale-while-revalidate=20", "0 fetched, 10 purge, 29 stale, 29 hit"},
		{"max-age=1000, stale-while-revalidate=20", "0 fetched, 10 purge, 31 revalidated, 32 hit"},
		{"max-age=1000, stale-while-revalidate=20", "0 fetched, 10 purge, 29 purge, 31 revalidated"},
		{"max-age=10, stale-while-revalidate=20", "0 fetched, 29 purge, 30 revalidated"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, answering("Cache-Control: "+row.says, `ETag: "a"`))
			for step := range strings.SplitSeq(row.steps, ", ") {
				var at int
				var what string
				if fmt.Sscan(step, &at, &what); what == "purge" {
					time.Sleep(time.Until(time.Date(2000, 1, 1, 0, 0, at, 0, time.UTC)))
					require.Equal(t, 1, s.Purge(Selection{URL: "/", Soft: true}))
					continue
				}
				require.Equal(t, "answer 1", s.at(t, step).body)
			}
		})
	}
}

func TestSoftPurgeLeavesWhatMayBeUsedIfTheOriginFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := true
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			if !up {
				w.WriteHeader(503)
			}
			w.Header().Set("Cache-Control", "max-age=100, stale-if-error=20")
		})
		s.request("GET", "/")
		up = false
		s.Purge(Selection{Prefix: "/", Soft: true})
		require.Equal(t, "stale", s.request("GET", "/").cache())
		time.Sleep(21 * time.Second)
		require.Equal(t, 503, s.request("GET", "/").status)
	})
}

func TestHardPurgeAfterASoftOneRemoves(t *testing.T) {
	s := newSite(t, answering("Cache-Control: max-age=100, stale-while-revalidate=100", `ETag: "a"`))
	s.request("GET", "/")
	s.Purge(Selection{Prefix: "/", Soft: true})
	s.Purge(Selection{Prefix: "/"})
	s.Purge(Selection{Prefix: "/", Soft: true})
	r := s.request("GET", "/")
	require.Equal(t, "fetched", r.cache())
	require.Equal(t, "answer 2", r.body)
}

// What is asked before a purge and comes after it is for those who wait, and is
// not kept as fresh; whether it is a first fetch or a renewal.
func TestPurgeDuringAFetchWins(t *testing.T) {
	for _, soft := range []bool{false, true} {
		for _, header := range []string{"", "Cache-Control: no-cache"} {
			synctest.Test(t, func(t *testing.T) {
				origin, gate := gated(answering("Cache-Control: max-age=100", "Cache-Tag: x"))
				s := newSite(t, origin)
				if header != "" {
					kept := s.later(t.Context(), "GET", "/")
					gate <- true
					<-kept
				}
				first := s.later(t.Context(), "GET", "/", header)
				synctest.Wait()
				s.Purge(Selection{Tag: "x", Soft: soft})
				second := s.later(t.Context(), "GET", "/", header)
				synctest.Wait()
				gate <- true
				before := (<-first).body
				synctest.Wait()
				gate <- true
				after := (<-second).body
				require.NotEqual(t, before, after)
				synctest.Wait()
				require.Equal(t, after, s.request("GET", "/").body)
				require.Equal(t, "hit", s.request("GET", "/").cache())
			})
		}
	}
}

func TestPurgesAreForgotten(t *testing.T) {
	s := newSite(t, answering("Cache-Control: max-age=1000"))
	s.request("GET", "/")
	_, e := s.pages.kept(s.keyOf("GET", newRequest(t.Context(), "GET", "/")), &ask{})
	for i := range 100 {
		s.Purge(Selection{URL: fmt.Sprint("/", i)})
		require.Same(t, s.purges.last.Load(), e.seen.Load(), "nothing leads to older ones")
	}
}

func TestNothingPurgedIsServedUnderStress(t *testing.T) {
	version := make(chan int, 1)
	version <- 0
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		v := <-version
		version <- v
		addLines(w.Header(), "Cache-Control: max-age=1000", "Cache-Tag: t")
		fmt.Fprint(w, v)
	})
	done := make(chan error, 4)
	for range 4 {
		go func() {
			var err error
			for range 200 {
				v := <-version + 1
				version <- v
				s.Purge(Selection{Tag: "t"})
				var got int
				if fmt.Sscan(s.request("GET", "/").body, &got); got < v {
					err = fmt.Errorf("version %d after the purge of %d", got, v)
				}
			}
			done <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-done)
	}
}
