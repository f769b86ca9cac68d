package uringwake_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
)

// bareLoop starts a loop that the test closes itself.
func bareLoop(t testing.TB, o *uringwake.LoopOptions) *uringwake.Loop {
	t.Helper()
	if err := uringwake.Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	l, err := uringwake.NewLoop(o)
	require.NoError(t, err)
	return l
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// usage is what a process uses.
type usage struct {
	descriptors, threads, rings int
	heap                        uint64
}

func used(t testing.TB) (u usage) {
	t.Helper()
	u.descriptors, u.threads = entries(t, "/proc/self/fd"), entries(t, "/proc/self/task")
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	u.rings = bytes.Count(maps, []byte("io_uring"))
	runtime.GC()
	runtime.GC() // what the first one has finalized, and pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap = m.HeapAlloc + m.StackInuse
	return u
}

func entries(t testing.TB, directory string) int {
	t.Helper()
	list, err := os.ReadDir(directory)
	require.NoError(t, err)
	return len(list)
}

// Whatever its tasks are doing, a loop leaves no goroutine, descriptor, mapping,
// thread or memory behind.
func TestCloseLeavesNothing(t *testing.T) {
	fds := openPipe(t, 0)
	round := func(i int) {
		l := bareLoop(t, &uringwake.LoopOptions{Entries: 8, Doorbell: uringwake.Doorbell(i % 3)})
		busyTasks(t, l, fds[0])
		if i%2 == 0 {
			inFlight(t, l, 4*len(busy))
		}
		require.NoError(t, l.Close(context.Background()))
		require.Zero(t, l.InFlight())
	}
	for i := range 20 {
		round(i)
	}
	goroutines, before := goleak.IgnoreCurrent(), used(t)
	for i := range scaled(500) {
		round(i)
	}
	goleak.VerifyNone(t, goroutines)
	after := used(t)
	require.LessOrEqual(t, after.descriptors, before.descriptors)
	require.LessOrEqual(t, after.rings, before.rings)
	require.Less(t, after.threads, before.threads+16)
	require.Less(t, after.heap, before.heap+4<<20)
}

// busy are operations that wait forever.
var busy = []func(ctx context.Context, fd int) error{
	func(ctx context.Context, fd int) error {
		_, err := uringwake.Read(ctx, fd, make([]byte, 1<<10), -1)
		return err
	},
	func(ctx context.Context, fd int) error {
		_, err := uringwake.PollFD(ctx, fd, unix.POLLIN)
		return err
	},
	func(ctx context.Context, _ int) error { return uringwake.Sleep(ctx, time.Hour) },
}

// busyTasks starts tasks that wait until they are closed: 4 for each of busy, of
// either kind of context, and some that wait for no operation.
func busyTasks(t testing.TB, l *uringwake.Loop, fd int) {
	var n notify.Notify
	for _, parent := range []context.Context{context.Background(), cancelable(t)} {
		for range 2 {
			for _, f := range busy {
				require.NoError(t, l.Go(parent, func(ctx context.Context) {
					assert.ErrorIs(t, f(ctx, fd), uringwake.ErrClosed)
				}))
			}
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				assert.ErrorIs(t, n.Wait(ctx), uringwake.ErrClosed)
			}))
			require.NoError(t, l.Go(parent, func(context.Context) { runtime.Goexit() }))
		}
	}
}

func cancelable(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return ctx
}

func TestCloseTwiceAndTogether(t *testing.T) {
	for range 50 {
		l := bareLoop(t, nil)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { assert.NoError(t, l.Close(context.Background())) })
		}
		all.Wait()
		require.NoError(t, l.Close(context.Background()))
		require.NoError(t, l.Close(ended()))
	}
}

func TestCloseByATaskOfItsOwn(t *testing.T) {
	l := bareLoop(t, nil)
	errs := make(chan error, 2)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		errs <- l.Close(ctx)
		errs <- uringwake.Sleep(ctx, time.Hour)
	}))
	require.Error(t, <-errs)
	require.ErrorIs(t, <-errs, uringwake.ErrClosed)
	require.NoError(t, l.Close(context.Background()))
}

func TestCloseByATaskOfAnotherLoop(t *testing.T) {
	for range 50 {
		l, other := bareLoop(t, nil), newLoop(t, nil)
		startConsumer(t, l)
		run(t, other, func(ctx context.Context) {
			require.NoError(t, l.Close(ctx))
			require.NoError(t, l.Close(ctx))
		})
		require.True(t, l.Closed())
	}
}

// Two loops, each closed by a task of the other: the first one ends the other's
// wait.
func TestLoopsCloseEachOther(t *testing.T) {
	for range 50 {
		a, b := bareLoop(t, nil), bareLoop(t, nil)
		closer := func(other *uringwake.Loop) func(context.Context) {
			return func(ctx context.Context) {
				if err := other.Close(ctx); err != nil {
					assert.ErrorIs(t, err, uringwake.ErrClosed)
				}
			}
		}
		a.Go(context.Background(), closer(b))
		b.Go(context.Background(), closer(a))
		require.NoError(t, a.Close(context.Background()))
		require.NoError(t, b.Close(context.Background()))
	}
}

// A Close whose context ends leaves the loop closing, and can be repeated.
func TestCloseWithAnEndedContext(t *testing.T) {
	l := bareLoop(t, nil)
	hold, past := make(chan struct{}), ended()
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		uringwake.Blocking(ctx, func() { <-hold })
	}))
	inTask(t, l, 1)
	require.ErrorIs(t, l.Close(past), context.Canceled)
	ctx, cancel := context.WithCancelCause(context.Background())
	wait := aside(ctx, func() { cancel(errCause) })
	require.ErrorIs(t, l.Close(ctx), errCause)
	wait()
	require.ErrorIs(t, l.Post(func() {}), uringwake.ErrClosed)
	close(hold)
	require.NoError(t, l.Close(context.Background()))
	require.NoError(t, l.Close(past))
}

// inTask waits until n tasks live.
func inTask(t testing.TB, l *uringwake.Loop, n int) {
	t.Helper()
	for got := -1; got != n; {
		uringwake.OnLoop(t, l, func() { got = l.Living() })
	}
}

// Close waits for a task that ignores its context.
func TestCloseWaitsForTasks(t *testing.T) {
	l := bareLoop(t, nil)
	var done atomic.Bool
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		for l.Post(func() {}) == nil { // until Close has begun
			assert.NoError(t, uringwake.Sleep(context.WithoutCancel(ctx), time.Millisecond))
		}
		for ctx.Err() == nil { // the loop ends it by mail, after it refuses new work
			uringwake.TaskFrom(ctx).Yield()
		}
		assert.ErrorIs(t, uringwake.Nop(ctx), uringwake.ErrClosed)
		assert.ErrorIs(t, l.Go(ctx, func(context.Context) {}), uringwake.ErrClosed)
		assert.NoError(t, uringwake.Sleep(context.WithoutCancel(ctx), 20*time.Millisecond))
		done.Store(true)
	}))
	inTask(t, l, 1)
	require.NoError(t, l.Close(context.Background()))
	require.True(t, done.Load())
}

// What Go and Post took without an error has run when Close returns.
func TestGoAndPostRaceWithClose(t *testing.T) {
	lasting := cancelable(t)
	for range scaled(100) {
		l := bareLoop(t, &tiny)
		var taken, run atomic.Int64
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				for submit(l, i, lasting, &run) == nil {
					taken.Add(1)
				}
			})
		}
		for taken.Load() < 10 {
			runtime.Gosched()
		}
		require.NoError(t, l.Close(context.Background()))
		ran := run.Load()
		all.Wait()
		require.Equal(t, taken.Load(), ran)
		require.Equal(t, ran, run.Load())
	}
}

// A task that starts when all contexts were ended already finds its own ended.
func TestCloseEndsTasksThatStartLate(t *testing.T) {
	for name, parent := range parents(t) {
		t.Run(name, func(t *testing.T) {
			l := bareLoop(t, nil)
			var err error
			uringwake.OnLoop(t, l, func() {
				l.StartClosing()
				assert.True(t, l.GoLate(parent, func(ctx context.Context) { err = uringwake.Sleep(ctx, time.Hour) }))
			})
			require.NoError(t, l.Close(context.Background()))
			require.ErrorIs(t, err, uringwake.ErrClosed)
		})
	}
}

// submit adds 1 to run, on the loop.
func submit(l *uringwake.Loop, i int, lasting context.Context, run *atomic.Int64) error {
	switch i {
	case 0:
		return l.Post(func() { run.Add(1) })
	case 1:
		return l.Go(context.Background(), func(ctx context.Context) { uringwake.Nop(ctx); run.Add(1) })
	case 2:
		return l.Go(ended(), func(context.Context) { run.Add(1) })
	}
	ctx, cancel := context.WithCancel(lasting)
	defer cancel()
	if i == 3 {
		ctx = lasting
	}
	return l.Go(ctx, func(ctx context.Context) { uringwake.Sleep(ctx, time.Hour); run.Add(1) })
}

// Wakes, from goroutines and another loop, may come at any time, and after the
// end.
func TestWakesRaceWithClose(t *testing.T) {
	other := newLoop(t, &tiny)
	for i := range scaled(300) {
		l := bareLoop(t, &uringwake.LoopOptions{Entries: 4, CQEntries: 8, SpinFor: -1, Doorbell: uringwake.Doorbell(i % 3)})
		task := startConsumer(t, l).task
		var stop atomic.Bool
		var all sync.WaitGroup
		all.Go(func() {
			for !stop.Load() {
				task.Wake()
			}
		})
		all.Add(1)
		require.NoError(t, other.Go(context.Background(), func(ctx context.Context) {
			defer all.Done()
			for !stop.Load() {
				task.Wake()
				assert.NoError(t, uringwake.Nop(ctx))
			}
		}))
		require.NoError(t, l.Close(context.Background()))
		stop.Store(true)
		all.Wait()
		task.Wake()
	}
}

// A loop that was never used, or is asleep with nothing to do, closes too.
func TestCloseOfAnIdleLoop(t *testing.T) {
	for i := range 100 {
		l := bareLoop(t, &uringwake.LoopOptions{SpinFor: -1, Doorbell: uringwake.Doorbell(i % 3)})
		if i%2 == 0 {
			uringwake.AwaitSleep(l)
		}
		require.NoError(t, l.Close(context.Background()))
	}
}

// The goroutine driver releases all that its operations took, however they end.
func TestGoroutineDriverLeavesNothing(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	fds := openPipe(t, 0)
	round := func() {
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		for range 4 {
			for _, f := range busy {
				all.Go(func() { assert.ErrorIs(t, f(ctx, fds[0]), context.Canceled) })
			}
		}
		for d.InFlight() != 4*(len(busy)-1) { // a goroutine's Sleep is none
			runtime.Gosched()
		}
		cancel()
		all.Wait()
		require.Zero(t, d.InFlight())
	}
	for range 20 {
		round()
	}
	goroutines, before := goleak.IgnoreCurrent(), used(t)
	for range scaled(1000) {
		round()
	}
	d.AwaitIdle()
	goleak.VerifyNone(t, goroutines)
	after := used(t)
	require.LessOrEqual(t, after.descriptors, before.descriptors)
	require.Less(t, after.threads, before.threads+16)
	require.Less(t, after.heap, before.heap+2<<20)
	require.LessOrEqual(t, d.Slots(), 64)
}
