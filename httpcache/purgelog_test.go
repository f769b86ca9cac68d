package httpcache

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// crashed returns a site on what is in the store of s now, as after a kill.
func (s *site) crashed(t *testing.T) *site {
	store := newMemory()
	old := s.Options.Store.(*memory)
	old.mu.Lock()
	for key, k := range old.all {
		store.all[key] = k
	}
	old.mu.Unlock()
	return newSite(t, answering("Cache-Control: max-age=1000", `ETag: "a"`), with(store))
}

// sited returns a site whose store has pages, and no heads any more.
func sited(t *testing.T, pages string) (*site, *memory) {
	store := newMemory()
	s := newSite(t, answering("Cache-Control: max-age=1000, stale-while-revalidate=10", `ETag: "a"`), with(store))
	s.expect(t, pages)
	synctest.Wait()
	gate := make(chan bool)
	t.Cleanup(func() { close(gate) })
	store.on("Heads", func(string) error { <-gate; return nil })
	return s, store
}

func TestTheLogHasWhatHasNotReachedTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := sited(t, "/a fetched, /b fetched, /c fetched")
		s.Purge(Selection{URL: "/a"})
		time.Sleep(5 * time.Second)
		s.Purge(Selection{URL: "http://example.com/b", Soft: true})
		s.Purge(Selection{URL: "http://other.com/c"})
		time.Sleep(5 * time.Second)
		next := s.crashed(t)
		next.expect(t, "/a fetched, /b stale, /c hit")
		synctest.Wait()
		require.False(t, next.Options.Store.(*memory).has(purgesKey), "it is done")

		next = s.crashed(t)
		synctest.Wait()
		time.Sleep(6 * time.Second) // since the soft purge, and not since the restart
		next.expect(t, "/b revalidated, /c hit")
		require.True(t, store.has(purgesKey))
	})
}

func TestTheLogIsNotLostByAnotherCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := sited(t, "/a fetched, /b fetched")
		s.Purge(Selection{URL: "/a"})
		next := s.crashed(t)
		gate := make(chan bool)
		next.Options.Store.(*memory).on("Heads", func(string) error { <-gate; return nil })
		defer close(gate)
		next.Purge(Selection{URL: "/b"})
		next = next.crashed(t)
		next.expect(t, "/a fetched, /b fetched")
	})
}

func TestALogThatMakesNoSensePurgesEverything(t *testing.T) {
	for _, log := range []kept{{}, {head: []byte(headVersion)}} {
		synctest.Test(t, func(t *testing.T) {
			s, store := sited(t, "/a fetched, /b fetched")
			store.mu.Lock()
			store.all[purgesKey] = log
			store.mu.Unlock()
			next := s.crashed(t)
			next.expect(t, "/a fetched, /b fetched")
			synctest.Wait()
			require.False(t, next.Options.Store.(*memory).has(purgesKey))
			next = next.crashed(t)
			next.expect(t, "/a hit, /b hit")
		})
	}
}

// While it is not known what was purged, nothing is loaded.
func TestNothingIsLoadedWithoutTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := sited(t, "/a fetched, /b fetched, /c fetched")
		s.Purge(Selection{URL: "/a"})
		store := s.Options.Store.(*memory)
		fail := func(key string) error {
			if key == purgesKey {
				return errors.New("no disk")
			}
			return nil
		}
		store.on("Load", fail)
		next := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
		next.expect(t, "/b fetched")
		store.on("Load", nil)
		time.Sleep(2 * nextTrial)
		next.expect(t, "/c hit, /a fetched")
	})
}

func TestTheLogIsRemovedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		s := newSite(t, answering("Cache-Control: max-age=1000"), with(store))
		store.on("Delete", func(string) error { return errors.New("no disk") })
		store.on("Heads", func(string) error { time.Sleep(time.Second / 2); return nil })
		s.Purge(Selection{URL: "/a"})
		time.Sleep(time.Second)
		require.True(t, store.has(purgesKey))
		store.on("Delete", nil)
		time.Sleep(2 * nextTrial)
		require.False(t, store.has(purgesKey))
	})
}

func TestManyPurgesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := sited(t, "/a fetched")
		saves := 0
		store.on("Save", func(string) error { saves++; time.Sleep(time.Millisecond); return nil })
		done := make(chan bool)
		for i := range 3 * maxLogged {
			go func() {
				s.Purge(Selection{Tag: fmt.Sprint("none", i)})
				done <- true
			}()
		}
		for range 3 * maxLogged {
			<-done
		}
		require.Less(t, saves, 20)
		next := s.crashed(t)
		next.expect(t, "/a fetched")
	})
}
