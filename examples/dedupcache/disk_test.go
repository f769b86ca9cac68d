package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/examples/internal/cli"
)

// getAt makes a request for a host, wherever it is served.
func getAt(t *testing.T, host, url string) reply {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Host = host
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(body), err}
}

func TestPagesOnDiskSurviveTheServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pages")
	asked := make(chan string, 100)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		io.WriteString(w, "page "+r.URL.Path)
	}))
	defer origin.Close()
	for turn := range 3 {
		s := newServed(t, http.NotFoundHandler(), "-origin", origin.URL, "-ttl=1h", "-disk", dir)
		for _, path := range []string{"/a", "/b"} {
			r := getAt(t, "example.test", s.url+path)
			require.NoError(t, r.err)
			require.Equal(t, "page "+path, r.body)
			require.Equal(t, turn > 0, r.header.Get("X-Cache") == "hit")
			require.Equal(t, "hit", getAt(t, "example.test", s.url+path).header.Get("X-Cache"))
		}
		s.end(t)
		require.Len(t, asked, 2)
	}
}

func TestDirectoryThatCannotBeUsedIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	status, _, stderr := runFor(t.Context(), "-listen=127.0.0.1:0", "-origin=http://127.0.0.1:1", "-disk", file)
	require.Equal(t, cli.Failed, status)
	require.Contains(t, stderr, "diskstore: ")
	requireOneLine(t, stderr)
}
