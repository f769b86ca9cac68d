package await_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// TestAfterBeginsWithEachSelect that uses it, not when it was made.
func TestAfterBeginsWithEachSelect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := await.After(time.Hour)
		for range 3 {
			time.Sleep(time.Minute)
			start := time.Now()
			i, err := await.Select(t.Context(), await.After(2*time.Hour), c)
			require.NoError(t, err)
			require.Equal(t, 1, i)
			require.Equal(t, time.Hour, time.Since(start))
		}
	})
}

// TestAfterNothingTakesItsTurn: a case before it that is possible is chosen, and one after
// it is not.
func TestAfterNothingTakesItsTurn(t *testing.T) {
	for _, d := range []time.Duration{0, -time.Hour} {
		var n notify.Notify
		n.NotifyOne()
		i, err := await.Select(t.Context(), n.OnNotify(), await.After(d))
		require.NoError(t, err)
		require.Zero(t, i)
		n.NotifyOne()
		i, err = await.Select(t.Context(), await.After(d), n.OnNotify())
		require.NoError(t, err)
		require.Zero(t, i)
		require.True(t, n.TryWait())
	}
}

// TestAfterUnderADeadContext: what consumes nothing and is possible at once is chosen.
func TestAfterUnderADeadContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var n notify.Notify
	n.NotifyOne()
	i, err := await.Select(ctx, n.OnNotify(), await.After(0))
	require.NoError(t, err)
	require.Equal(t, 1, i)
	i, err = await.Select(ctx, await.After(time.Nanosecond), n.OnNotify())
	require.Equal(t, -1, i)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, n.TryWait())
}

// TestAfterLeavesNoTimer: when another case is chosen, or the context ends, the timer is
// stopped.
func TestAfterLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		p := &countingParker{Parker: wake.NewParker()}
		ctx := wake.WithParker(t.Context(), p)
		time.AfterFunc(time.Minute, n.NotifyOne)
		i, err := await.Select(ctx, await.After(time.Hour), n.OnNotify())
		require.NoError(t, err)
		require.Equal(t, 1, i)
		short, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_, err = await.Select(short, await.After(time.Hour))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		wakes := p.wakes
		time.Sleep(2 * time.Hour)
		require.Equal(t, wakes, p.wakes)
	})
}

type countingParker struct {
	wake.Parker
	wakes int
}

func (p *countingParker) Wake() { p.wakes++; p.Parker.Wake() }

// TestStressAfterThatIsTooLate: a timer that fires in the instant in which another case
// wins touches no later Select, also if that uses the same cases.
func TestStressAfterThatIsTooLate(t *testing.T) {
	for seed := range uint64(3) {
		stop := schedpoint.Shake(seed, false)
		testkit.Together(4, func(int) {
			var n notify.Notify
			const d = 20 * time.Microsecond
			cases := []wake.Case{await.After(d), n.OnNotify()}
			for range testkit.Scale(1000, 200) {
				time.AfterFunc(d, n.NotifyOne)
				start := time.Now()
				i, err := await.Select(t.Context(), cases...)
				if err != nil || i == 0 && time.Since(start) < d {
					t.Errorf("case %d, %v after %v", i, err, time.Since(start))
				}
				if i == 0 { // the wake comes, or is there
					if err := n.Wait(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if n.Waiters() != 0 || n.TryWait() {
					t.Error("a wake is left")
				}
			}
		})
		stop()
	}
}
