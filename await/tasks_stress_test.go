package await_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/testkit"
)

// TestStressTasks: children, Waits that leave and changes of the limit at the same time.
// No Wait sees the end too early, and none sleeps on.
func TestStressTasks(t *testing.T) {
	for round := range uint64(testkit.Scale(500, 200)) {
		w, _ := await.NewTasks(context.Background())
		w.SetLimit(int(round%5) - 1)
		var ended atomic.Int32
		const n = 20
		gate := make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return nil }) // else they might end before all have come
		testkit.Together(4, func(i int) {
			switch i {
			case 0, 1:
				for range n / 2 {
					w.Go(func(context.Context) error {
						runtime.Gosched()
						ended.Add(1)
						return errChild
					})
				}
			case 2:
				for range 10 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(round%20)*time.Microsecond)
					_ = w.Wait(ctx)
					cancel()
				}
			case 3:
				w.SetLimit(2 + int(round%3))
			}
		})
		close(gate)
		w.SetLimit(1 + int(round%4))
		require.ErrorIs(t, w.Wait(context.Background()), errChild)
		require.EqualValues(t, n, ended.Load())
	}
}

// TestStressTasksLastChildEnds while a Wait gets in line, and while another one leaves.
func TestStressTasksLastChildEnds(t *testing.T) {
	for range testkit.Scale(20_000, 2000) {
		w, derived := await.NewTasks(context.Background())
		short, cancel := context.WithCancel(context.Background())
		w.Go(func(context.Context) error { runtime.Gosched(); return nil })
		testkit.Together(3, func(i int) {
			switch i {
			case 0:
				cancel()
			case 1:
				if err := w.Wait(short); err == nil {
					require.Error(t, derived.Err())
				}
			case 2:
				require.NoError(t, w.Wait(context.Background()))
				require.Error(t, derived.Err())
			}
		})
	}
}
