package waitgroup_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }

// bg is the context of waits that only a zero ends.
var bg = context.Background()

// nilCtx is passed by a caller that has no context.
var nilCtx context.Context

var (
	errCause  = errors.New("the cause")
	errParker = errors.New("the parker failed")
)

const (
	negative = "waitgroup: negative count"
	tooLarge = "waitgroup: count too large"
)

// dead is a context that has ended.
var dead = doneCtx()

// doneCtx returns a context that has ended.
func doneCtx() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}

// A wait is one of the ways to wait for zero. The error is the context's.
type wait func(g *waitgroup.Group, ctx context.Context) error

var waits = map[string]wait{
	"Wait":     (*waitgroup.Group).Wait,
	"Idle":     waitIdle,
	"Register": waitRegistered,
	"Select":   waitSelecting,
}

// waitSelecting selects over g and a Group whose zero does not come.
func waitSelecting(g *waitgroup.Group, ctx context.Context) error {
	var other waitgroup.Group
	other.Add(1)
	chosen, err := await.Select(ctx, other.OnZero(), g.OnZero())
	if chosen == 0 {
		panic("no such zero")
	}
	return err
}

func waitIdle(g *waitgroup.Group, ctx context.Context) error {
	c := g.Idle()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
	}
	select { // zero wins, as in Wait
	case <-c:
		return nil
	default:
		return ctx.Err()
	}
}

func waitRegistered(g *waitgroup.Group, ctx context.Context) error {
	c := make(wake.Chan, 1)
	r := g.Register(c)
	select {
	case <-c:
		return nil
	case <-ctx.Done():
	}
	if r.Stop() {
		return ctx.Err()
	}
	<-c // Stop came too late, so this comes
	return nil
}

// overWaits runs f for every way to wait.
func overWaits(t *testing.T, f func(t *testing.T, wait wait)) {
	for name, w := range waits {
		t.Run(name, func(t *testing.T) { f(t, w) })
	}
}

// start waits in a goroutine of its own; the result arrives on the channel.
func (w wait) start(g *waitgroup.Group, ctx context.Context) <-chan error {
	c := make(chan error, 1)
	go func() { c <- w(g, ctx) }()
	return c
}

// startWait is start of Group.Wait.
func startWait(g *waitgroup.Group, ctx context.Context) <-chan error {
	return waits["Wait"].start(g, ctx)
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

// isClosed reports whether a channel of Idle is.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// requireZero requires that every way to look at g shows zero at once.
func requireZero(t testing.TB, g *waitgroup.Group) {
	t.Helper()
	woken := 0
	r := g.Register(wake.Func(func() { woken++ }))
	require.Equal(t, 1, woken, "Register wakes")
	require.False(t, r.Stop())
	require.Equal(t, 1, woken, "once")
	require.Zero(t, g.Count())
	require.True(t, g.TryWait())
	require.True(t, isClosed(g.Idle()), "Idle is closed")
	require.NoError(t, g.Wait(bg))
	require.NoError(t, g.Wait(doneCtx()))
}

// requireCount requires that every way to look at g shows n, which is not
// zero.
func requireCount(t testing.TB, n int, g *waitgroup.Group) {
	t.Helper()
	r := g.Register(wake.Func(func() { t.Error("woken") }))
	require.Equal(t, n, g.Count())
	require.False(t, g.TryWait())
	require.False(t, isClosed(g.Idle()), "Idle is open")
	require.ErrorIs(t, g.Wait(doneCtx()), context.Canceled)
	require.True(t, r.Stop())
}

// A parker counts calls of its methods. A waiter that has parked was in line before.
type parker struct {
	wake.Parker
	hook         func(ctx context.Context) error // instead of parking; nil: park
	parks, wakes atomic.Int64
}

func newParker() *parker { return &parker{Parker: wake.NewParker()} }

func (p *parker) Wake() {
	p.wakes.Add(1)
	p.Parker.Wake()
}

func (p *parker) Park(ctx context.Context) error {
	p.parks.Add(1)
	if p.hook != nil {
		return p.hook(ctx)
	}
	return p.Parker.Park(ctx)
}

// under returns a context that carries p.
func (p *parker) under(ctx context.Context) context.Context { return wake.WithParker(ctx, p) }

// recovered runs f and returns the text of its panic, or "" if it does not panic.
func recovered(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}
