package enginetest

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// testEmptySynced: an empty bucket has an end of its initial state, too.
func testEmptySynced(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	view := watch(t, e, engine.Position{})
	view.wait(func() bool { return view.Synced > 0 })
	p, err := e.Position(context.Background())
	require.NoError(t, err)
	view.until(p.Revision)
	require.Equal(t, 1, view.Synced)
	require.Equal(t, 1, view.Resets)
	require.Equal(t, p, view.Position)
	require.Zero(t, view.Told)
}

func testFullSynced(t *testing.T, s *Store) {
	const keys = 1200
	e, _ := s.Open(t)
	together(20, func(i int) {
		for j := range keys / 20 {
			must(t, e, put(fmt.Sprint(i, "/", j), "1"))
		}
	})
	view := watch(t, e, engine.Position{})
	view.wait(func() bool { return view.Synced > 0 })
	require.Equal(t, keys, view.Told)
	require.Len(t, view.State, keys)
	require.Equal(t, 1, view.Synced)
	must(t, e, put("one more", "1"))
	view.wait(func() bool { return view.Told > keys })
	require.Equal(t, 1, view.Resets)
}

// testWatchInOrder: what one engine writes is told to another one, in that order.
func testWatchInOrder(t *testing.T, s *Store) {
	a, _ := s.Open(t)
	b, _ := s.Open(t)
	view := watch(t, b, engine.Position{})
	var last uint64
	for i := range 300 {
		last = must(t, a, put(fmt.Sprint(i%7), fmt.Sprint(i)))
		if i%5 == 0 {
			last = must(t, a, remove(fmt.Sprint(i%7)))
		}
	}
	view.until(last)
	got := view.has(b)
	for i := range 7 {
		value, _, ok := get(t, a, fmt.Sprint(i))
		require.Equal(t, value, got[fmt.Sprint(i)])
		_, there := got[fmt.Sprint(i)]
		require.Equal(t, ok, there)
	}
}

// testWatchGoesOn: a second Watch goes on where the first one has ended.
func testWatchGoesOn(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	must(t, e, put("kept", "1"))
	first := newView(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Watch(ctx, engine.Position{}, first.Tell) }()
	first.wait(func() bool { return first.Synced > 0 })
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	must(t, e, put("while away", "2"))
	second := watch(t, e, first.Position)
	second.wait(func() bool { return second.Synced > 0 })
	require.Zero(t, second.Resets)
	require.Equal(t, map[string]string{"while away": "2"}, second.has(e))
	must(t, e, put("kept", "3"))
	second.wait(func() bool { return second.Told == 2 })
}

func testWatchOfAnotherHistory(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	must(t, e, put("key", "1"))
	view := watch(t, e, engine.Position{History: "another one", Revision: 1})
	view.wait(func() bool { return view.Synced > 0 })
	require.Equal(t, 1, view.Resets)
	require.Len(t, view.State, 1)
}

// testTellMisbehaves: a tell that panics or exits leaves nothing behind, and the watch can
// go on.
func testTellMisbehaves(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	for name, misbehave := range map[string]func(){"panic": func() { panic("x") }, "exit": runtime.Goexit} {
		must(t, e, put(name, "1"))
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }()
			_ = e.Watch(context.Background(), engine.Position{}, func(event engine.Event) {
				if event.Kind == engine.Put {
					misbehave()
				}
			})
		}()
		<-done
		view := newView(t)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- e.Watch(ctx, engine.Position{}, view.Tell) }()
		view.wait(func() bool { return view.Synced > 0 })
		require.Contains(t, view.State, name)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

// testStalledTell: while tell stalls, more is written than any buffer has.
func testStalledTell(t *testing.T, s *Store) {
	a, _ := s.Open(t)
	b, _ := s.Open(t)
	stall, stalled := make(chan struct{}), make(chan struct{})
	view := newView(t)
	view.Before = func(event engine.Event) {
		if event.Key == "stall" {
			close(stalled)
			<-stall
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Watch(ctx, engine.Position{}, view.Tell) }()
	view.wait(func() bool { return view.Synced > 0 })
	must(t, a, put("stall", ""))
	<-stalled
	want := map[string]string{"stall": ""}
	for i := range 5 {
		want[fmt.Sprint("last ", i)] = "1"
	}
	together(20, func(i int) {
		for j := range 60 {
			must(t, a, put(fmt.Sprint(i, "/", j), "1"))
			must(t, a, remove(fmt.Sprint(i, "/", j)))
		}
	})
	for i := range 5 {
		must(t, a, put(fmt.Sprint("last ", i), "1"))
	}
	close(stall)
	require.Equal(t, want, view.has(b))
	cancel()
	<-ended
}

// testHotKey: values of a key may be left out, and then the watcher is told so.
func testHotKey(t *testing.T, s *Store) {
	a, _ := s.Open(t)
	b, _ := s.Open(t)
	view := watch(t, b, engine.Position{})
	var log ledger
	together(8, func(i int) {
		for j := range 100 {
			log.put(t, a, "hot", fmt.Sprint(i, "/", j))
			if j%10 == 0 {
				log.put(t, a, fmt.Sprint("cold ", i), fmt.Sprint(j))
			}
		}
	})
	view.has(b)
	log.explains(t, view)
}

// testRestart: an idle watch goes on when the server has been restarted.
func testRestart(t *testing.T, s *Store) {
	a, _ := s.Open(t)
	b, _ := s.Open(t)
	view := watch(t, b, engine.Position{})
	must(t, a, put("before", "1"))
	view.wait(func() bool { return len(view.State) == 1 })
	do(t, s.Restart)
	must(t, a, put("after", "2"))
	require.Equal(t, map[string]string{"before": "1", "after": "2"}, view.has(b))
	require.Equal(t, 1, view.Resets)
}
