package httpcache

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/httpcache/diskstore"
	"github.com/vigil-go/vigil/internal/testkit"
)

// childTask names the variable that tells a child process what to do, and in which directory.
const childTask = "VIGIL_HTTPCACHE_CHILD"

// A shop is a handler behind a cache on disk. Its pages have its version, which is in a file:
// each POST makes another one.
type shop struct {
	dir   string
	store *diskstore.Store
	cache *Cache
	http.Handler
}

func openShop(dir string, around func(Store) Store) (*shop, error) {
	s := &shop{dir: dir}
	var err error
	if s.store, err = diskstore.Open(filepath.Join(dir, "pages"), nil); err != nil {
		return nil, err
	}
	if s.cache, err = New(&Options{Store: around(s.store), Logger: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	s.Handler = s.cache.Handler(http.HandlerFunc(s.serve))
	return s, nil
}

func (s *shop) close(t *testing.T) {
	require.NoError(t, s.cache.Close())
	require.NoError(t, s.store.Close())
}

func (s *shop) version() (n int) {
	b, _ := os.ReadFile(filepath.Join(s.dir, "version"))
	fmt.Sscan(string(b), &n)
	return n
}

func (s *shop) bump() {
	if err := os.WriteFile(filepath.Join(s.dir, "version.new"), fmt.Append(nil, s.version()+1), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(filepath.Join(s.dir, "version.new"), filepath.Join(s.dir, "version")); err != nil {
		panic(err)
	}
}

func (s *shop) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.bump()
	}
	addLines(w.Header(), "Cache-Control: max-age=1000", "Vary: X-User", "Cache-Tag: all")
	fmt.Fprintf(w, "version %d of %s", s.version(), strings.Repeat(r.URL.Path, 500))
}

// get returns the version of a page, and where it came from.
func (s *shop) get(method, path, user string) (version int, from string) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, newRequest(context.Background(), method, path, "X-User: "+user))
	fmt.Sscanf(w.Body.String(), "version %d of ", &version)
	if want := fmt.Sprintf("version %d of %s", version, strings.Repeat(path, 500)); want != w.Body.String() {
		panic("the page is not whole")
	}
	return version, w.Header().Get("X-Cache")
}

// A blocked store never saves what is under a path that begins with /busy, and has no heads
// while blocked is closed: so nothing is done in the background.
type blocked struct {
	Store
	busy chan bool // closed when a Save is blocked
}

func (b blocked) Save(key string, head []byte, body io.Reader) error {
	if strings.Contains(key, "/busy") && isPage(key) {
		close(b.busy)
		select {}
	}
	return b.Store.Save(key, head, body)
}

func (b blocked) Heads() iter.Seq2[string, []byte] { select {} }

// die is the end of a child that is killed.
func die() {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		panic(err)
	}
	self.Kill()
	select {}
}

// runChild does a task in a child process.
func runChild(task string) {
	what, dir, _ := strings.Cut(task, " ")
	b := blocked{busy: make(chan bool)}
	s, err := openShop(dir, func(inner Store) Store {
		if b.Store = inner; what == "loop" {
			return inner
		}
		return b
	})
	if err != nil {
		panic(err)
	}
	if what == "loop" {
		s.changeForEver()
	}
	for _, user := range []string{"1", "2"} {
		s.get("GET", "/a", user)
		s.get("GET", "/b", user)
	}
	for s.cache.Stats().Stored < 4 {
		time.Sleep(time.Millisecond)
	}
	s.get("GET", "/busy", "1")
	<-b.busy
	switch what {
	case "POST":
		s.get("POST", "/a", "1")
		die()
	case "many":
		for i := range maxLogged + 1 {
			s.cache.Purge(Selection{Tag: fmt.Sprint("none", i)})
		}
	}
	s.bump()
	s.cache.Purge(map[string]Selection{
		"URL": {URL: "/a"}, "prefix": {Prefix: "/a"}, "tag": {Tag: "all"}, "soft": {URL: "http://example.com/a", Soft: true}, "many": {URL: "/a"},
	}[what])
	die()
}

// changeForEver changes pages in all ways, and prints the path and the least version of what
// may be answered from then on.
func (s *shop) changeForEver() {
	for i := s.version(); ; i++ {
		path := fmt.Sprint("/", i%4)
		for _, user := range []string{"1", "2"} {
			s.get("GET", path, user)
		}
		switch i % 5 {
		case 0, 1, 2:
			s.get("POST", path, "1")
		case 3:
			s.bump()
			s.cache.Purge(Selection{URL: path})
		case 4:
			s.bump()
			s.cache.Purge(Selection{Prefix: path})
		}
		fmt.Println(path, s.version())
	}
}

// child starts a child process.
func child(t *testing.T, task string) (*exec.Cmd, io.Reader) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), childTask+"="+task)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	return c, out
}

// A process that is killed once it has passed on the answer to a write, or returned from Purge,
// has not forgotten it, whatever it has not come to do.
func TestWritesAndPurgesSurviveKill(t *testing.T) {
	for _, what := range []string{"POST", "URL", "prefix", "tag", "soft", "many"} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			c, _ := child(t, what+" "+dir)
			require.ErrorContains(t, c.Wait(), "killed")
			for range 2 {
				s, err := openShop(dir, func(inner Store) Store { return inner })
				require.NoError(t, err)
				for _, user := range []string{"1", "2"} {
					version, _ := s.get("GET", "/a", user)
					require.Equal(t, 1, version)
					version, from := s.get("GET", "/b", user)
					if what != "tag" && what != "many" {
						require.Equal(t, "hit", from)
						require.Equal(t, 0, version)
					}
				}
				s.cache.fetches.Wait(t.Context()) // the bodies are there
				s.close(t)
			}
		})
	}
}

// Whenever a process is killed, none that follows answers by what is older than a write or
// purge that was done.
func TestNothingOldIsBackAfterKill(t *testing.T) {
	dir, least := t.TempDir(), map[string]int{}
	for round := range testkit.Scale(8, 5) {
		c, out := child(t, "loop "+dir)
		lines := bufio.NewScanner(out)
		for count := 0; lines.Scan(); count++ {
			path, version := "", 0
			_, err := fmt.Sscan(lines.Text(), &path, &version)
			require.NoError(t, err)
			least[path] = version
			if count == 5+7*round*round {
				require.NoError(t, c.Process.Kill())
			}
		}
		require.Error(t, c.Wait())
		s, err := openShop(dir, func(inner Store) Store { return inner })
		require.NoError(t, err)
		for path, want := range least {
			for _, user := range []string{"1", "2"} {
				version, from := s.get("GET", path, user)
				require.GreaterOrEqual(t, version, want, "round %d: %s %s", round, path, from)
			}
		}
		s.close(t)
	}
}
