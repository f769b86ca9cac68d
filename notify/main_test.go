package notify_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }

// bg is the context of waits that only a notification ends.
var bg = context.Background()

// nilCtx is passed by a caller that has no context.
var nilCtx context.Context

// doneCtx returns a context that has ended.
func doneCtx() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}

// async runs a wait in a goroutine of its own; its error arrives on the
// channel.
func async(wait func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- wait() }()
	return c
}

// requirePending requires that a wait has not returned. It is for bubbles,
// after synctest.Wait, where it cannot be early.
func requirePending(t testing.TB, c <-chan error) {
	t.Helper()
	select {
	case err := <-c:
		require.Failf(t, "wait returned early", "%v", err)
	default:
	}
}

// requireIdle requires that the line is empty and no permit is kept.
func requireIdle(t require.TestingT, n interface {
	Waiters() int
	TryWait() bool
}) {
	require.Zero(t, n.Waiters(), "in line")
	require.False(t, n.TryWait(), "a permit is kept")
}

// panicText runs f, which must panic, and returns the text of the panic.
func panicText(t testing.TB, f func()) (text string) {
	t.Helper()
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	require.Fail(t, "no panic")
	return ""
}
