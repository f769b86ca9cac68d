package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/cli"
)

func TestPagesOnDiskSurviveTheServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pages")
	asked := make(chan string, 100)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		io.WriteString(w, "page "+r.URL.Path)
	}))
	defer origin.Close()
	const host = "Host: example.test" // the address differs from turn to turn
	for turn := range 3 {
		s := newServed(t, http.NotFoundHandler(), "-origin", origin.URL, "-ttl=1h", "-disk", dir)
		for _, path := range []string{"/a", "/b"} {
			r := getWith(s.url+path, host)
			require.NoError(t, r.err)
			require.Equal(t, "page "+path, r.body)
			require.Equal(t, turn > 0, r.header.Get("X-Cache") == "hit")
			require.Equal(t, "hit", getWith(s.url+path, host).header.Get("X-Cache"))
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
