package uringwake_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// answering starts a task that answers each call of the result, and sleeps in between
// with its loop.
func answering(t *testing.T) (l *uringwake.Loop, call func()) {
	t.Helper()
	l = newLoop(t, &uringwake.LoopOptions{SpinFor: -1})
	task, answers := make(chan *uringwake.Task, 1), make(wake.Chan, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		task <- uringwake.TaskFrom(ctx)
		for uringwake.TaskFrom(ctx).Park(ctx) == nil { // until the loop closes
			answers.Wake()
		}
	}))
	asked := <-task
	return l, func() { asked.Wake(); <-answers }
}

func TestALoopThatSleepsAllocatesNothing(t *testing.T) {
	_, call := answering(t)
	require.Zero(t, testing.AllocsPerRun(200, call))
}

func TestStatsNeverGoBackward(t *testing.T) {
	l, call := answering(t)
	over := make(chan struct{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for last := l.Stats(); ; {
				s := l.Stats()
				if s.Turns < last.Turns || s.Sleeps < last.Sleeps {
					t.Errorf("%+v after %+v", s, last)
					return
				}
				last = s
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	for range 500 {
		call()
	}
	close(over)
	all.Wait()
	require.GreaterOrEqual(t, l.Stats().Sleeps, uint64(250), "the last may be going on")
}
