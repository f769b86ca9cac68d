package await_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

var errChild = errors.New("a child failed")

// waitAsync waits for Tasks in a goroutine of its own, and returns when that is asleep or
// has returned. A panic of Wait is the error of the channel.
func waitAsync(w *await.Tasks, ctx context.Context) <-chan error {
	c := make(chan error, 1)
	go func() {
		defer func() {
			if p, ok := recover().(*await.PanicError); ok {
				c <- tasksPanic{p}
			}
		}()
		c <- w.Wait(ctx)
	}()
	synctest.Wait()
	return c
}

// A tasksPanic is what a Wait panicked with.
type tasksPanic struct{ *await.PanicError }

// requireWaiting requires that Waits have not returned.
func requireWaiting(t testing.TB, cs ...<-chan error) {
	t.Helper()
	synctest.Wait()
	for _, c := range cs {
		select {
		case err := <-c:
			require.Failf(t, "returned early", "%v", err)
		default:
		}
	}
}

// A tasksSpawner is the parker of code that is not a goroutine's, and starts such code. It
// notes what it starts.
type tasksSpawner struct {
	wake.Parker
	spawned *atomic.Int32
	strike  misbehave.Strike // of Spawn
}

func newTasksSpawner() tasksSpawner {
	return tasksSpawner{Parker: wake.NewParker(), spawned: new(atomic.Int32)}
}

func (s tasksSpawner) Spawn(ctx context.Context, f func(ctx context.Context)) error {
	if err := s.strike.Do(); err != nil {
		return err
	}
	s.spawned.Add(1)
	child := tasksSpawner{Parker: wake.NewParker(), spawned: s.spawned}
	go f(wake.WithParker(ctx, child))
	return nil
}

// inTasksBubbles runs f in a bubble, with the context of a goroutine and of other code.
func inTasksBubbles(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	t.Run("goroutines", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, context.Background()) })
	})
	t.Run("spawned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, wake.WithParker(context.Background(), newTasksSpawner())) })
	})
	t.Run("a parker that spawns nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, wake.WithParker(context.Background(), wake.NewParker())) })
	})
}

func succeeds(context.Context) error { return nil }

// untilEnded is a child that ends with its context, without an error.
func untilEnded(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// TestTasksWait sees the end of all children, and what they wrote.
func TestTasksWait(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, derived := await.NewTasks(ctx)
		var written [10]int
		for i := range written {
			w.Go(func(ctx context.Context) error {
				time.Sleep(time.Duration(i) * time.Second)
				written[i] = i
				return ctx.Err()
			})
		}
		require.NoError(t, w.Wait(ctx))
		require.Equal(t, [10]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, written)
		require.ErrorIs(t, derived.Err(), context.Canceled, "a Wait has seen the end of all")
		require.NoError(t, ctx.Err())
	})
}

// TestTasksWithoutChildren need no wait, whatever the context is.
func TestTasksWithoutChildren(t *testing.T) {
	w, derived := await.NewTasks(context.Background())
	require.NoError(t, w.Wait(endedCtx()))
	require.Error(t, derived.Err())
}

// TestTasksEndWithoutAWait: the context goes on, and more children may come.
func TestTasksEndWithoutAWait(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, derived := await.NewTasks(ctx)
		for range 2 {
			w.Go(func(context.Context) error { return nil })
			synctest.Wait()
			require.NoError(t, derived.Err())
		}
		require.NoError(t, w.Wait(ctx))
	})
}

// TestTasksFirstError comes out of Wait, and is the cause with which the others end. Wait
// returns when they have ended.
func TestTasksFirstError(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, derived := await.NewTasks(ctx)
		gate := make(chan struct{})
		w.Go(func(ctx context.Context) error {
			<-ctx.Done()
			<-gate
			return context.Cause(ctx)
		})
		wait := waitAsync(w, ctx)
		w.Go(func(context.Context) error { return errChild })
		requireWaiting(t, wait)
		require.Equal(t, errChild, context.Cause(derived))
		w.Go(func(context.Context) error { return errReason })
		requireWaiting(t, wait)
		close(gate)
		require.Equal(t, errChild, <-wait)
		require.Equal(t, errChild, w.Wait(ctx), "again")
	})
}

// TestHazardTasksFunctionPanics: the panic comes out of every Wait, once all have ended,
// also if another child failed before.
func TestHazardTasksFunctionPanics(t *testing.T) {
	for _, fails := range []bool{false, true} {
		inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
			w, derived := await.NewTasks(ctx)
			gate := make(chan struct{})
			w.Go(func(context.Context) error { <-gate; return nil })
			if fails {
				w.Go(func(context.Context) error { return errChild })
				synctest.Wait()
			}
			w.Go(func(context.Context) error { panicInTasksChild(); return nil })
			waits := []<-chan error{waitAsync(w, ctx), waitAsync(w, wake.WithParker(ctx, nil))}
			requireWaiting(t, waits...)
			require.Error(t, derived.Err())
			close(gate)
			waits = append(waits, waitAsync(w, wake.WithParker(ctx, nil)))
			for _, c := range waits {
				p, ok := (<-c).(tasksPanic)
				require.True(t, ok)
				require.Equal(t, errReason, p.Value)
				require.Contains(t, string(p.Stack), "panicInTasksChild")
				require.ErrorIs(t, p, errReason)
			}
		})
	}
}

func panicInTasksChild() { panic(errReason) }

// TestTasksReturnedPanicError: an error is no panic, whatever its type is.
func TestTasksReturnedPanicError(t *testing.T) {
	w, _ := await.NewTasks(context.Background())
	err := &await.PanicError{Value: 1}
	w.Go(func(context.Context) error { return err })
	require.Equal(t, err, w.Wait(context.Background()))
}

// TestHazardTasksFunctionExits: it has failed, and is counted as ended.
func TestHazardTasksFunctionExits(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, derived := await.NewTasks(ctx)
		w.Go(untilEnded)
		w.Go(func(context.Context) error { runtime.Goexit(); return nil })
		require.ErrorIs(t, w.Wait(ctx), await.ErrGoexit)
		require.ErrorIs(t, context.Cause(derived), await.ErrGoexit)
	})
}

// TestHazardTasksContextEndsFirst: Wait leaves, the children go on, and a later Wait sees
// their end.
func TestHazardTasksContextEndsFirst(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, derived := await.NewTasks(ctx)
		gate := make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return errChild })
		short, cancel := context.WithCancelCause(ctx)
		wait := waitAsync(w, short)
		cancel(errReason)
		err := <-wait
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errReason)
		require.ErrorIs(t, w.Wait(short), errReason)
		require.NoError(t, derived.Err())
		w.Go(succeeds) // no Wait has seen the end
		close(gate)
		synctest.Wait()
		require.Equal(t, errChild, w.Wait(short), "all have ended: the context is not looked at")
	})
}

// TestTasksParentEnds: the children end with it.
func TestTasksParentEnds(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		parent, cancel := context.WithCancelCause(ctx)
		w, derived := await.NewTasks(parent)
		w.Go(func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
		cancel(errReason)
		require.Equal(t, errReason, w.Wait(ctx))
		require.Equal(t, errReason, context.Cause(derived))
	})
}

// TestHazardTasksWaitOfTheDerivedContext: it would end with the first error, before the
// other children.
func TestHazardTasksWaitOfTheDerivedContext(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		parent, cancel := context.WithCancelCause(ctx)
		w, ctx := await.NewTasks(parent)
		gate := make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return nil })
		wait := waitAsync(w, ctx)
		w.Go(func(context.Context) error { return errChild })
		requireWaiting(t, wait)
		close(gate)
		require.Equal(t, errChild, <-wait)
		require.Error(t, ctx.Err())

		w, ctx = await.NewTasks(parent)
		gate = make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return nil })
		wait = waitAsync(w, ctx)
		cancel(errReason)
		require.ErrorIs(t, <-wait, errReason)
		close(gate)
		synctest.Wait()
		require.NoError(t, w.Wait(ctx))
	})
}

// TestHazardTasksGoAfterWait: it would be a child that no Wait waits for.
func TestHazardTasksGoAfterWait(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		const late = "await: Go of Tasks whose Wait has returned"
		w, _ := await.NewTasks(ctx)
		require.NoError(t, w.Wait(ctx))
		require.PanicsWithValue(t, late, func() { w.Go(succeeds) })

		w, _ = await.NewTasks(ctx)
		gate := make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return nil })
		wait := waitAsync(w, ctx)
		w.Go(succeeds) // during a Wait
		close(gate)
		require.NoError(t, <-wait)
		require.PanicsWithValue(t, late, func() { w.Go(succeeds) })
		require.NoError(t, w.Wait(ctx), "nothing of that Go is left")
	})
}

// TestHazardTasksWokenWaitIsSlow: the Wait has seen the end of all when it is woken, not
// only when it returns.
func TestHazardTasksWokenWaitIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, derived := await.NewTasks(context.Background())
		gate := make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return nil })
		p := misbehave.NewParker()
		p.Back = func() {
			require.Error(t, derived.Err(), "the context ends before the wakes")
			require.Panics(t, func() { w.Go(succeeds) })
		}
		wait := waitAsync(w, wake.WithParker(context.Background(), p))
		close(gate)
		require.NoError(t, <-wait)
		require.EqualValues(t, 1, p.Wakes.Load())
	})
}

// TestTasksChildrenStartChildren, also the last one that runs.
func TestTasksChildrenStartChildren(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		for _, limit := range []int{-1, 1, 2} {
			w, _ := await.NewTasks(ctx)
			w.SetLimit(limit)
			var ended atomic.Int32
			var grow func(depth int) func(context.Context) error
			grow = func(depth int) func(context.Context) error {
				return func(context.Context) error {
					for range 2 * min(depth, 1) {
						w.Go(grow(depth - 1))
					}
					ended.Add(1)
					return nil
				}
			}
			w.Go(grow(4))
			require.NoError(t, w.Wait(ctx))
			require.EqualValues(t, 31, ended.Load())
		}
	})
}

// TestTasksQueuedFunctionsRunAfterTheEnd of the context: each may have something to
// release.
func TestTasksQueuedFunctionsRunAfterTheEnd(t *testing.T) {
	inTasksBubbles(t, func(t *testing.T, ctx context.Context) {
		w, _ := await.NewTasks(ctx)
		w.SetLimit(1)
		w.Go(func(context.Context) error { time.Sleep(time.Second); return errChild })
		var released int
		for range 5 {
			w.Go(func(ctx context.Context) error {
				released++
				return context.Cause(ctx) // of the first child: it ended the context before it made room
			})
		}
		require.Equal(t, errChild, w.Wait(ctx))
		require.Equal(t, 5, released)
	})
}

// TestTasksAreSpawned where the code of NewTasks runs, from the queue too.
func TestTasksAreSpawned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTasksSpawner()
		ctx := wake.WithParker(context.Background(), s)
		w, derived := await.NewTasks(ctx)
		own, _ := wake.FromContext(derived)
		require.Equal(t, s, own, "the derived context is that of the same code")
		w.SetLimit(2)
		parkers := make(chan wake.Parker, 10)
		for range 10 {
			w.Go(func(ctx context.Context) error {
				p, _ := wake.FromContext(ctx)
				parkers <- p
				time.Sleep(time.Second)
				return ctx.Err()
			})
		}
		require.NoError(t, w.Wait(ctx))
		require.EqualValues(t, 10, s.spawned.Load())
		seen := map[wake.Parker]bool{s: true}
		for range 10 {
			p := <-parkers
			require.IsType(t, tasksSpawner{}, p)
			require.False(t, seen[p], "a parker belongs to one child")
			seen[p] = true
		}
	})
}

// TestTasksHideAParkerThatSpawnsNothing from the goroutines of the children.
func TestTasksHideAParkerThatSpawnsNothing(t *testing.T) {
	ctx := wake.WithParker(context.Background(), wake.NewParker())
	w, _ := await.NewTasks(ctx)
	w.Go(func(ctx context.Context) error {
		_, ok := wake.FromContext(ctx)
		require.False(t, ok)
		return nil
	})
	require.NoError(t, w.Wait(ctx))
}

// TestHazardTasksSecondLook: the last child ends after Wait has seen it run, and before
// that is in line.
func TestHazardTasksSecondLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := await.NewTasks(context.Background())
		gate := make(chan struct{})
		w.Go(func(context.Context) error { <-gate; return nil })
		ctx := tasksValueHook{context.Background(), sync.OnceFunc(func() {
			close(gate)
			synctest.Wait()
		})}
		require.NoError(t, w.Wait(ctx))
	})
}

// tasksValueHook calls a function when its values are asked for.
type tasksValueHook struct {
	context.Context
	hook func()
}

func (c tasksValueHook) Value(key any) any {
	c.hook()
	return c.Context.Value(key)
}

// TestTasksInAOnce: children of a Once's function are part of it.
func TestTasksInAOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		v, err := o.Do(context.Background(), func(ctx context.Context) (int, error) {
			w, ctx := await.NewTasks(ctx)
			w.Go(func(ctx context.Context) error { _, err := o.Do(ctx, never); return err })
			require.ErrorIs(t, w.Wait(ctx), await.ErrCycle)
			return 1, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, v)
	})
}

// TestTasksNeedNoOtherGoroutine than their children.
func TestTasksNeedNoOtherGoroutine(t *testing.T) {
	stacks := make([]byte, 1<<20)
	ours := func() int {
		all := stacks[:runtime.Stack(stacks[:cap(stacks)], true)]
		stacks = all
		return strings.Count(string(all), "created by github.com/vigil-go/vigil/")
	}
	for ours() > 0 { // those of tests before may be about to end
		runtime.Gosched()
	}
	ctx, cancel := cancelableCtx(t)
	w, _ := await.NewTasks(ctx)
	w.SetLimit(3)
	gate, began := make(chan struct{}), make(chan struct{}, 10)
	for range 10 {
		w.Go(func(context.Context) error { began <- struct{}{}; <-gate; return nil })
	}
	for range 3 {
		<-began
	}
	require.Equal(t, 3, ours(), "%s", stacks)
	close(gate)
	require.NoError(t, w.Wait(ctx))
	cancel(nil)
}

// TestTasksMisuse panics and says so.
func TestTasksMisuse(t *testing.T) {
	var none context.Context
	w, _ := await.NewTasks(context.Background())
	require.PanicsWithValue(t, "await: nil context", func() { await.NewTasks(none) })
	require.PanicsWithValue(t, "await: nil context", func() { _ = w.Wait(none) })
	require.PanicsWithValue(t, "await: Go of a nil function", func() { w.Go(nil) })
	require.NoError(t, w.Wait(context.Background()))
}

// TestHazardTasksThatNewTasksHasNotMade: a zero errgroup.Group is ready to use. Zero Tasks
// have no context to start a child under: they panic where they would wait for ever.
func TestHazardTasksThatNewTasksHasNotMade(t *testing.T) {
	const text = "await: Tasks that NewTasks has not made"
	var w await.Tasks
	require.PanicsWithValue(t, text, func() { w.Go(func(context.Context) error { return nil }) })
	require.PanicsWithValue(t, text, func() { _ = w.Wait(context.Background()) })
	require.PanicsWithValue(t, text, func() { w.SetLimit(1) })
}

// TestTasksRandom: whatever the children and the waiters do, each function runs once,
// every Wait under a context without end returns, and after that nothing runs.
func TestTasksRandom(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) { tasksAtRandom(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func tasksAtRandom(t *testing.T, r *rand.Rand) {
	base := context.Background()
	if r.IntN(2) == 0 {
		base = wake.WithParker(base, newTasksSpawner())
	}
	w, _ := await.NewTasks(base)
	w.SetLimit(r.IntN(4) - 1)
	var ran, running atomic.Int32
	n := 1 + r.IntN(20)
	crash := false
	fails := false
	for range n {
		last := time.Duration(r.IntN(3)) * time.Second
		strike := misbehave.None
		if r.IntN(10) == 0 {
			strike = misbehave.Any(r)
		}
		crash = crash || strike == misbehave.Panic
		fails = fails || strike != misbehave.None
		w.Go(func(context.Context) error {
			ran.Add(1)
			running.Add(1)
			defer running.Add(-1)
			time.Sleep(last)
			return strike.Do()
		})
		if r.IntN(5) == 0 {
			w.SetLimit(r.IntN(4))
		}
		if r.IntN(5) == 0 {
			short, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(3))*time.Second)
			require.Error(t, outcomeOfWait(w, short))
			cancel()
		}
	}
	waits := []<-chan error{waitAsync(w, context.Background()), waitAsync(w, context.Background())}
	w.SetLimit(1 + r.IntN(3))
	for _, c := range waits {
		err := <-c
		require.EqualValues(t, n, ran.Load())
		require.Zero(t, running.Load())
		_, panicked := err.(tasksPanic)
		require.Equal(t, crash, panicked)
		require.Equal(t, fails, err != nil)
	}
}

// outcomeOfWait waits for Tasks of which one is in the queue or runs. A panic is an error.
func outcomeOfWait(w *await.Tasks, ctx context.Context) error {
	release := make(chan struct{})
	w.Go(func(context.Context) error { <-release; return nil })
	err := <-waitAsync(w, ctx)
	close(release)
	return err
}
