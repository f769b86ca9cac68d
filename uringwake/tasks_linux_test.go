package uringwake_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

type key struct{}

// detached is a context as one wrote it before context.WithoutCancel: it never
// ends, and has the values of one that may.
type detached struct{ context.Context }

func (detached) Done() <-chan struct{}            { return nil }
func (detached) Err() error                       { return nil }
func (detached) Deadline() (d time.Time, ok bool) { return d, false }

// parents are contexts of each kind, with a value and no deadline.
func parents(t testing.TB) map[string]context.Context {
	values := context.WithValue(context.Background(), key{}, "value")
	ending, cancel := context.WithCancel(values)
	t.Cleanup(cancel)
	over, cancelOver := context.WithCancelCause(values)
	cancelOver(errCause)
	return map[string]context.Context{
		"background":     values,
		"ending":         ending,
		"detached":       detached{ending},
		"detached over":  detached{over},
		"without cancel": context.WithoutCancel(over),
		"another parker": wake.WithParker(values, wake.NewParker()),
	}
}

func TestTaskContextHasItsParentsValues(t *testing.T) {
	l := newLoop(t, nil)
	for name, parent := range parents(t) {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				defer close(done)
				assert.Equal(t, "value", ctx.Value(key{}))
				assert.NoError(t, ctx.Err())
				assert.NoError(t, context.Cause(ctx))
				task := uringwake.TaskFrom(ctx)
				assert.NotNil(t, task)
				assert.Same(t, task, wake.ParkerFrom(ctx))
				assert.Same(t, l, task.Loop())
				below, cancel := context.WithCancel(ctx)
				defer cancel()
				assert.Same(t, task, uringwake.TaskFrom(below))
				assert.Nil(t, uringwake.TaskFrom(wake.WithParker(ctx, nil)))
			}))
			<-done
		})
	}
	require.Nil(t, uringwake.TaskFrom(context.Background()))
}

// Whatever the parent, Close ends the context, and what is made of it, with
// ErrClosed.
func TestCloseIsTheCauseOfATasksEnd(t *testing.T) {
	for name, parent := range parents(t) {
		t.Run(name, func(t *testing.T) {
			l := bareLoop(t, nil)
			var own, below error
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				below = uringwake.Sleep(child, time.Hour)
				own = context.Cause(ctx)
			}))
			inFlight(t, l, 1)
			require.NoError(t, l.Close(context.Background()))
			require.ErrorIs(t, own, uringwake.ErrClosed)
			require.ErrorIs(t, below, uringwake.ErrClosed)
			require.ErrorIs(t, below, context.Canceled)
		})
	}
}

// A context that is registered with its parent is removed from it when the task ends.
func TestTaskContextEndsWithItsTask(t *testing.T) {
	l := newLoop(t, nil)
	for name, parent := range parents(t) {
		if parent.Done() == nil {
			continue // it ends with the loop
		}
		for _, exit := range []func(){func() {}, runtime.Goexit} {
			t.Run(name, func(t *testing.T) {
				ctxs := make(chan context.Context, 1)
				require.NoError(t, l.Go(parent, func(ctx context.Context) {
					ctxs <- ctx
					exit()
				}))
				ctx := <-ctxs
				inTask(t, l, 0)
				require.ErrorIs(t, ctx.Err(), context.Canceled)
			})
		}
	}
}

func TestTaskContextKeepsDeadlineAndCause(t *testing.T) {
	l := newLoop(t, nil)
	at := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(context.Background(), at)
	defer cancel()
	for name, f := range map[string]struct {
		parent context.Context
		body   func(ctx context.Context) error
		is     []error
	}{
		"deadline": {ctx, func(ctx context.Context) error {
			got, ok := ctx.Deadline()
			return unless(ok && got.Equal(at))
		}, nil},
		"past":  {timeout(t, -1), func(ctx context.Context) error { return uringwake.Nop(ctx) }, []error{context.DeadlineExceeded}},
		"soon":  {timeout(t, time.Millisecond), func(ctx context.Context) error { return uringwake.Sleep(ctx, time.Hour) }, []error{context.DeadlineExceeded}},
		"cause": {canceledSoon(t), func(ctx context.Context) error { return uringwake.Sleep(ctx, time.Hour) }, []error{context.Canceled, errCause}},
	} {
		t.Run(name, func(t *testing.T) {
			errs := make(chan error, 1)
			require.NoError(t, l.Go(f.parent, func(ctx context.Context) { errs <- f.body(ctx) }))
			err := <-errs
			require.Equal(t, len(f.is) == 0, err == nil, err)
			for _, is := range f.is {
				require.ErrorIs(t, err, is)
			}
		})
	}
}

func timeout(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func canceledSoon(t testing.TB) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	timer := time.AfterFunc(time.Millisecond, func() { cancel(errCause) })
	t.Cleanup(func() { timer.Stop(); cancel(nil) })
	return ctx
}

// A context that was kept belongs to no task any more; one that was handed to a
// goroutine is not that goroutine's.
func TestTaskCallsFromElsewherePanic(t *testing.T) {
	l := newLoop(t, nil)
	ctxs := make(chan context.Context, 1)
	hold := make(chan struct{})
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		ctxs <- ctx
		uringwake.Blocking(ctx, func() { <-hold })
	}))
	ctx := <-ctxs
	misuse := func() {
		uringwake.OnLoop(t, l, func() {}) // it has let go of the task
		task := uringwake.TaskFrom(ctx)
		require.Panics(t, func() { task.Park(ctx) })
		require.Panics(t, func() { task.Yield() })
		require.Panics(t, func() { uringwake.Nop(ctx) })
		require.Panics(t, func() { uringwake.Blocking(ctx, func() {}) })
	}
	misuse() // while it lives
	close(hold)
	inTask(t, l, 0)
	misuse()
	uringwake.TaskFrom(ctx).Wake() // this one may
}

// noContext is what a caller without a context passes.
var noContext context.Context

func TestMisusePanics(t *testing.T) {
	l := newLoop(t, nil)
	require.Panics(t, func() { l.Go(noContext, func(context.Context) {}) })
	require.Panics(t, func() { l.Go(context.Background(), nil) })
	require.Panics(t, func() { l.Post(nil) })
	require.Panics(t, func() { l.Close(noContext) })
	require.Panics(t, func() { uringwake.Nop(noContext) })
	require.Panics(t, func() { uringwake.Blocking(noContext, func() {}) })
}

func TestTaskIDsDiffer(t *testing.T) {
	loops := []*uringwake.Loop{newLoop(t, nil), newLoop(t, nil)}
	seen := map[uint64]bool{}
	for i := range 100 {
		run(t, loops[i%2], func(ctx context.Context) {
			id := uringwake.TaskFrom(ctx).ID()
			require.False(t, seen[id])
			seen[id] = true
		})
	}
}

// A permit is one, is taken by the next Park even if the context is over, and no
// operation takes it.
func TestPermits(t *testing.T) {
	run(t, newLoop(t, nil), func(ctx context.Context) {
		task := uringwake.TaskFrom(ctx)
		over, cancel := context.WithCancelCause(ctx)
		cancel(errCause)
		for task.Park(over) == nil { // whatever there is
		}
		task.Wake()
		task.Wake()
		require.NoError(t, uringwake.Nop(ctx))
		require.NoError(t, uringwake.Sleep(ctx, time.Microsecond))
		task.Yield()
		require.NoError(t, task.Park(over))
		require.Equal(t, errCause, task.Park(over))
	})
}

// wakingContext has a wake come while its task is about to park.
type wakingContext struct {
	context.Context
	task *uringwake.Task
}

func (c wakingContext) Err() error { c.task.Wake(); return nil }

func TestWakeWhileParking(t *testing.T) {
	run(t, newLoop(t, nil), func(ctx context.Context) {
		task := uringwake.TaskFrom(ctx)
		for range 10 {
			require.NoError(t, task.Park(wakingContext{ctx, task}))
		}
	})
}

// A wake does not end an operation, nor is it lost by it.
func TestWakeDuringAnOperation(t *testing.T) {
	l := newLoop(t, nil)
	fds := openPipe(t, 0)
	tasks, done := make(chan *uringwake.Task, 1), make(chan error, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		task := uringwake.TaskFrom(ctx)
		tasks <- task
		n, err := uringwake.Read(ctx, fds[0], make([]byte, 8), -1)
		over, cancel := context.WithCancel(ctx)
		cancel()
		done <- errors.Join(err, unless(n == 8), task.Park(over))
	}))
	task := <-tasks
	inFlight(t, l, 1)
	for range 100 {
		task.Wake()
		uringwake.OnLoop(t, l, func() {})
	}
	inFlight(t, l, 1)
	write(t, fds[1], 1)
	require.NoError(t, <-done)
}

// Tasks that yield take turns, and what comes by mail or from the kernel has its
// turn among them.
func TestYieldIsFair(t *testing.T) {
	l := newLoop(t, nil)
	var order []int // the loop's
	var stop atomic.Bool
	ends := make(chan struct{}, 3)
	start := func(i int) {
		assert.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			for !stop.Load() {
				if len(order) < 3000 {
					order = append(order, i)
				}
				uringwake.TaskFrom(ctx).Yield()
			}
			ends <- struct{}{}
		}))
	}
	uringwake.OnLoop(t, l, func() { start(0); start(1); start(2) })
	for range 30 {
		uringwake.OnLoop(t, l, func() {})
		run(t, l, func(ctx context.Context) { require.NoError(t, uringwake.Nop(ctx)) })
	}
	for n := 0; n < 3000; {
		uringwake.OnLoop(t, l, func() { n = len(order) })
	}
	stop.Store(true)
	for range 3 {
		<-ends
	}
	for i, who := range order {
		require.Equal(t, i%3, who)
	}
}

// Tasks that wake each other forever do not starve others.
func TestWakesAmongTasksStarveNobody(t *testing.T) {
	l := newLoop(t, nil)
	var a, b notify.Notify
	for _, p := range [][2]*notify.Notify{{&a, &b}, {&b, &a}} {
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			for p[0].Wait(ctx) == nil {
				p[1].NotifyOne()
			}
		}))
	}
	a.NotifyOne()
	for range 30 {
		uringwake.OnLoop(t, l, func() {})
		run(t, l, func(ctx context.Context) { require.NoError(t, uringwake.Nop(ctx)) })
	}
}

// deadly panics, in a function whose name can be found.
func deadly() { panic(errCause) }

func TestOnPanicTakesPanics(t *testing.T) {
	values, stacks := make(chan any, 1), make(chan []byte, 1)
	l := newLoop(t, &uringwake.LoopOptions{
		OnPanic:   func(v any, stack []byte) { values <- v; stacks <- stack },
		OnMessage: func(uint64, int32) { deadly() },
	})
	for range 3 {
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			assert.NoError(t, uringwake.Nop(ctx))
			deadly()
		}))
		require.Equal(t, errCause, <-values)
		require.Contains(t, string(<-stacks), "deadly")
		require.NoError(t, l.Post(deadly))
		require.Equal(t, errCause, <-values)
		require.Contains(t, string(<-stacks), "deadly")
		if uringwake.HaveSendMsgRing() == nil {
			require.NoError(t, uringwake.SendMessage(l.FD(), 1, 0))
			require.Equal(t, errCause, <-values)
			require.Contains(t, string(<-stacks), "deadly")
		}
	}
	inTask(t, l, 0)
}

// A panic that is not handled ends the program, with the stack of the task.
func TestPanicEndsTheProgram(t *testing.T) {
	const variable = "VIGIL_TEST_PANIC"
	switch os.Getenv(variable) {
	case "task":
		l, hold := newLoop(t, nil), make(chan struct{})
		l.Go(context.Background(), func(ctx context.Context) { uringwake.Nop(ctx); deadly() })
		<-hold
	case "post":
		l, hold := newLoop(t, nil), make(chan struct{})
		l.Post(deadly)
		<-hold
	}
	newLoop(t, nil)
	for _, where := range []string{"task", "post"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPanicEndsTheProgram$")
		cmd.Env = append(os.Environ(), variable+"="+where)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		require.ErrorContains(t, err, "exit status 2")
		require.Contains(t, stderr.String(), "panic on a loop: "+errCause.Error())
		require.Contains(t, stderr.String(), "uringwake_test.deadly")
	}
}

// A Goexit ends the task and no other: deferred calls run, and the loop goes on.
func TestGoexitRunsDeferredCalls(t *testing.T) {
	l := newLoop(t, nil)
	var deferred atomic.Int64
	for range 100 {
		run(t, l, func(ctx context.Context) {
			defer func() {
				assert.NoError(t, uringwake.Nop(ctx)) // it may even sleep
				deferred.Add(1)
			}()
			runtime.Goexit()
		})
	}
	require.Equal(t, int64(100), deferred.Load())
	inTask(t, l, 0)
}

// A Goexit in what Post runs ends that function, as one in a task ends the task.
func TestGoexitInAPost(t *testing.T) {
	l := bareLoop(t, nil)
	require.NoError(t, l.Post(runtime.Goexit))
	next := make(chan struct{})
	require.NoError(t, l.Post(func() { close(next) }))
	for alive := true; alive; alive = running("(*Loop).main") {
		select {
		case <-next:
			require.NoError(t, l.Close(context.Background()))
			return
		default:
			runtime.Gosched()
		}
	}
	require.Fail(t, "the loop is gone, and nobody knows")
}

// running reports whether any goroutine is in f.
func running(f string) bool {
	buf := make([]byte, 1<<20)
	return bytes.Contains(buf[:runtime.Stack(buf, true)], []byte(f))
}

func TestBlockingLetsTheLoopGoOn(t *testing.T) {
	l := newLoop(t, nil)
	run(t, l, func(ctx context.Context) {
		loop, other := unix.Gettid(), 0
		hold := make(chan struct{})
		require.NoError(t, l.Go(ctx, func(context.Context) { close(hold) }))
		uringwake.Blocking(ctx, func() { <-hold; other = unix.Gettid() })
		require.NotEqual(t, loop, other)
		require.Equal(t, loop, unix.Gettid())
		over, cancel := context.WithCancel(ctx)
		cancel()
		called := false
		uringwake.Blocking(over, func() { called = true })
		require.True(t, called)
	})
	me, tid := false, 0
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	uringwake.Blocking(context.Background(), func() { me, tid = true, unix.Gettid() })
	require.True(t, me)
	require.Equal(t, unix.Gettid(), tid)
}

// Wakes that are meant for others do not end it.
func TestBlockingIgnoresWakes(t *testing.T) {
	l := newLoop(t, nil)
	run(t, l, func(ctx context.Context) {
		task, done := uringwake.TaskFrom(ctx), false
		uringwake.Blocking(ctx, func() {
			for range 1000 {
				task.Wake()
				runtime.Gosched()
			}
			done = true
		})
		require.True(t, done)
	})
}

func TestBlockingPassesOnHowItsFunctionEnds(t *testing.T) {
	l := newLoop(t, nil)
	run(t, l, func(ctx context.Context) {
		defer func() {
			var p *uringwake.PanicError
			err, _ := recover().(error)
			require.ErrorAs(t, err, &p)
			require.ErrorIs(t, err, errCause)
			require.Contains(t, string(p.Stack), "deadly")
		}()
		uringwake.Blocking(ctx, deadly)
		require.Fail(t, "it went on")
	})
	var after atomic.Bool
	run(t, l, func(ctx context.Context) {
		uringwake.Blocking(ctx, runtime.Goexit)
		after.Store(true)
	})
	require.False(t, after.Load())
	require.PanicsWithValue(t, errCause, func() { uringwake.Blocking(context.Background(), deadly) })
}

func TestLoopOptionsOutOfRange(t *testing.T) {
	newLoop(t, nil)
	for _, o := range []uringwake.LoopOptions{{Entries: -1}, {CQEntries: -1}, {Doorbell: -1}, {Doorbell: 3}, {StallLimit: -1}} {
		_, err := uringwake.NewLoop(&o)
		require.ErrorContains(t, err, "out of range")
	}
}

// Stats are those of the last sleep, for all callers.
func TestStatsOfASleepingLoop(t *testing.T) {
	l := newLoop(t, &uringwake.LoopOptions{SpinFor: -1})
	var stop atomic.Bool
	wait := aside(context.Background(), func() {
		for !stop.Load() {
			l.Stats()
			runtime.Gosched()
		}
	})
	stale := 0
	for range scaled(10_000) {
		before := l.Stats().Mail
		uringwake.OnLoop(t, l, func() {})
		uringwake.AwaitSleep(l) // since then
		if l.Stats().Mail == before {
			stale++
		}
	}
	stop.Store(true)
	wait()
	require.Zero(t, stale)
}
