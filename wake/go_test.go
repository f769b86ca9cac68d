package wake_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

type goKey struct{}

// spawner is a parker that records what it is to start.
type spawner struct {
	wake.Parker
	ctx context.Context
	f   func(ctx context.Context)
	err error
}

func (s *spawner) Spawn(ctx context.Context, f func(ctx context.Context)) error {
	s.ctx, s.f = ctx, f
	return s.err
}

// TestGoDoesNotWait, but starts a goroutine that runs next to its caller.
func TestGoDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := 1 // which the race detector watches
		hold, done := make(chan struct{}), make(chan struct{})
		require.NoError(t, wake.Go(context.Background(), func(context.Context) {
			defer close(done)
			written++
			<-hold
		}))
		synctest.Wait()
		close(hold)
		<-done
		require.Equal(t, 2, written)
	})
}

// TestGoHidesAParkerThatStartsNothing: it belongs to the caller, and the goroutine that
// would sleep by it steals the caller's permits.
func TestGoHidesAParkerThatStartsNothing(t *testing.T) {
	values := context.WithValue(context.Background(), goKey{}, 1)
	for name, ctx := range map[string]context.Context{
		"none":       values,
		"no spawner": wake.WithParker(values, &myParker{wake.NewParker()}),
		"hidden":     wake.WithParker(wake.WithParker(values, &spawner{}), nil),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(ctx)
				got := make(chan context.Context, 1)
				require.NoError(t, wake.Go(ctx, func(ctx context.Context) { got <- ctx }))
				child := <-got
				_, carried := wake.FromContext(child)
				require.False(t, carried)
				require.Equal(t, 1, child.Value(goKey{}))
				require.NoError(t, child.Err())
				cancel(errCause)
				require.Equal(t, errCause, context.Cause(child))
			})
		})
	}
}

// TestGoUnderAnEndedContext runs its function, which finds out by itself.
func TestGoUnderAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errCause)
	got := make(chan error, 1)
	require.NoError(t, wake.Go(ctx, func(ctx context.Context) { got <- context.Cause(ctx) }))
	require.Equal(t, errCause, <-got)
}

// TestGoAsksTheSpawner, and starts nothing itself.
func TestGoAsksTheSpawner(t *testing.T) {
	for _, err := range []error{nil, errCause} {
		s := &spawner{Parker: wake.NewParker(), err: err}
		ctx := context.WithValue(wake.WithParker(context.Background(), s), goKey{}, 1)
		ran := 0
		require.Equal(t, err, wake.Go(ctx, func(context.Context) { ran++ }))
		require.Equal(t, ctx, s.ctx, "with the parker, and all that was added to it")
		require.Zero(t, ran)
		s.f(ctx)
		require.Equal(t, 1, ran)
	}
}

func TestGoOfNothingPanics(t *testing.T) {
	s := &spawner{Parker: wake.NewParker()}
	for _, ctx := range []context.Context{context.Background(), wake.WithParker(context.Background(), s)} {
		require.PanicsWithValue(t, "wake: Go of a nil function", func() { wake.Go(ctx, nil) })
		require.PanicsWithValue(t, "wake: nil context", func() { wake.Go(nilCtx, func(context.Context) {}) })
		require.PanicsWithValue(t, "wake: nil context", func() { wake.Go(nilCtx, nil) })
	}
	require.Nil(t, s.ctx)
}
