package httpcache

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A page whose mark is lost, or cannot be read, may be older than a write.
func TestPagesWithoutTheirMarkAreMisses(t *testing.T) {
	for _, how := range []string{"lost", "fails", "is slow"} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
			s.expect(t, "/ fetched")
			synctest.Wait()
			s.request("POST", "/")
			s = s.again(t, answering("Cache-Control: max-age=1000"))
			synctest.Wait()
			switch how {
			case "lost":
				require.NoError(t, store.Delete(markOf("/")))
			case "fails":
				store.on("Load", func(key string) error {
					if key == markOf("/") {
						return errors.New("no disk")
					}
					return nil
				})
			case "is slow":
				store.on("Load", func(key string) error {
					if key == markOf("/") {
						time.Sleep(2 * storeTime)
					}
					return nil
				})
			}
			s.expect(t, "/ fetched")
			time.Sleep(time.Minute)
		})
	}
}

// A write is passed on once the Store knows of it, or after a time.
func TestWritesWaitForTheirMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, gate := newMemory(), make(chan bool)
		s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
		s.expect(t, "/ fetched")
		synctest.Wait()
		start := time.Now()
		store.on("Save", func(string) error { time.Sleep(time.Second); return nil })
		s.request("POST", "/")
		require.Equal(t, time.Second, time.Since(start))
		store.on("Save", func(string) error { <-gate; return nil })
		s.request("POST", "/")
		require.Equal(t, time.Second+storeTime, time.Since(start))
		s.request("POST", "/")
		s.Purge(Selection{URL: "/none"})
		require.Equal(t, time.Second+storeTime, time.Since(start), "nobody waits for it again")
		close(gate)
		time.Sleep(time.Minute)
		s = s.again(t, answering("Cache-Control: max-age=1000"))
		s.expect(t, "/ fetched")
	})
}

// A write that is noted while a page is being saved ends that page.
func TestWritesEndWhatIsBeingSaved(t *testing.T) {
	for _, at := range []string{"written /", "/"} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
			blocked, gate := false, make(chan bool)
			store.on("Save", func(key string) error {
				if !blocked && (key == at || isPage(key) && at == "/") {
					blocked = true
					<-gate
				}
				return nil
			})
			s.expect(t, "/ fetched")
			synctest.Wait()
			require.True(t, blocked)
			s.request("POST", "/")
			close(gate)
			s = s.again(t, answering("Cache-Control: max-age=1000"))
			s.expect(t, "/ fetched")
		})
	}
}

// What cannot be removed does not keep the rest from being removed.
func TestOneFailureDoesNotHoldUpTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
		s.expect(t, "/a fetched, /b fetched")
		synctest.Wait()
		fail := func(key string) error {
			if key == markOf("/bad") {
				return errors.New("no room for this")
			}
			return nil
		}
		store.on("Save", fail)
		s.request("POST", "/bad")
		s.Purge(Selection{URL: "/a"})
		synctest.Wait()
		require.Equal(t, 1, store.count())
		store.on("Save", nil)
		time.Sleep(2 * nextTrial)
		require.True(t, store.has(markOf("/bad")), "it is tried again")
	})
}

// What was to go before a page came does not take that with it.
func TestTheBacklogIsDoneBeforeASave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, gate := newMemory(), make(chan bool)
		s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
		synctest.Wait()
		store.on("Heads", func(string) error { <-gate; return nil })
		for i := range 20 { // which of two things the saver does first is left to chance
			s.Purge(Selection{Tag: "none"})
			synctest.Wait() // the saver is busy with that
			page := fmt.Sprint("/", i)
			s.storage.forget(s.keyOf("GET", newRequest(t.Context(), "GET", page)))
			s.expect(t, page+" fetched")
			synctest.Wait()
			gate <- true
			synctest.Wait()
			s.forgetMemory()
			s.expect(t, page+" hit")
		}
	})
}

func TestLongURLsHaveShortKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		s := newSite(t, answering("Cache-Control: max-age=1000", "Vary: X-User"), with(store))
		long := "/" + strings.Repeat("x", 50_000)
		user := "X-User: " + strings.Repeat("y", 50_000)
		s.expect(t, long+" fetched, "+long+"2 fetched", user)
		synctest.Wait()
		for key := range store.all {
			require.Less(t, len(key), 2000)
		}
		s.forgetMemory()
		s.expect(t, long+" hit, "+long+"2 hit", user)
		s.request("POST", long)
		s = s.again(t, answering("Cache-Control: max-age=1000", "Vary: X-User"))
		s.expect(t, long+" fetched, "+long+"2 hit", user)
	})
}

// Bodies that nobody reads to their end, and that the Store does not return, take no place
// from others for long.
func TestBodiesThatBlockAreCountedAsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, gate := newMemory(), make(chan bool)
		s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
		s.expect(t, "/ fetched")
		synctest.Wait()
		store.mu.Lock()
		store.body = func([]byte) io.Reader { return reading(func() { <-gate }) }
		store.mu.Unlock()
		ctx := t.Context()
		for range maxCalls {
			require.NotNil(t, s.storage.loadHead(ctx, markOf("/")))
		}
		time.Sleep(storeTime + 1)
		start := time.Now()
		require.Nil(t, s.storage.loadHead(ctx, markOf("/")))
		require.Equal(t, start, time.Now())
		close(gate)
		synctest.Wait()
		require.NotNil(t, s.storage.loadHead(ctx, markOf("/")))
	})
}

// reading is a body that does something, and then ends.
type reading func()

func (r reading) Read([]byte) (int, error) { r(); return 0, io.EOF }
