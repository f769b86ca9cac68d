package await_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/uringwake"
)

// TestSleepLetsOtherTasksRun: two tasks of one loop wait for each other and sleep.
func TestSleepLetsOtherTasksRun(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	l, err := uringwake.NewLoop(nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close(context.Background())) }()

	var turn await.Value[int]
	ended := make(chan error, 2)
	for who := range 2 {
		require.NoError(t, l.Go(t.Context(), func(ctx context.Context) {
			for i := who; i < 20; i += 2 {
				if _, _, err := turn.WaitNewer(ctx, uint64(i)); err != nil {
					ended <- err
					return
				}
				start := time.Now()
				if err := await.Sleep(ctx, time.Millisecond); err != nil || time.Since(start) < time.Millisecond {
					t.Errorf("slept %v, %v", time.Since(start), err)
				}
				turn.Store(i)
			}
			ended <- nil
		}))
	}
	turn.Store(-1)
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)

	require.NoError(t, l.Go(t.Context(), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		ended <- await.Sleep(ctx, time.Hour)
	}))
	require.ErrorIs(t, <-ended, context.DeadlineExceeded)
}
