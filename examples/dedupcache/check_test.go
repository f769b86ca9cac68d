package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/cli"
)

func TestCheckSaysWhatAPageWouldBeKeptFor(t *testing.T) {
	asked := make(chan *http.Request, 10)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		switch r.URL.Path {
		case "/fresh":
			w.Header().Set("Cache-Control", "max-age=600, stale-while-revalidate=60")
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Vary", "Accept-Language")
		case "/mine":
			w.Header().Set("Set-Cookie", "id=secret")
		case "/moved":
			http.Redirect(w, r, "/fresh", http.StatusMovedPermanently)
		case "/large":
			io.WriteString(w, strings.Repeat("page", 1<<20)) // nobody reads it
		}
	}))
	defer origin.Close()
	for _, test := range []struct {
		path string
		rows []string // regular expressions, with one space between words
	}{
		{"/fresh?q=1", []string{"status 200 OK", "Cache-Control max-age=600 fresh until this age", `ETag "v1" to ask whether it still holds`,
			"shared yes", `fresh yes: for (10m0|9m\S+)s, by max-age`, "while asking yes: stale for 1m0s, by stale-while-revalidate",
			"validated yes: once it is stale", "key GET " + origin.URL + `/fresh\?q=1`, "and fields Accept-Language"}},
		{"/mine", []string{"Set-Cookie id not shared, not kept", "shared no: Set-Cookie", "kept no: not shared"}},
		{"/moved", []string{"status 301 Moved Permanently", "fresh yes: for 5m0s, by TTL"}},
		{"/large", []string{"shared yes", "kept yes: for 5m0s at most"}},
		{"", []string{"key GET " + origin.URL + "/"}},
	} {
		status, stdout, stderr := runFor(t.Context(), "-check", origin.URL+test.path, "-ttl=5m")
		require.Equal(t, cli.OK, status, stderr)
		require.Empty(t, stderr)
		var rows []string
		for line := range strings.Lines(stdout) {
			require.LessOrEqual(t, len(line), 80, line)
			rows = append(rows, strings.Join(strings.Fields(line), " "))
		}
		for _, row := range test.rows {
			require.Regexp(t, "(?m)^"+row+"$", strings.Join(rows, "\n"))
		}
		require.NotContains(t, stdout, "secret")
		r := <-asked
		require.Empty(t, asked, "it is asked for once")
		require.Contains(t, r.Header.Get("Via"), "1.1 vigil-", "as the proxy asks")
		require.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
	}
}

func TestCheckThatFailsGetsOneLineAndStatus1(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	for _, test := range []struct{ url, says string }{
		{dead.URL + "/", "connect"},
		{silent.URL + "/page", "took too long"},
		{silent.URL + "/../page", "answers with status 400"},
	} {
		status, stdout, stderr := runFor(t.Context(), "-check", test.url, "-origin-time", (20 * time.Millisecond).String())
		require.Equal(t, cli.Failed, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, test.says)
		requireOneLine(t, stderr)
	}
}
