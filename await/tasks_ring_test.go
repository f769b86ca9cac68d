package await_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// inTask runs f in a task of a loop of its own, and returns when f has. A context that
// can end is different for the loop from one that cannot.
func inTask(t *testing.T, f func(t *testing.T, l *uringwake.Loop, ctx context.Context)) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	ending, _ := cancelableCtx(t)
	for name, parent := range map[string]context.Context{"Background": context.Background(), "a context that can end": ending} {
		t.Run(name, func(t *testing.T) {
			l, err := uringwake.NewLoop(nil)
			require.NoError(t, err)
			defer func() { require.NoError(t, l.Close(context.Background())) }()
			over := make(chan struct{})
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				defer close(over)
				f(t, l, ctx)
			}))
			<-over
		})
	}
}

// TestTasksOfATaskAreTasks of its loop, from the queue too. The loop has one thread, so
// none of them may block it, nor may Wait.
func TestTasksOfATaskAreTasks(t *testing.T) {
	inTask(t, func(t *testing.T, l *uringwake.Loop, ctx context.Context) {
		for _, limit := range []int{-1, 1, 3} {
			w, ctx := await.NewTasks(ctx)
			w.SetLimit(limit)
			var running, peak, total atomic.Int32
			seen := make(map[*uringwake.Task]bool) // one thread needs no lock
			for range 20 {
				w.Go(func(ctx context.Context) error {
					task := uringwake.TaskFrom(ctx)
					if task == nil || task.Loop() != l || seen[task] {
						t.Error("not a task of its own on the loop")
						return nil
					}
					seen[task] = true
					peak.Store(max(peak.Load(), running.Add(1)))
					for range 3 {
						task.Yield()
					}
					running.Add(-1)
					total.Add(1)
					return ctx.Err()
				})
			}
			if err := w.Wait(ctx); err != nil || total.Load() != 20 || limit > 0 && peak.Load() != int32(limit) {
				t.Error(err, total.Load(), peak.Load())
			}
		}
	})
}

// TestTasksOfATaskFail: the first error ends the others, a panic comes out of Wait in the
// task that waits.
func TestTasksOfATaskFail(t *testing.T) {
	inTask(t, func(t *testing.T, _ *uringwake.Loop, ctx context.Context) {
		for _, panics := range []bool{false, true} {
			w, ctx := await.NewTasks(ctx)
			w.Go(func(ctx context.Context) error {
				<-cancelation(ctx)
				return nil
			})
			w.Go(func(context.Context) error {
				if panics {
					panic(errReason)
				}
				return errChild
			})
			func() {
				defer func() {
					p, _ := recover().(*await.PanicError)
					if panics != (p != nil) {
						t.Error("recovered", p)
					}
				}()
				if err := w.Wait(ctx); err != errChild {
					t.Error(err)
				}
			}()
		}
	})
}

// cancelation sleeps in the task of ctx until ctx ends, and returns a closed channel.
func cancelation(ctx context.Context) <-chan struct{} {
	for wake.ParkerFrom(ctx).Park(ctx) == nil {
	}
	return ctx.Done()
}

// TestTasksOfALoopThatCloses: what cannot be started any more has failed.
func TestTasksOfALoopThatCloses(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	l, err := uringwake.NewLoop(nil)
	require.NoError(t, err)
	made := make(chan *await.Tasks, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		w, ctx := await.NewTasks(ctx)
		w.SetLimit(1)
		w.Go(func(ctx context.Context) error { <-cancelation(ctx); return context.Cause(ctx) })
		w.Go(func(context.Context) error { return nil })
		made <- w
		<-cancelation(ctx)
	}))
	w := <-made
	require.NoError(t, l.Close(context.Background()))
	require.ErrorIs(t, w.Wait(context.Background()), uringwake.ErrClosed)
}

// TestOnceOfATask: the function has a goroutine, and the loop's other tasks go on.
func TestOnceOfATask(t *testing.T) {
	inTask(t, func(t *testing.T, _ *uringwake.Loop, ctx context.Context) {
		var o await.Once[int]
		gate := make(chan struct{})
		w, ctx := await.NewTasks(ctx)
		var came atomic.Int32
		for range 10 {
			w.Go(func(ctx context.Context) error {
				if came.Add(1) == 10 {
					close(gate) // the others are in line
				}
				v, err := o.Do(context.WithoutCancel(ctx), func(ctx context.Context) (int, error) {
					if uringwake.TaskFrom(ctx) != nil {
						t.Error("the function has the caller's task")
					}
					<-gate
					return 1, nil
				})
				if v != 1 {
					t.Error(v)
				}
				return err
			})
		}
		if err := w.Wait(ctx); err != nil {
			t.Error(err)
		}
	})
}
