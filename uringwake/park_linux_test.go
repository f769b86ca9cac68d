package uringwake_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
)

// A wait that is no operation ends with its context: the task's own, its
// parent's, or one that was made of it.
func TestContextEndsAWait(t *testing.T) {
	l := newLoop(t, nil)
	var n notify.Notify
	cause := errors.New("cause")
	wait := func(ctx context.Context) {
		ctx, cancel := context.WithCancelCause(ctx)
		errs := make(chan error, 1)
		require.NoError(t, l.Go(ctx, func(ctx context.Context) { errs <- n.Wait(ctx) }))
		for n.Waiters() == 0 {
			uringwake.OnLoop(t, l, func() {})
		}
		cancel(cause)
		require.ErrorIs(t, <-errs, cause)
	}
	below := func(ctx context.Context) {
		errs, cancels := make(chan error, 1), make(chan func(error), 1)
		require.NoError(t, l.Go(ctx, func(ctx context.Context) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancels <- cancel
			errs <- n.Wait(ctx)
		}))
		cancel := <-cancels
		for n.Waiters() == 0 {
			uringwake.OnLoop(t, l, func() {})
		}
		cancel(cause)
		require.ErrorIs(t, <-errs, cause)
	}
	for range 100 {
		wait(context.Background())
		below(context.Background())
	}
	require.Zero(t, n.Waiters())
}

// Close waits for a task that goes on waiting for something under a context
// without an end, and lets it.
func TestCloseWaitsForATaskThatGoesOn(t *testing.T) {
	l := bareLoop(t, nil)
	var n, ended notify.Notify
	errs := make(chan error, 2)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		errs <- ended.Wait(ctx)
		errs <- n.Wait(context.WithoutCancel(ctx))
	}))
	closed := make(chan error, 1)
	go func() { closed <- l.Close(context.Background()) }()
	require.ErrorIs(t, <-errs, uringwake.ErrClosed)
	for n.Waiters() == 0 {
		uringwake.AwaitSleep(l)
	}
	uringwake.AwaitSleep(l)
	select {
	case err := <-closed:
		require.Fail(t, "closed under a task", err)
	default:
	}
	n.NotifyOne()
	require.NoError(t, <-errs)
	require.NoError(t, <-closed)
}
