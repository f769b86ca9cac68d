package await_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// TestStressOnce: callers that come, leave and misbehave, and functions that succeed at
// last. Every caller that cannot leave gets a result, and all values are that of one run.
func TestStressOnce(t *testing.T) {
	for round := range uint64(testkit.Scale(3000, 300)) {
		var o await.Once[int64]
		var runs, kept atomic.Int64
		testkit.Together(8, func(i int) {
			r := rand.New(rand.NewPCG(round, uint64(i)))
			for range 6 {
				ctx, end := drawOnceContext(r)
				v, err, returned := drawDo(&o, ctx, drawOnceFunction(r, &runs))
				end()
				if returned && err == nil && !kept.CompareAndSwap(0, v) {
					require.Equal(t, kept.Load(), v)
				}
			}
		})
		v, err := o.Do(context.Background(), func(context.Context) (int64, error) { return -1, nil })
		require.NoError(t, err)
		require.True(t, kept.Load() == v || kept.Load() == 0)
	}
}

// drawOnceContext returns a context that may end soon or never, perhaps with a parker that
// misbehaves.
func drawOnceContext(r *rand.Rand) (context.Context, context.CancelFunc) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	switch r.IntN(4) {
	case 0:
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(50))*time.Microsecond)
	case 1:
		ctx, cancel = context.WithCancel(ctx)
		go func() { runtime.Gosched(); cancel() }()
	}
	switch r.IntN(6) {
	case 0:
		ctx = wake.WithParker(ctx, misbehave.DrawParker(r))
	case 1:
		ctx = wake.WithParker(ctx, misbehave.NewParker())
	}
	return ctx, cancel
}

// drawOnceFunction returns a function that returns the number of its run, fails, panics,
// exits or waits for the end of its context.
func drawOnceFunction(r *rand.Rand, runs *atomic.Int64) func(context.Context) (int64, error) {
	how := r.IntN(8)
	return func(ctx context.Context) (int64, error) {
		n := runs.Add(1)
		runtime.Gosched()
		switch {
		case how < 2 && n < 20:
			return 0, errFunction
		case how == 2 && n < 20:
			panic(misbehave.ErrPanic)
		case how == 3 && n < 20:
			runtime.Goexit()
		case how == 4 && n < 20:
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
			return -n, nil // dropped if no caller waits
		}
		return n, nil
	}
}

// drawDo calls Do in a goroutine of its own, which the call may end.
func drawDo(o *await.Once[int64], ctx context.Context, f func(context.Context) (int64, error)) (v int64, err error, returned bool) {
	returned, err = misbehave.Outcome(func() (err error) {
		v, err = o.Do(ctx, f)
		return err
	})
	return v, err, returned
}

// TestStressOnceLastCallerLeaves: one caller leaves while another one comes, which is not
// harmed. So the function that it waits for is not canceled.
func TestStressOnceLastCallerLeaves(t *testing.T) {
	for range testkit.Scale(20_000, 2000) {
		var o await.Once[int]
		short, cancel := context.WithCancel(context.Background())
		long, stop := context.WithCancel(context.Background())
		f := func(ctx context.Context) (int, error) {
			runtime.Gosched()
			return 1, context.Cause(ctx)
		}
		testkit.Together(3, func(i int) {
			switch i {
			case 0:
				cancel()
			case 1:
				if _, err := o.Do(short, f); err != nil {
					require.ErrorIs(t, err, context.Canceled)
					require.False(t, errors.Is(err, await.ErrAbandoned), "the caller has left: that is no result")
				}
			case 2:
				v, err := o.Do(long, f)
				require.NoError(t, err)
				require.Equal(t, 1, v)
			}
		})
		stop()
	}
}
