package enginetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// cut returns two engines, of which the second one watches and is cut off.
func cut(t *testing.T, s *Store) (a, b engine.Engine, link *Link, view *View) {
	a, _ = s.Open(t)
	b, link = s.Open(t)
	must(t, a, put("kept", "1"))
	must(t, a, put("deleted", "1"))
	view = watch(t, b, engine.Position{})
	view.wait(func() bool { return view.Synced > 0 && len(view.State) == 2 })
	link.Cut()
	return a, b, link, view
}

func testCutWatch(t *testing.T, s *Store) {
	a, b, link, view := cut(t, s)
	for i := range 5 {
		must(t, a, remove("deleted"))
		must(t, a, put(fmt.Sprint("new ", i), "2"))
		link.Heal()
		require.Len(t, view.has(b), 2+i)
		link.Cut()
		must(t, a, put("deleted", fmt.Sprint(i)))
	}
	link.Heal()
	require.Equal(t, "4", view.has(b)["deleted"])
	require.Equal(t, 1, view.Resets)
}

func testPurgedWhileCut(t *testing.T, s *Store) {
	a, b, link, view := cut(t, s)
	do(t, s.Purge)
	must(t, a, put("new", "1"))
	link.Heal()
	require.Equal(t, map[string]string{"new": "1"}, view.has(b))
	require.Equal(t, 2, view.Resets)
}

func testPurgedWhileWatching(t *testing.T, s *Store) {
	a, b, link, view := cut(t, s)
	link.Heal()
	view.has(b)
	do(t, s.Purge)
	must(t, a, put("new", "1"))
	require.Equal(t, map[string]string{"new": "1"}, view.has(b))
}

func testRemadeWhileCut(t *testing.T, s *Store) {
	a, b, link, view := cut(t, s)
	before := view.Position.History
	do(t, s.Remake)
	must(t, a, put("new", "1"))
	link.Heal()
	require.Equal(t, map[string]string{"new": "1"}, view.has(b))
	require.NotEqual(t, before, view.Position.History)
}

// testRemadeWhileWatching: the new history is longer than the old one when it is noticed.
func testRemadeWhileWatching(t *testing.T, s *Store) {
	a, b, link, view := cut(t, s)
	link.Heal()
	view.has(b)
	do(t, s.Remake)
	want := map[string]string{}
	for i := range 20 {
		want[fmt.Sprint(i)] = "1"
		must(t, a, put(fmt.Sprint(i), "1"))
	}
	require.Equal(t, want, view.has(b))
}

// forgotten waits until the store has forgotten that the key was deleted.
func forgotten(t *testing.T, s *Store, e engine.Engine, key string) {
	if s.Forget != nil {
		s.Forget(t)
	}
	eventually(func() bool {
		_, revision, ok := get(t, e, key)
		require.False(t, ok)
		return revision == 0
	})
}

// testPhantom: a deletion is forgotten while the watcher is cut off.
func testPhantom(t *testing.T, s *Store) {
	a, b, link, view := cut(t, s)
	must(t, a, remove("deleted"))
	forgotten(t, s, a, "deleted")
	link.Heal()
	require.Equal(t, map[string]string{"kept": "1"}, view.has(b))
	must(t, a, put("deleted", "2"))
	require.Equal(t, map[string]string{"kept": "1", "deleted": "2"}, view.has(b))
}

// testPhantomStalled: a deletion is forgotten before the watcher, which is not cut off, has
// come to it.
func testPhantomStalled(t *testing.T, s *Store) {
	a, _ := s.Open(t)
	b, link := s.Open(t)
	must(t, a, put("deleted", "1"))
	view := watch(t, b, engine.Position{})
	view.wait(func() bool { return view.Synced > 0 && len(view.State) == 1 })
	link.Hold()
	together(20, func(i int) { // more than is on the way
		for j := range 60 {
			must(t, a, put(fmt.Sprint(i, "/", j), ""))
		}
	})
	must(t, a, remove("deleted"))
	last := must(t, a, put("last", ""))
	forgotten(t, s, a, "deleted")
	link.Release()
	view.until(last)
	_, phantom := view.has(b)["deleted"]
	require.False(t, phantom)
}

// testForgottenTail: the newest revision of the bucket is one that no message has any more.
func testForgottenTail(t *testing.T, s *Store) {
	a, b, link, view := cut(t, s)
	last := must(t, a, remove("deleted"))
	forgotten(t, s, a, "deleted")
	link.Heal()
	require.Equal(t, map[string]string{"kept": "1"}, view.has(b))
	require.GreaterOrEqual(t, view.Position.Revision, last)

	c, _ := s.Open(t)
	fresh := watch(t, c, engine.Position{})
	fresh.wait(func() bool { return fresh.Synced > 0 })
	require.GreaterOrEqual(t, fresh.Position.Revision, last)
}
