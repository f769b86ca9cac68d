package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPurgeAtTheAddressOfTheMetrics(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Tag", "news")
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "page")
	}))
	defer origin.Close()
	cfg := newConfig()
	cfg.ttl = time.Hour
	target, err := url.Parse(origin.URL)
	require.NoError(t, err)
	f, err := newFront(cfg, target, realTransport(), true, newLogger(io.Discard))
	require.NoError(t, err)
	defer f.close()
	metrics, end, err := f.serveMetrics("127.0.0.1:0")
	require.NoError(t, err)
	defer end()
	purge := metrics[:len(metrics)-len("metrics")] + "purge"

	pages := httptest.NewServer(f)
	defer pages.Close()
	for _, test := range []struct{ query, next string }{
		{"url=/dir/page?q=1", "fetched"}, // as typed, though the inner ? need not be encoded
		{"prefix=/dir/", "fetched"},
		{"tag=news", "fetched"},
		{"tag=news&soft", "revalidated"},
		{"soft=1&prefix=/", "revalidated"},
		{"tag=olds", "hit"},
	} {
		get(pages.URL + "/dir/page?q=1")
		got := send("POST", purge+"?"+test.query)
		require.Equal(t, 200, got.status, got.body)
		require.Equal(t, test.next, get(pages.URL+"/dir/page?q=1").header.Get("X-Cache"), test.query)
		n := "1\n"
		if test.next == "hit" {
			n = "0\n"
		}
		require.Equal(t, n, got.body, test.query)
	}
	for _, query := range []string{"", "url=", "url=/a&tag=b", "soft", "url=/a&sfot", "url=/a;b", "url=%zz"} {
		require.Equal(t, 400, send("POST", purge+"?"+query).status, query)
	}
	require.Equal(t, 405, send("GET", purge+"?prefix=/").status)
	require.Equal(t, 403, send("POST", purge+"?prefix=/", "Origin: http://evil.test").status)
	require.Equal(t, 421, send("POST", purge+"?prefix=/", "Host: evil.test").status)
	require.Equal(t, "hit", get(pages.URL+"/dir/page?q=1").header.Get("X-Cache"))
	require.Equal(t, "page", send("POST", pages.URL+"/purge?prefix=/").body, "it is the origin's page for clients")
	require.Equal(t, "hit", get(pages.URL+"/dir/page?q=1").header.Get("X-Cache"))
}
