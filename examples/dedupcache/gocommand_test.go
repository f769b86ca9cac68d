package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A moduleProxy is what the go command calls one: a tree of files.
type moduleProxy struct {
	files map[string][]byte

	mu    sync.Mutex
	asked map[string]int
}

func newModuleProxy(t *testing.T) *moduleProxy {
	p := &moduleProxy{files: map[string][]byte{}, asked: map[string]int{}}
	p.add(t, "example.test/a", "v1.0.0", "require example.test/b v1.2.0")
	p.add(t, "example.test/b", "v1.2.0", "require example.test/c/v2 v2.0.1")
	p.add(t, "example.test/c/v2", "v2.0.1", "")
	return p
}

// add makes the files of one version of a module.
func (p *moduleProxy) add(t *testing.T, path, version, requires string) {
	mod := fmt.Sprintf("module %s\n\ngo 1.20\n\n%s\n", path, requires)
	at := "/" + path + "/@v/" + version
	p.files[at+".mod"] = []byte(mod)
	p.files[at+".info"] = fmt.Appendf(nil, `{"Version":%q,"Time":"2020-01-01T00:00:00Z"}`, version)
	p.files["/"+path+"/@v/list"] = []byte(version + "\n")

	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	noise := make([]byte, 300_000) // does not get smaller, so that its zip takes a few reads
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, content := range map[string][]byte{
		"go.mod": []byte(mod), "x.go": []byte("package x\n"), "noise": noise,
	} {
		f, err := w.Create(path + "@" + version + "/" + name)
		require.NoError(t, err)
		_, err = f.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	p.files[at+".zip"] = buf.Bytes()
}

func (p *moduleProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.URL.Path]++
	p.mu.Unlock()
	w.Header().Set("Cache-Control", "public, max-age=10800")
	content, ok := p.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Write(content)
}

// meet lets no request through before the second for the same path has come, so
// that two clients who ask for the same things go through them together.
type meet struct {
	http.Handler
	mu   sync.Mutex
	here map[string]chan struct{}
}

func (m *meet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	second, ok := m.here[r.URL.Path]
	if ok {
		close(second)
	} else {
		second = make(chan struct{})
		m.here[r.URL.Path] = second
	}
	m.mu.Unlock()
	select {
	case <-second:
		m.Handler.ServeHTTP(w, r)
	case <-r.Context().Done():
	}
}

func TestTwoGoCommandsDownloadEachFileOnce(t *testing.T) {
	command, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command: ", err)
	}
	origin := newModuleProxy(t)
	behind := httptest.NewServer(origin)
	defer behind.Close()
	target, err := url.Parse(behind.URL)
	require.NoError(t, err)
	front, err := newFront(newConfig(), target, realTransport(), true, newLogger(io.Discard))
	require.NoError(t, err)
	defer front.close()
	before := httptest.NewServer(&meet{Handler: front, here: map[string]chan struct{}{}})
	defer before.Close()

	type result struct {
		output string
		err    error
	}
	dirs, results := []string{t.TempDir(), t.TempDir()}, make(chan result)
	for _, dir := range dirs {
		go func() {
			output, err := download(t, command, dir, before.URL)
			results <- result{output, err}
		}()
	}
	for range dirs {
		r := <-results
		require.NoError(t, r.err, r.output)
	}
	for path, content := range origin.files {
		if strings.HasSuffix(path, "/list") {
			continue
		}
		for _, dir := range dirs {
			got, err := os.ReadFile(filepath.Join(dir, "cache", "cache", "download", path))
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got), path)
		}
		require.Equal(t, 1, origin.asked[path], path)
	}
	for path, n := range origin.asked {
		require.Equal(t, 1, n, path)
	}
	require.EqualValues(t, 2*len(origin.asked), front.Stats().Requests)
}

// download has the go command download the modules that a new one in dir
// requires, through a proxy and into a cache of its own.
func download(t *testing.T, command, dir, proxy string) (output string, err error) {
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o777); err != nil {
		return "", err
	}
	mod := "module example.test/main\n\ngo 1.20\n\nrequire (\n\texample.test/a v1.0.0\n\texample.test/b v1.2.0\n\texample.test/c/v2 v2.0.1\n)\n"
	if err := os.WriteFile(filepath.Join(work, "go.mod"), []byte(mod), 0o666); err != nil {
		return "", err
	}
	c := exec.CommandContext(t.Context(), command, "mod", "download", "-x")
	c.Dir = work
	c.Env = append(os.Environ(),
		"GOPROXY="+proxy, "GOMODCACHE="+filepath.Join(dir, "cache"), "GOFLAGS=-modcacherw",
		"GOSUMDB=off", "GONOPROXY=", "GOPRIVATE=", "GOENV=off", "GOWORK=off", "GOTOOLCHAIN=local", "GO111MODULE=on",
	)
	all, err := c.CombinedOutput()
	return string(all), err
}
