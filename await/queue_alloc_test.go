package await_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/testkit"
)

// TestQueueAllocatesNothing: neither calls that do not sleep nor, if the waiter of an
// earlier wait can be used, those that do. AllocsPerRun uses one processor, so each Take
// finds an empty Queue.
func TestQueueAllocatesNothing(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector makes sync.Pool forget")
	}
	bg := context.Background()
	endable, cancel := context.WithCancel(bg)
	defer cancel()
	for name, ctx := range map[string]context.Context{"cannot end": bg, "can end": endable} {
		q := await.NewQueue[int](1)
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			q.TryPut(1)
			q.TryTake()
			_ = q.Put(ctx, 1)
			_, _ = q.Take(ctx)
		}), "a context that %s", name)
		there, back := await.NewQueue[int](1), await.NewQueue[int](1)
		echo := startQueueCall(ctx, nil, func(ctx context.Context) (int, error) {
			for v, err := range there.All(ctx) {
				if err != nil {
					return 0, err
				}
				_ = back.Put(ctx, v)
			}
			return 0, nil
		})
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			_ = there.Put(ctx, 1)
			_, _ = back.Take(ctx)
		}), "a context that %s", name)
		require.NoError(t, there.Close())
		<-echo.ended
	}
}
