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

// down is an origin that must not be asked.
func down(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }

func TestRestartFindsPagesAndTheirAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := strings.Repeat("0123456789", 20_000)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			addLines(w.Header(), "Cache-Control: max-age=7200", "Age: 100", "X-Name: \xe9t\xe9", "Cache-Status: above; hit", "Trailer: X-Sum")
			io.WriteString(w, r.URL.RequestURI()+big)
			w.Header().Set("X-Sum", "7")
		}, with(newMemory()))
		s.expect(t, "/a fetched, /a?q fetched")
		time.Sleep(time.Hour)
		s = s.again(t, down)
		r := s.expect(t, "/a?q hit, /a hit, /a hit")
		require.Equal(t, "/base/a"+big, r.body)
		require.Equal(t, "3700", r.header.Get("Age"))
		require.Equal(t, "\xe9t\xe9", r.header.Get("X-Name"))
		require.Equal(t, "above; hit, vigil; hit; ttl=3500", r.header.Get("Cache-Status"))
		require.Equal(t, "7", r.header.Get("X-Sum"))
		require.EqualValues(t, 2, s.Stats().StoreHits)
		s = s.again(t, down)
		s.expect(t, "/a hit")
		time.Sleep(3501 * time.Second)
		s = s.again(t, answering())
		s.expect(t, "/a fetched")
	})
}

func TestRestartFindsVariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, tagged, with(newMemory()))
		s.expect(t, "/a fetched", "X-User: 1")
		s.expect(t, "/a fetched", "X-User: 2")
		s = s.again(t, tagged)
		s.expect(t, "/a hit, /a hit", "X-User: 2")
		s.expect(t, "/a hit", "X-User: 1")
		s.expect(t, "/a fetched", "X-User: 3")
		require.Len(t, s.asked, 1)
		s = s.again(t, down)
		for _, user := range []string{"1", "2", "3"} {
			s.expect(t, "/a hit", "X-User: "+user)
		}
	})
}

func TestRestartFindsWhatIsStaleToBeValidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := answering("Cache-Control: max-age=10, stale-while-revalidate=10", `ETag: "a"`)
		s := newSite(t, origin, with(newMemory()))
		s.expect(t, "/ fetched")
		time.Sleep(15 * time.Second)
		s = s.again(t, origin)
		require.Equal(t, "vigil; hit; ttl=-5", s.expect(t, "/ stale").header.Get("Cache-Status"))
		synctest.Wait()
		s.expect(t, "/ hit")
		s = s.again(t, down)
		s.expect(t, "/ hit")
		time.Sleep(21 * time.Second)
		s = s.again(t, origin)
		r := s.expect(t, "/ revalidated")
		require.Equal(t, "answer 1", r.body)
		require.Contains(t, r.header.Get("Cache-Status"), "fwd=stale")
	})
}

func TestNothingIsSavedThatMustNotBeUsedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, lines := range [][]string{
			{"Cache-Control: private, max-age=100"}, {"Cache-Control: no-store"}, {"Set-Cookie: a=b"}, {"Vary: *"},
			{"Cache-Control: max-age=0"}, {"Status: 503"}, {"Status: 403"},
		} {
			store := newMemory()
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				addLines(w.Header(), lines...)
				if status := 200; w.Header().Get("Status") != "" {
					fmt.Sscan(w.Header().Get("Status"), &status)
					w.WriteHeader(status)
				}
				io.WriteString(w, "page")
			}, with(store))
			s.request("GET", "/")
			synctest.Wait()
			require.NoError(t, s.Close())
			require.Empty(t, store.all, lines)
		}
	})
}

// The next version of a page ends what is stored of the one before, whether it is kept or not.
func TestWhatIsNotKeptEndsWhatIsStored(t *testing.T) {
	for _, next := range []string{"no-store", "private", "max-age=0", "max-age=1000"} {
		synctest.Test(t, func(t *testing.T) {
			says, size := "max-age=1000", 1
			origin := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", says)
				w.Write(make([]byte, size))
			}
			s := newSite(t, origin, with(newMemory()), func(o *Options) { o.MaxObject = chunkSize })
			s.expect(t, "/ fetched")
			synctest.Wait()
			if says = next; next == "max-age=1000" {
				size = 2 * chunkSize
			}
			require.NotEqual(t, "hit", s.request("GET", "/", "Cache-Control: no-cache").cache())
			synctest.Wait()
			require.Zero(t, s.Options.Store.(*memory).count())
		})
	}
}

func TestEvictionLeavesWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, 4*chunkSize))
		}, with(newMemory()), func(o *Options) { o.MaxBytes = 16 * chunkSize })
		for i := range 20 {
			s.expect(t, fmt.Sprint("/", i, " fetched"))
			synctest.Wait()
		}
		for i := range 20 {
			r := s.expect(t, fmt.Sprint("/", i, " hit"))
			require.Len(t, r.body, 4*chunkSize)
		}
		require.LessOrEqual(t, s.Stats().Bytes, int64(16*chunkSize))
		require.EqualValues(t, 20, s.Stats().Stored)
		require.Len(t, s.asked, 20)
	})
}

func TestRestartFindsPagesForRangesAndOnlyIfCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			addLines(w.Header(), "Cache-Control: public, max-age=1000", `ETag: "a"`)
			io.WriteString(w, "0123456789")
		}, with(newMemory()))
		s.expect(t, "/ fetched")
		s = s.again(t, down)
		r := s.request("GET", "/", "Range: bytes=3-5")
		require.Equal(t, 206, r.status)
		require.Equal(t, "345", r.body)
		s = s.again(t, down)
		s.expect(t, "/ hit", "Cache-Control: only-if-cached")
		require.Equal(t, 504, s.request("GET", "/none", "Cache-Control: only-if-cached").status)
		s = s.again(t, down)
		s.expect(t, "/ hit", "Authorization: Basic x")
	})
}

func TestRecallsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStoredSite(t, "Cache-Control: max-age=1000")
		s = s.again(t, down)
		gate, n := make(chan bool), 0
		store.on("Load", func(key string) error {
			if isPage(key) {
				n++
				<-gate
			}
			return nil
		})
		var all []<-chan reply
		for range 10 {
			all = append(all, s.later(t.Context(), "GET", "/"))
			synctest.Wait()
		}
		close(gate)
		for i, got := range all {
			require.Equal(t, "hit", (<-got).cache(), i)
		}
		require.Equal(t, 1, n)
	})
}

func TestOtherHostsCookiesAndFrontsHaveOtherRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, answering(), with(newMemory()), func(o *Options) { o.KeyCookies = []string{"k"} })
		s.expect(t, "/ fetched, / hit")
		s.expect(t, "/ fetched, / hit", "Cookie: k=1")
		synctest.Wait() // both are saved
		s.forgetMemory()
		s.expect(t, "/ hit", "Cookie: k=1")
		s.expect(t, "/ fetched", "Cookie: k=2")
		var handlers []http.Handler
		for i := range 2 {
			handlers = append(handlers, s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, i) })))
		}
		require.Equal(t, "handler", handlers[0].(*front).site)
		require.Equal(t, "handler 2", handlers[1].(*front).site)
		require.Equal(t, "proxy http://origin.test/base", s.site)
	})
}

func TestBrokenHeadsAreMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStoredSite(t, "Cache-Control: max-age=1000")
		require.NoError(t, s.Close())
		var good []byte
		store.change(func(_ string, head []byte) []byte { good = head; return head })
		require.Len(t, store.all, 2, "with the mark")
		var bad [][]byte
		for i := range len(good) {
			bad = append(bad, good[:i])
		}
		bad = append(bad, []byte(strings.Replace(string(good), headVersion, "httpcache 0\n", 1)))
		for _, change := range []func(*record){
			func(r *record) { r.Key += "x" },
			func(r *record) { r.Received = time.Now().Add(time.Hour) },
			func(r *record) { r.Born = r.Received.Add(time.Hour) },
			func(r *record) { r.Born = r.Born.Add(-time.Hour); r.Received = r.Born },
			func(r *record) { r.Status = 0 },
			func(r *record) { r.Header = nil },
			func(r *record) { r.Header.Set("Cache-Control", "no-store") },
			func(r *record) { r.Header.Set("Vary", "*") },
			func(r *record) { r.Header.Set("Vary", "X-User") },
			func(r *record) { r.Since = removed },
			func(r *record) { r.Epoch = "x" },
			func(r *record) { r.Names = make([]string, maxNames+1); r.Status = 0 },
		} {
			for key := range store.all {
				if !isPage(key) {
					continue
				}
				r, err := parseHead(key, good)
				require.NoError(t, err)
				change(r)
				p, err := r.encode()
				require.NoError(t, err)
				bad = append(bad, p)
			}
		}
		for i, head := range bad {
			store.change(func(string, []byte) []byte { return head })
			s = s.again(t, answering())
			s.expect(t, "/ fetched")
			synctest.Wait()
			require.NoError(t, s.Close())
			require.Equal(t, 1, store.count(), i)
		}
		store.change(func(string, []byte) []byte { return good })
		s = s.again(t, down)
		s.expect(t, "/ hit")
	})
}

func FuzzStoredHead(f *testing.F) {
	r := record{Key: "k", Status: 200, Header: http.Header{"A": {"b"}}}
	p, err := r.encode()
	require.NoError(f, err)
	f.Add(p)
	f.Add([]byte(headVersion))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		if r, err := parseHead("k", p); err == nil {
			require.Equal(t, "k", r.Key)
		}
	})
}
