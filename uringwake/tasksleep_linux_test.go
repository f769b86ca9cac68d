package uringwake_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// A task sleeps on its loop's timer, whatever parker the context carries that ends its
// sleep, and does not block the loop.
func TestTaskSleepsUnderAnyContext(t *testing.T) {
	l := newLoop(t, nil)
	contexts := make(chan context.Context, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { contexts <- ctx }))
	another := <-contexts
	for name, under := range map[string]func(own context.Context) context.Context{
		"own":            func(own context.Context) context.Context { return own },
		"derived":        func(own context.Context) context.Context { return context.WithValue(own, key{}, 1) },
		"hidden":         func(own context.Context) context.Context { return wake.WithParker(own, nil) },
		"another task's": func(context.Context) context.Context { return another },
		"a goroutine's":  func(context.Context) context.Context { return context.Background() },
		"other parker": func(own context.Context) context.Context {
			return wake.WithParker(own, wake.NewParker())
		},
	} {
		t.Run(name, func(t *testing.T) {
			cancels, errs := make(chan context.CancelCauseFunc, 1), make(chan error, 1)
			require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
				sleeper := wake.ParkerFrom(ctx).(wake.Sleeper)
				ctx, cancel := context.WithCancelCause(under(ctx))
				assert.NoError(t, sleeper.Sleep(ctx, time.Millisecond))
				assert.NoError(t, sleeper.Sleep(ctx, 0))
				assert.NoError(t, sleeper.Sleep(ctx, -1<<63))
				cancels <- cancel
				errs <- sleeper.Sleep(ctx, 1<<63-1)
				errs <- sleeper.Sleep(ctx, -1)
			}))
			cancel := <-cancels
			inFlight(t, l, 1)
			cancel(errCause)
			for range 2 {
				err := <-errs
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)
			}
		})
	}
}

// Only the task itself may sleep: elsewhere its Sleep panics, as an operation does.
func TestSleepOfATaskElsewherePanics(t *testing.T) {
	l := newLoop(t, nil)
	hold, contexts := make(chan struct{}), make(chan context.Context, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		contexts <- ctx
		uringwake.Blocking(ctx, func() { <-hold })
	}))
	ctx := <-contexts
	const outside = "uringwake: Sleep of a task outside of it: give a goroutine wake.WithParker(ctx, nil)"
	sleep := func() { uringwake.TaskFrom(ctx).Sleep(context.Background(), time.Millisecond) }
	run(t, l, func(context.Context) { require.PanicsWithValue(t, outside, sleep) })
	uringwake.OnLoop(t, l, func() {}) // it has let go of the task
	require.PanicsWithValue(t, outside, sleep)
	close(hold)
	inTask(t, l, 0)
	require.PanicsWithValue(t, outside, sleep)
	run(t, l, func(ctx context.Context) {
		require.PanicsWithValue(t, "uringwake: nil context", func() { uringwake.TaskFrom(ctx).Sleep(noContext, 0) })
	})
}
