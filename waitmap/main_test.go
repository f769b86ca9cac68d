package waitmap_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }

// bg is the context of the waits that nothing but the map ends.
var bg = context.Background()

// nilCtx is what a caller without a context passes.
var nilCtx context.Context

// doneCtx returns a context that ended before it was used.
func doneCtx() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}

// result is what a wait returned.
type result[V any] struct {
	v   V
	err error
}

// async runs f in a goroutine of its own; its result arrives on the channel.
func async[V any](f func() (V, error)) <-chan result[V] {
	c := make(chan result[V], 1)
	go func() {
		v, err := f()
		c <- result[V]{v, err}
	}()
	return c
}

// requireValue requires that a finished wait returned want.
func requireValue[V any](t testing.TB, want V, c <-chan result[V]) {
	t.Helper()
	r := <-c
	require.NoError(t, r.err)
	require.Equal(t, want, r.v)
}

// requireError requires that a wait failed with target.
func requireError[V any](t testing.TB, target error, c <-chan result[V]) {
	t.Helper()
	r := <-c
	require.ErrorIs(t, r.err, target)
}

// requirePending requires that a wait has not returned. It is for bubbles,
// after synctest.Wait, where it cannot be early.
func requirePending[V any](t testing.TB, c <-chan result[V]) {
	t.Helper()
	select {
	case r := <-c:
		require.Failf(t, "wait returned early", "%v, %v", r.v, r.err)
	default:
	}
}

// panicText runs f, which must panic, and returns what the panic says.
func panicText(t testing.TB, f func()) (text string) {
	t.Helper()
	panicked := true
	func() {
		defer func() {
			if r := recover(); r != nil {
				text = fmt.Sprint(r)
			}
		}()
		f()
		panicked = false
	}()
	require.True(t, panicked, "no panic")
	return text
}

// inLine yields until n waiters of key are in line.
func inLine[K comparable, V any](m *waitmap.Map[K, V], key K, n int) {
	testkit.SpinUntil(func() bool { return m.Waiters(key) == n })
}

// waitingKeys counts the keys that Waiting reports and their waiters.
func waitingKeys[K comparable, V any](m *waitmap.Map[K, V]) (keys, waiters int) {
	for _, info := range m.Waiting() {
		keys++
		waiters += info.Waiters
	}
	return keys, waiters
}

// contents collects the map through All and requires that no key came twice.
func contents[K comparable, V any](t testing.TB, m *waitmap.Map[K, V]) map[K]V {
	t.Helper()
	got := make(map[K]V)
	for k, v := range m.All() {
		_, twice := got[k]
		require.False(t, twice, "key %v came twice", k)
		got[k] = v
	}
	return got
}

// requireContents requires that every way to look at m shows exactly want.
func requireContents[K comparable, V any](t testing.TB, want map[K]V, m *waitmap.Map[K, V]) {
	t.Helper()
	require.Equal(t, len(want), m.Len())
	require.Equal(t, want, contents(t, m))
	for k, v := range want {
		got, ok := m.Load(k)
		require.True(t, ok, "key %v", k)
		require.Equal(t, v, got)
	}
}

// requireIdle requires that the map has no waiters.
func requireIdle[K comparable, V any](t testing.TB, m *waitmap.Map[K, V]) {
	t.Helper()
	keys, waiters := waitingKeys(m)
	require.Zero(t, keys, "keys with waiters")
	require.Zero(t, waiters, "waiters")
}

// shaken holds up goroutines that pass a point, in builds that have points.
func shaken(seed uint64) (stop func()) { return schedpoint.Shake(seed, true) }
