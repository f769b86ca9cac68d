package httpcache

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/httpcache/diskstore"
)

func TestStoresThatMisbehaveHurtNobody(t *testing.T) {
	for name, fail := range map[string]func(release chan struct{}) error{
		"fails":   func(chan struct{}) error { return errors.New("no disk") },
		"panics":  func(chan struct{}) error { panic("no disk") },
		"exits":   func(chan struct{}) error { runtime.Goexit(); return nil },
		"blocks":  func(release chan struct{}) error { <-release; return errors.New("no disk") },
		"is slow": func(chan struct{}) error { time.Sleep(3 * time.Second); return nil },
	} {
		for _, method := range []string{"Load", "Save", "Delete", "Heads", "Body"} {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				misbehaving(t, name+" "+method, method, func(string) error { return fail(release) }, release)
			})
		}
	}
}

// A failing body calls do when it is read.
type failing struct {
	io.Reader
	do func(string) error
}

func (f failing) Read(p []byte) (int, error) {
	if err := f.do(""); err != nil {
		return 0, err
	}
	return f.Reader.Read(p)
}

func misbehaving(t *testing.T, name, method string, do func(string) error, release chan struct{}) {
	store := newMemory()
	origin := answering("Cache-Control: max-age=100", "Vary: X-User")
	s := newSite(t, origin, with(store))
	s.expect(t, "/ fetched, /b fetched")
	s = s.again(t, origin)
	if method == "Body" {
		store.mu.Lock()
		store.body = func(p []byte) io.Reader { return failing{bytes.NewReader(p), do} }
		store.mu.Unlock()
	} else {
		store.on(method, do)
	}
	for range 2 {
		for _, path := range []string{"/", "/b", "/c"} {
			require.Equal(t, 200, s.request("GET", path).status, name)
			require.Contains(t, []int{200, 206}, s.request("GET", path, "Range: bytes=0-1", "X-User: 3").status, name)
		}
		require.Equal(t, 200, s.request("POST", "/b").status, name)
		s.Purge(Selection{URL: "/c"})
		s.Purge(Selection{Prefix: "/", Soft: true})
		time.Sleep(time.Second)
	}
	start := time.Now()
	require.NoError(t, s.Close())
	require.LessOrEqual(t, time.Since(start), storeClose, name)
	close(release)
	time.Sleep(time.Minute)
}

func TestBodiesOfTheWrongLengthAreMisses(t *testing.T) {
	for name, change := range map[string]func(p []byte) io.Reader{
		"short": func(p []byte) io.Reader { return bytes.NewReader(p[:len(p)-1]) },
		"long":  func(p []byte) io.Reader { return strings.NewReader(string(p) + "x") },
		"broken": func(p []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(p[:3]), iotest.ErrReader(io.ErrNoProgress))
		},
		"empty": func(p []byte) io.Reader { return bytes.NewReader(nil) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s, store := newStoredSite(t, "Cache-Control: max-age=100")
			s = s.again(t, answering())
			store.body = change
			require.Equal(t, "answer 1", s.expect(t, "/ fetched").body, name)
			require.Zero(t, s.Stats().StoreHits)
			require.Zero(t, s.Stats().Failed)
		})
	}
}

func TestAStuckStoreIsNotAskedUntilItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, gate := newMemory(), make(chan bool)
		s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
		s.expect(t, "/ fetched")
		s = s.again(t, answering("Cache-Control: max-age=1000"))
		store.on("Load", func(string) error { <-gate; return nil })
		start := time.Now()
		s.expect(t, "/a fetched")
		require.Equal(t, storeTime, time.Since(start))
		s.expect(t, "/b fetched")
		require.Equal(t, storeTime, time.Since(start), "nobody waits for it again")
		store.on("Load", nil)
		close(gate)
		synctest.Wait()
		s.expect(t, "/ hit")
	})
}

func TestPagesOutliveTheProcessOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pages")
	for turn := range 3 {
		store, err := diskstore.Open(dir, nil)
		require.NoError(t, err)
		s := newSite(t, tagged, with(store))
		var all sync.WaitGroup
		for _, path := range []string{"/a", "/b", "/c"} {
			for _, user := range []string{"X-User: 1", "X-User: 2"} {
				all.Go(func() {
					r := s.request("GET", path, user)
					require.Equal(t, 200, r.status)
					require.Equal(t, path[1:], r.body)
					require.Equal(t, turn > 0, r.cache() == "hit")
				})
			}
		}
		all.Wait()
		require.Len(t, s.asked, []int{6, 0, 0}[turn])
		s.fetches.Wait(t.Context()) // the bodies are there
		require.NoError(t, s.Close())
		require.NoError(t, store.Close())
	}
}

// A Store that keeps a body finds nothing in it once Save has returned.
func TestBodiesEndWithTheirSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &keeping{memory: newMemory()}
		s := newSite(t, answering("Cache-Control: max-age=100"), with(store))
		s.expect(t, "/ fetched")
		synctest.Wait()
		require.NotNil(t, store.body)
		_, err := store.body.Read(make([]byte, 1))
		require.ErrorIs(t, err, fs.ErrClosed)
		s.expect(t, "/ hit")
	})
}

type keeping struct {
	*memory
	body io.Reader
}

func (k *keeping) Save(key string, head []byte, body io.Reader) error {
	if isPage(key) {
		k.body = body
	}
	return k.memory.Save(key, head, strings.NewReader("answer 1"))
}
