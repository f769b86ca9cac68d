package httpcache

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPurgeReachesTheStore(t *testing.T) {
	for _, row := range selections {
		for _, how := range []string{"both", "restarted", "purged later", "running"} {
			synctest.Test(t, func(t *testing.T) { storePurge(t, row.Selection, row.gone, how) })
		}
	}
}

func storePurge(t *testing.T, selected Selection, gone, how string) {
	s := newSite(t, tagged, with(newMemory()))
	for _, uri := range taggedPages {
		s.expect(t, uri+" fetched", "X-User: 1")
		s.expect(t, uri+" fetched", "X-User: 2")
	}
	synctest.Wait()
	switch how {
	case "both":
		s.Purge(selected)
		s = s.again(t, tagged)
	case "restarted":
		s = s.again(t, tagged)
		s.Purge(selected)
	case "purged later": // what a purge has to do is done when the cache is closed
		s = s.again(t, tagged)
		s.Purge(selected)
		s = s.again(t, tagged)
	case "running":
		s.forgetMemory()
		s.Purge(selected)
	}
	requireGone(t, s, gone, fmt.Sprint(selected, how))
}

func TestSoftPurgeMakesWhatIsStoredStale(t *testing.T) {
	for _, running := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			origin := answering("Cache-Control: max-age=1000, stale-while-revalidate=20", `ETag: "a"`)
			s := newSite(t, origin, with(newMemory()))
			s.expect(t, "/ fetched")
			synctest.Wait()
			time.Sleep(10 * time.Second)
			s.forgetMemory()
			s.Purge(Selection{Prefix: "/", Soft: true})
			if synctest.Wait(); !running {
				s = s.again(t, origin)
			}
			time.Sleep(10 * time.Second)
			r := s.expect(t, "/ stale")
			require.Equal(t, "answer 1", r.body)
			require.Equal(t, "20", r.header.Get("Age"))
			synctest.Wait()
			s.expect(t, "/ hit")
			s.Purge(Selection{Prefix: "/", Soft: true})
			time.Sleep(21 * time.Second)
			s.forgetMemory()
			s.expect(t, "/ revalidated")
		})
	}
}

// What is stored is not used from when Purge returns, though it cannot be removed yet.
func TestPurgeHoldsBeforeItHasReachedTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, gate := newMemory(), make(chan bool)
		s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
		s.expect(t, "/ fetched, /b fetched")
		synctest.Wait()
		store.on("Heads", func(string) error { <-gate; return nil })
		s.forgetMemory()
		s.Purge(Selection{URL: "/"})
		s.expect(t, "/ fetched, /b hit")
		close(gate)
		synctest.Wait()
		s.forgetMemory()
		s.expect(t, "/b hit")
	})
}

func TestWritesEndWhatIsStored(t *testing.T) {
	for _, how := range []string{"running", "restarted", "written later"} {
		synctest.Test(t, func(t *testing.T) {
			origin := func(w http.ResponseWriter, r *http.Request) {
				addLines(w.Header(), "Cache-Control: max-age=1000", "Vary: X-User")
				if r.Method == "POST" {
					w.Header().Set("Location", "/base/other")
				}
				io.WriteString(w, r.Method)
			}
			s := newSite(t, origin, with(newMemory()), func(o *Options) { o.KeyCookies = []string{"k"} })
			headers := []string{"X-User: 1", "X-User: 2", "Cookie: k=1"}
			for _, header := range headers {
				s.expect(t, "/ fetched, /other fetched, /third fetched", header)
			}
			keyed := func(o *Options) { o.KeyCookies = []string{"k"} }
			switch how {
			case "running":
				synctest.Wait()
				require.Equal(t, "POST", s.request("POST", "/").body)
				s.forgetMemory()
			case "restarted":
				synctest.Wait()
				s.request("POST", "/")
				s = s.again(t, origin, keyed)
			case "written later": // before anything is loaded
				s = s.again(t, origin, keyed)
				s.request("POST", "/")
				s = s.again(t, origin, keyed)
			}
			for _, header := range headers {
				s.expect(t, "/ fetched, /other fetched, /third hit", header)
			}
			s = s.again(t, down, keyed)
			for _, header := range headers {
				s.expect(t, "/ hit, /other hit", header)
			}
		})
	}
}

func TestWritesHoldBeforeTheyHaveReachedTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStoredSite(t, "Cache-Control: max-age=1000, stale-while-revalidate=1000")
		s = s.again(t, answering())
		store.on("Save", func(string) error { return errStuck })
		s.request("POST", "/")
		s.expect(t, "/ fetched")
	})
}

func TestTooLongABacklogWipesTheStore(t *testing.T) {
	for _, purges := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { tooLongABacklog(t, purges) })
	}
}

func tooLongABacklog(t *testing.T, purges bool) {
	s, store := newStoredSite(t, "Cache-Control: max-age=1000")
	gate := make(chan bool)
	store.on("Save", func(string) error { <-gate; return nil })
	store.on("Heads", func(string) error { <-gate; return nil })
	for i := range maxBacklog + 2 {
		if purges {
			s.Purge(Selection{Tag: "none"})
		} else {
			s.storage.backlog.mark(fmt.Sprint("/", i))
		}
	}
	s.forgetMemory()
	s.expect(t, "/ fetched, / hit")
	close(gate)
	synctest.Wait()
	require.Less(t, len(store.all), 10)
	s.expect(t, "/a fetched")
	synctest.Wait()
	s.forgetMemory()
	s.expect(t, "/a hit")
	if purges {
		require.Same(t, s.purges.last.Load(), s.storage.swept.Load(), "nothing leads to older ones")
	}
}

func TestValidatedPagesAreSavedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, answering("Cache-Control: max-age=10", `ETag: "a"`), with(newMemory()))
		s.expect(t, "/ fetched")
		time.Sleep(15 * time.Second)
		s.expect(t, "/ revalidated")
		time.Sleep(5 * time.Second)
		s = s.again(t, down)
		r := s.expect(t, "/ hit")
		require.Equal(t, "5", r.header.Get("Age"))
		require.Equal(t, "answer 1", r.body)
	})
}

// A version that could not be saved ends the one that is stored.
func TestWhatIsNotSavedEndsWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStoredSite(t, "Cache-Control: max-age=1000")
		require.Equal(t, 1, store.count())
		gate := make(chan bool)
		store.on("Save", func(key string) error { <-gate; return nil })
		s.expect(t, "/first fetched")
		synctest.Wait()
		for i := range maxSaves {
			s.expect(t, fmt.Sprint("/", i, " fetched"))
			<-s.asked
			synctest.Wait()
		}
		s.expect(t, "/ fetched", "Cache-Control: no-cache")
		synctest.Wait()
		require.EqualValues(t, 1, s.Stats().StoreMissed)
		s.forgetMemory()
		s.expect(t, "/ fetched")
		close(gate)
		synctest.Wait()
		s.forgetMemory()
		require.NotEqual(t, "answer 1", s.request("GET", "/").body)
	})
}

// A variant from the Store is renewed at its own place.
func TestStaleVariantFromTheStoreIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := answering("Cache-Control: max-age=10, stale-while-revalidate=1000", "Vary: X-User")
		s := newSite(t, origin, with(newMemory()))
		s.expect(t, "/ fetched", "X-User: 1")
		synctest.Wait()
		time.Sleep(20 * time.Second)
		s = s.again(t, origin)
		s.expect(t, "/ stale", "X-User: 1")
		synctest.Wait()
		require.Len(t, s.asked, 1)
		s.expect(t, "/ hit", "X-User: 1")
	})
}
