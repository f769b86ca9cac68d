package await_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// TestHazardTasksSpawnerFails: the error comes out of Wait, for functions in the queue
// too, and nothing stays counted.
func TestHazardTasksSpawnerFails(t *testing.T) {
	for strike, check := range map[misbehave.Strike]func(t *testing.T, err error){
		misbehave.Fail:  func(t *testing.T, err error) { require.Equal(t, misbehave.ErrOwn, err) },
		misbehave.Exit:  func(t *testing.T, err error) { require.ErrorIs(t, err, await.ErrGoexit) },
		misbehave.Panic: func(t *testing.T, err error) { require.Equal(t, misbehave.ErrPanic, err.(tasksPanic).Value) },
	} {
		for _, queued := range []int{0, 1, 100} {
			t.Run(fmt.Sprint(strike, queued), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newTasksSpawner()
					s.strike = strike
					w, derived := await.NewTasks(wake.WithParker(context.Background(), s))
					w.SetLimit(0)
					for range queued {
						w.Go(func(context.Context) error { panic("run") })
					}
					returned, _ := misbehave.Outcome(func() error { w.SetLimit(2); return nil })
					require.Equal(t, strike != misbehave.Exit || queued == 0, returned)
					returned, _ = misbehave.Outcome(func() error {
						w.Go(func(context.Context) error { panic("run") })
						return nil
					})
					require.Equal(t, strike != misbehave.Exit, returned)
					require.Error(t, derived.Err())
					check(t, <-waitAsync(w, context.Background()))
				})
			})
		}
	}
}

// TestHazardTasksParkerMisbehaves: a Park of Wait that fails, panics or exits leaves the
// line; the others go on.
func TestHazardTasksParkerMisbehaves(t *testing.T) {
	for name, strike := range misbehave.Parks {
		if strike == misbehave.None {
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := await.NewTasks(context.Background())
				gate := make(chan struct{})
				w.Go(func(context.Context) error { <-gate; return errChild })
				stays := waitAsync(w, context.Background())
				p := misbehave.NewParker()
				p.Before = strike
				returned, err := misbehave.Outcome(func() error { return w.Wait(wake.WithParker(context.Background(), p)) })
				require.Equal(t, strike == misbehave.Fail, returned)
				if returned {
					require.Equal(t, misbehave.ErrOwn, err)
				}
				w.Go(succeeds)
				close(gate)
				require.Equal(t, errChild, <-stays)
				require.Zero(t, p.Wakes.Load())
			})
		})
	}
}

// TestHazardTasksParkerLeavesAlone: no waiter is left, so no Wait sees the end.
func TestHazardTasksParkerLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, derived := await.NewTasks(context.Background())
		gate := make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return nil })
		p := misbehave.NewParker()
		p.Before = misbehave.Panic
		returned, _ := misbehave.Outcome(func() error { return w.Wait(wake.WithParker(context.Background(), p)) })
		require.False(t, returned)
		close(gate)
		synctest.Wait()
		require.NoError(t, derived.Err())
		w.Go(succeeds)
		require.NoError(t, w.Wait(context.Background()))
	})
}

// TestHazardTasksWakerMisbehaves: it keeps no other Wait from being woken, and its panic
// does not end the program in the goroutine of a child.
func TestHazardTasksWakerMisbehaves(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		synctest.Test(t, func(t *testing.T) {
			w, _ := await.NewTasks(context.Background())
			gate := make(chan struct{})
			w.Go(func(context.Context) error { <-gate; return nil })
			p := misbehave.NewParker()
			p.OnWake = strike
			waits := []<-chan error{waitAsync(w, context.Background()), waitAsync(w, wake.WithParker(context.Background(), p)), waitAsync(w, context.Background())}
			close(gate)
			for _, c := range waits {
				require.NoError(t, <-c)
			}
		})
	}
}

// TestHazardTasksEndWins over the end of a context that comes with it.
func TestHazardTasksEndWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := await.NewTasks(context.Background())
		gate := make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return errChild })
		ctx, cancel := cancelableCtx(t)
		p := &misbehave.First{Parker: wake.NewParker(), Strike: misbehave.Fail}
		p.First = func() { // in line and not asleep
			close(gate)
			synctest.Wait()
			cancel(errReason)
		}
		require.Equal(t, errChild, w.Wait(wake.WithParker(ctx, p)))
	})
}
