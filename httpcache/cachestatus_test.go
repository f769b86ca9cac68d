package httpcache

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func (r reply) cacheStatus() string { return r.header.Get("Cache-Status") }

func TestCacheStatusSaysWhatBecameOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, answering("Cache-Control: max-age=10, stale-while-revalidate=5", `ETag: "a"`, "Vary: X-Kind"))
		for _, step := range []struct {
			wait   time.Duration
			header string
			want   string
		}{
			{0, "", "vigil; fwd=uri-miss; fwd-status=200; ttl=10; stored"},
			{3 * time.Second, "", "vigil; hit; ttl=7"},
			{0, "X-Kind: 1", "vigil; fwd=vary-miss; fwd-status=200; ttl=10; stored"},
			{0, "Cache-Control: max-age=1", "vigil; fwd=request; fwd-status=304; ttl=10; stored"},
			{11500 * time.Millisecond, "", "vigil; hit; ttl=-2"},
			{time.Millisecond, "", "vigil; hit; ttl=9"},
			{time.Minute, "", "vigil; fwd=stale; fwd-status=304; ttl=10; stored"},
			{0, "Cookie: a=b", "vigil; fwd=bypass; fwd-status=200"},
			{0, "Cache-Control: no-store", "vigil; hit; ttl=10"},
			{0, `If-None-Match: "a"`, "vigil; hit; ttl=10"},
		} {
			time.Sleep(step.wait)
			require.Equal(t, step.want, s.request("GET", "/", step.header).cacheStatus(), step.header)
			synctest.Wait()
		}
		require.Equal(t, "vigil; detail=only-if-cached", s.request("GET", "/other", "Cache-Control: only-if-cached").cacheStatus())
		require.Equal(t, "vigil; fwd=request; fwd-status=200", s.request("GET", "/other", "Cache-Control: no-store").cacheStatus())
		require.Equal(t, "vigil; fwd=miss; fwd-status=200", s.request("GET", "/other", "Range: bytes=0-1").cacheStatus())
		require.Equal(t, "vigil; fwd=method; fwd-status=200", s.request("POST", "/").cacheStatus())
		require.Equal(t, "vigil; fwd=miss; fwd-status=304; ttl=10; stored", s.request("GET", "/").cacheStatus(), "the write ended it")
	})
}

func TestCacheStatusOfWhatIsNotKept(t *testing.T) {
	for _, test := range []struct{ says, first, second string }{
		{"Cache-Control: no-store", "vigil; fwd=uri-miss; fwd-status=200", "vigil; fwd=miss; fwd-status=200"},
		{"Cache-Control: max-age=0", "vigil; fwd=uri-miss; fwd-status=200", "vigil; fwd=uri-miss; fwd-status=200"},
	} {
		s := newSite(t, answering(test.says))
		require.Equal(t, test.first, s.request("GET", "/").cacheStatus())
		require.Equal(t, test.second, s.request("GET", "/").cacheStatus())
	}
}

func TestCacheStatusOfCoalescedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan bool)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			<-gate
			w.Header().Set("Cache-Control", "max-age=10")
			io.WriteString(w, "x")
		})
		first, second := s.later(t.Context(), "GET", "/"), make(chan reply)
		synctest.Wait()
		go func() { second <- s.request("GET", "/") }()
		synctest.Wait()
		gate <- true
		require.Equal(t, "vigil; fwd=uri-miss; fwd-status=200; ttl=10; stored", (<-first).cacheStatus())
		require.Equal(t, "vigil; fwd=uri-miss; fwd-status=200; ttl=10; stored; collapsed", (<-second).cacheStatus())
	})
}

func TestCacheStatusOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := http.StatusOK
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=10, stale-if-error=100")
			if status != http.StatusOK {
				w.Header().Set("Cache-Control", "no-cache")
			}
			w.WriteHeader(status)
		})
		s.request("GET", "/")
		time.Sleep(20 * time.Second)
		status = http.StatusServiceUnavailable
		require.Equal(t, "vigil; fwd=stale; fwd-status=503; ttl=-10", s.request("GET", "/").cacheStatus())
		require.Equal(t, "vigil; fwd=uri-miss; fwd-status=503", s.request("GET", "/other").cacheStatus())
		s.failing(errors.New("no route"))
		require.Equal(t, "vigil; fwd=stale; ttl=-10", s.request("GET", "/").cacheStatus())
		require.Equal(t, "vigil; fwd=uri-miss", s.request("GET", "/other").cacheStatus())
		require.Equal(t, "vigil; fwd=method", s.request("POST", "/").cacheStatus())
	})
}

func TestCacheStatusComesBehindThatOfCachesFurtherUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, answering("Cache-Control: max-age=10", "Cache-Status: origin; hit", "Cache-Status: cdn; fwd=miss"),
			func(o *Options) { o.Name, o.ShowKeys = `my "cache"`, true })
		const above = `origin; hit, cdn; fwd=miss, "my \"cache\"`
		require.Equal(t, above+`"; fwd=uri-miss; fwd-status=200; ttl=10; stored; key="/a?b=%22"`, s.request("GET", "/a?b=%22").cacheStatus())
		require.Equal(t, above+`"; hit; ttl=10; key="/a?b=%22"`, s.request("GET", "/a?b=%22").cacheStatus())
		require.Equal(t, above+`"; fwd=method; fwd-status=200; key="/"`, s.request("POST", "/").cacheStatus())
	})
}

func TestCacheStatusOfHandlersAndTransports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := answering("Cache-Control: max-age=10")
		cache, err := New(&Options{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		defer cache.Close()
		for _, next := range []http.RoundTripper{viaHandler{cache.Handler(origin)}, cache.Transport(viaHandler{origin})} {
			for _, step := range [][2]string{
				{"GET", "vigil; fwd=uri-miss; fwd-status=200; ttl=10; stored"},
				{"GET", "vigil; hit; ttl=10"},
				{"POST", "vigil; fwd=method; fwd-status=200"},
			} {
				req, err := http.NewRequest(step[0], "http://origin.test/", nil)
				require.NoError(t, err)
				req.RequestURI = "" // as clients have it
				res, err := next.RoundTrip(req)
				require.NoError(t, err)
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				require.Equal(t, step[1], res.Header.Get("Cache-Status"))
			}
		}
	})
}

func TestNameOfACacheIsATokenOrAString(t *testing.T) {
	for name, want := range map[string]string{
		"vigil": "vigil", "*a/b:1": "*a/b:1", "1a": `"1a"`, "a b": `"a b"`, `a"\`: `"a\"\\"`,
	} {
		got, err := nameOf(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"caf\u00e9", "a\nb", "\x7f"} {
		_, err := New(&Options{Name: name, Logger: slog.New(slog.DiscardHandler)})
		require.ErrorIs(t, err, errName)
	}
	require.Equal(t, `"a%0Ab%C3%A9"`, quoted("a\nb\u00e9"))
}
