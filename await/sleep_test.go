package await_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

var errParker = errors.New("the parker's own")

// A bed is a parker with timers of its own.
type bed struct {
	wake.Parker
	slept time.Duration
	err   error
}

func (b *bed) Sleep(_ context.Context, d time.Duration) error {
	b.slept += d
	return b.err
}

// sleepers are the ways to sleep. In a bubble the context ends with its end.
var sleepers = map[string]func(ctx context.Context) context.Context{
	"goroutine": func(ctx context.Context) context.Context { return ctx },
	"parker":    func(ctx context.Context) context.Context { return wake.WithParker(ctx, wake.NewParker()) },
	"forever":   context.WithoutCancel,
}

func TestSleepLastsAsLong(t *testing.T) {
	for name, under := range sleepers {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			require.NoError(t, await.Sleep(under(t.Context()), time.Hour), name)
			require.Equal(t, time.Hour, time.Since(start), name)
		})
	}
}

// TestSleepEndsWithItsContext, and its timer with it.
func TestSleepEndsWithItsContext(t *testing.T) {
	for _, name := range []string{"goroutine", "parker"} {
		synctest.Test(t, func(t *testing.T) {
			why := errors.New("why")
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, why)
			defer cancel()
			p := &countingParker{Parker: wake.NewParker()}
			if name == "parker" {
				ctx = wake.WithParker(ctx, p)
			}
			start := time.Now()
			err := await.Sleep(ctx, time.Hour)
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			require.ErrorIs(t, err, why, name)
			require.Equal(t, time.Minute, time.Since(start), name)
			time.Sleep(2 * time.Hour)
			require.Zero(t, p.wakes)
		})
	}
}

// TestSleepThatIsOverWins over a context that ends in the same instant.
func TestSleepThatIsOverWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			require.NoError(t, await.Sleep(ctx, time.Hour))
			cancel()
		}
	})
}

// TestSleepOfNothing returns at once, but not under a context that has ended.
func TestSleepOfNothing(t *testing.T) {
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	for name, under := range sleepers {
		for _, d := range []time.Duration{0, -time.Hour} {
			require.NoError(t, await.Sleep(under(t.Context()), d), name)
			if name != "forever" {
				require.ErrorIs(t, await.Sleep(under(dead), d), context.Canceled, name)
			}
		}
	}
	require.ErrorIs(t, await.Sleep(dead, time.Hour), context.Canceled)
}

// TestSleepInATask uses the timers of its parker.
func TestSleepInATask(t *testing.T) {
	b := &bed{Parker: wake.NewParker()}
	ctx, cancel := context.WithCancel(wake.WithParker(t.Context(), b))
	require.NoError(t, await.Sleep(ctx, time.Hour))
	require.Equal(t, time.Hour, b.slept)
	require.NoError(t, await.Sleep(ctx, 0))
	b.err = errParker
	require.Equal(t, errParker, await.Sleep(ctx, time.Hour))
	require.Equal(t, 2*time.Hour, b.slept)
	cancel()
	require.ErrorIs(t, await.Sleep(ctx, time.Hour), context.Canceled)
	require.Equal(t, 2*time.Hour, b.slept)
}

// TestSleepOfAParkerThatWakesForNothing sleeps on, and one that fails ends it.
func TestSleepOfAParkerThatWakesForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := wake.NewParker()
		time.AfterFunc(time.Minute, p.Wake)
		start := time.Now()
		require.NoError(t, await.Sleep(wake.WithParker(t.Context(), p), time.Hour))
		require.Equal(t, time.Hour, time.Since(start))
		for park, strike := range misbehave.Parks {
			if strike == misbehave.None {
				continue
			}
			p := &misbehave.First{Parker: p, First: func() {}, Strike: strike}
			returned, err := misbehave.Outcome(func() error { return await.Sleep(wake.WithParker(t.Context(), p), time.Hour) })
			require.Equal(t, strike == misbehave.Fail, returned, park)
			require.Equal(t, returned, errors.Is(err, misbehave.ErrOwn))
			time.Sleep(2 * time.Hour)
			require.Zero(t, p.Wakes, park)
		}
	})
}
