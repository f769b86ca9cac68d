package enginetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

func testWrite(t *testing.T, s *Store) {
	a, _ := s.Open(t)
	b, _ := s.Open(t)
	_, revision, ok := get(t, a, "key")
	require.False(t, ok)
	require.Zero(t, revision)
	first := must(t, a, put("key", "1"))
	second := must(t, b, put("key", "2"))
	require.Greater(t, second, first)
	for _, e := range []engine.Engine{a, b} {
		value, revision, ok := get(t, e, "key")
		require.True(t, ok)
		require.Equal(t, "2", value)
		require.Equal(t, second, revision)
	}
}

func testConflict(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	conflicts := func(w engine.Write, revision uint64) {
		t.Helper()
		_, err := e.Write(context.Background(), w)
		require.ErrorIs(t, err, engine.ErrConflict)
		require.NotErrorIs(t, err, engine.ErrUnknown)
		conflict := new(engine.ConflictError)
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, engine.ConflictError{Key: w.Key, Revision: revision}, *conflict)
	}
	first := must(t, e, engine.Write{Key: "key", Value: []byte("1")})
	conflicts(engine.Write{Key: "key", Value: []byte("2")}, first)
	second := must(t, e, engine.Write{Key: "key", Value: []byte("2"), Expected: first})
	conflicts(engine.Write{Key: "key", Value: []byte("3"), Expected: first}, second)
	conflicts(engine.Write{Key: "key", Delete: true, Expected: first}, second)
	deleted := must(t, e, engine.Write{Key: "key", Delete: true, Expected: second})
	conflicts(engine.Write{Key: "key", Value: []byte("3"), Expected: second}, deleted)

	_, err := e.Write(context.Background(), engine.Write{Key: "never written", Expected: second})
	conflict := new(engine.ConflictError)
	require.ErrorAs(t, err, &conflict)
	require.GreaterOrEqual(t, conflict.Revision, deleted)
}

func testDeletedIsAbsent(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	for i := range 3 {
		must(t, e, engine.Write{Key: "key", Value: fmt.Append(nil, i)})
		deleted := must(t, e, remove("key"))
		value, revision, ok := get(t, e, "key")
		require.False(t, ok)
		require.Empty(t, value)
		if revision != 0 { // there is a trace of the deletion
			require.Equal(t, deleted, revision)
		}
	}
	must(t, e, remove("never written"))
	_, _, ok := get(t, e, "never written")
	require.False(t, ok)
}

// testKeys: a key is any string.
func testKeys(t *testing.T, s *Store) {
	keys := []string{"", "=", "==", "=3D", ".", "..", ".a", "a.", "a.b", "*", ">", "a b", "\x00", "\xff\xfe", "\r\n", "ключ", "_history", "k._history", "$KV", strings.Repeat("x", 500)}
	for c := range 256 {
		keys = append(keys, "byte "+string([]byte{byte(c)}))
	}
	a, _ := s.Open(t)
	b, _ := s.Open(t)
	view := watch(t, b, engine.Position{})
	want := map[string]string{}
	for i, key := range keys {
		want[key] = fmt.Sprint(i)
		must(t, a, put(key, want[key]))
	}
	require.Equal(t, want, view.has(b))
	for key, value := range want {
		got, _, ok := get(t, b, key)
		require.True(t, ok)
		require.Equal(t, value, got)
	}
	_, err := a.Write(context.Background(), put(strings.Repeat("\x00", 1<<20), ""))
	require.ErrorIs(t, err, engine.ErrKey)
	_, _, err = a.Get(context.Background(), strings.Repeat("\x00", 1<<20), 0)
	require.ErrorIs(t, err, engine.ErrKey)
}

// testLargeValue: a value of almost a MiB is told. One that is too large is known not to be written.
func testLargeValue(t *testing.T, s *Store) {
	a, _ := s.Open(t)
	b, _ := s.Open(t)
	view := watch(t, b, engine.Position{})
	large := strings.Repeat("x", 1<<20-1<<12)
	must(t, a, put("key", large))
	require.True(t, view.has(b)["key"] == large)
	value, _, ok := get(t, b, "key")
	require.True(t, ok && value == large)
	for _, size := range []int{7 << 18, 1 << 24} {
		_, err := a.Write(context.Background(), put("key", strings.Repeat("y", size)))
		require.Error(t, err)
		require.NotErrorIs(t, err, engine.ErrUnknown)
	}
	require.True(t, view.has(b)["key"] == large)
}

func testBadWrites(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	for name, w := range map[string]engine.Write{
		"delete what is absent": {Key: "key", Delete: true},
		"deletion with a TTL":   {Key: "key", Delete: true, Unconditional: true, TTL: time.Second},
		"deletion with a value": {Key: "key", Delete: true, Unconditional: true, Value: []byte("1")},
		"negative TTL":          {Key: "key", TTL: -1},
	} {
		_, err := e.Write(context.Background(), w)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, engine.ErrUnknown, name)
	}
}

// testEndedContext: nothing is written, and it is known that nothing was.
func testEndedContext(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	_, err := e.Write(ctx, put("key", "1"))
	_, _, getErr := e.Get(ctx, "key", 0)
	_, positionErr := e.Position(ctx)
	watchErr := e.Watch(ctx, engine.Position{}, func(engine.Event) {})
	for _, err := range []error{err, getErr, positionErr, watchErr} {
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
		require.NotErrorIs(t, err, engine.ErrUnknown)
	}
	_, _, ok := get(t, e, "key")
	require.False(t, ok)
}

func testClosed(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	synced, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- e.Watch(context.Background(), engine.Position{}, func(event engine.Event) {
			if event.Kind == engine.Synced {
				synced <- struct{}{}
			}
		})
	}()
	<-synced
	require.NoError(t, e.Close())
	require.ErrorIs(t, <-ended, engine.ErrClosed)
	_, err := e.Write(context.Background(), put("key", "1"))
	require.ErrorIs(t, err, engine.ErrClosed)
	_, _, err = e.Get(context.Background(), "key", 0)
	require.ErrorIs(t, err, engine.ErrClosed)
	_, err = e.Position(context.Background())
	require.ErrorIs(t, err, engine.ErrClosed)
	require.ErrorIs(t, e.Watch(context.Background(), engine.Position{}, func(engine.Event) {}), engine.ErrClosed)
}

// testGetAtRevision: a Get that asks for a revision waits for it.
func testGetAtRevision(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	last := must(t, e, put("key", "1"))
	entry, ok, err := e.Get(context.Background(), "key", last)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, engine.Entry{Value: []byte("1"), Revision: last}, entry)

	other := must(t, e, put("other", "1"))
	entry, ok, err = e.Get(context.Background(), "key", other)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, last, entry.Revision)

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, _, err = e.Get(ctx, "key", other+1000)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// testTTL: the end of a value is told like a deletion.
func testTTL(t *testing.T, s *Store) {
	a, _ := s.Open(t)
	b, _ := s.Open(t)
	view := watch(t, b, engine.Position{})
	first := must(t, a, engine.Write{Key: "key", Value: []byte("1"), TTL: time.Second})
	view.until(first)
	require.Contains(t, view.has(b), "key")
	view.wait(func() bool { return len(view.State) == 0 && view.Position.Revision > first })
	_, _, ok := get(t, a, "key")
	require.False(t, ok)
	must(t, a, engine.Write{Key: "key", Value: []byte("2")})
}

// testRenewal: a write with a TTL over one with a TTL ends, too.
func testRenewal(t *testing.T, s *Store) {
	e, _ := s.Open(t)
	view := watch(t, e, engine.Position{})
	last := must(t, e, engine.Write{Key: "key", TTL: time.Second})
	for range 3 {
		last = must(t, e, engine.Write{Key: "key", Expected: last, TTL: time.Second})
	}
	view.until(last)
	view.wait(func() bool { return len(view.State) == 0 && view.Position.Revision > last })
}
