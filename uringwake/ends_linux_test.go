package uringwake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// A loop that a task of another one has signaled can close while that task waits for
// it, in whatever way: the message's completion must not be needed.
func TestCloseOfALoopSignaledByTheOneThatWaits(t *testing.T) {
	a := newLoop(t, &uringwake.LoopOptions{Doorbell: uringwake.DoorbellMsgRing})
	b := newLoop(t, &uringwake.LoopOptions{Doorbell: uringwake.DoorbellMsgRing, SpinFor: -1})
	uringwake.AwaitSleep(b)
	closed := make(chan error, 1)
	uringwake.OnLoop(t, a, func() {
		nop := func(ctx context.Context) { assert.NoError(t, uringwake.Nop(ctx)) }
		assert.NoError(t, a.Go(context.Background(), nop)) // a submission to make
		assert.NoError(t, a.Post(func() { closed <- b.Close(context.Background()) }))
	})
	require.NoError(t, <-closed)
}

// A coroutine in which runtime.Goexit was called can be used again, but not
// deeper and deeper.
func TestGoexitsTakeNoStack(t *testing.T) {
	const n, most = 20_000, 4 << 20
	for name, start := range map[string]func(l *uringwake.Loop, f func()) error{
		"task": func(l *uringwake.Loop, f func()) error {
			return l.Go(context.Background(), func(context.Context) { f() })
		},
		"post": (*uringwake.Loop).Post,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoop(t, nil)
			before := used(t).stacks()
			for range n {
				done := make(chan struct{})
				require.NoError(t, start(l, func() { defer close(done); runtime.Goexit() }))
				<-done
			}
			require.Less(t, used(t).stacks(), before+most)
		})
	}
}

func (usage) stacks() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}

// reports takes what the watchdog says.
type reports chan string

func (r reports) Write(p []byte) (int, error) {
	select {
	case r <- string(bytes.Clone(p)):
	default:
	}
	return len(p), nil
}

// The watchdog finds the task that stalls the loop, however many sleep there.
func TestWatchdogFindsOneAmongMany(t *testing.T) {
	seen := make(reports, 100)
	l := newLoop(t, &uringwake.LoopOptions{StallLimit: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(seen, nil))})
	for range 30 {
		for range 100 {
			require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { uringwake.TaskFrom(ctx).Park(ctx) }))
		}
		uringwake.OnLoop(t, l, func() {})
	}
	found := make(chan bool, 1)
	for ok := false; !ok; { // each is reported once, and may have been before it came so far
		require.NoError(t, l.Go(context.Background(), func(context.Context) { hold(seen, found) }))
		ok = <-found
	}
}

func hold(seen reports, found chan<- bool) {
	found <- strings.Contains(<-seen, "uringwake_test.hold(")
}

// What a task waited for lately is not canceled when its context ends: it may
// be another one's operation by now.
func TestEndOfAContextSparesOthersOperations(t *testing.T) {
	l := newLoop(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first := make(chan *uringwake.Task)
	ended := make(chan struct{})
	require.NoError(t, l.Go(ctx, func(ctx context.Context) {
		defer close(ended)
		assert.NoError(t, uringwake.Nop(ctx))
		first <- uringwake.TaskFrom(ctx)
		for uringwake.TaskFrom(ctx).Park(ctx) == nil {
		}
	}))
	<-first
	fds := openPipe(t, 0)
	got := make(chan error, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { // takes the operation that is free
		n, err := uringwake.Read(ctx, fds[0], make([]byte, 8), -1)
		assert.Equal(t, 8, n)
		got <- err
	}))
	for waits := 0; waits != 1; {
		uringwake.OnLoop(t, l, func() { waits = l.InFlight() })
	}
	cancel()
	<-ended
	for range 3 { // what the end of ctx has left in the mailbox
		uringwake.OnLoop(t, l, func() {})
	}
	write(t, fds[1], 1)
	require.NoError(t, <-got)
}

// counted is a context without end that counts what is registered for its end.
type counted struct {
	context.Context
	done    chan struct{} // its own, or package context would look behind it
	hanging *atomic.Int64
	asked   func() // called when its end is asked for; may be nil
}

func (c counted) Done() <-chan struct{} {
	if c.asked != nil {
		c.asked()
	}
	return c.done
}

func (c counted) AfterFunc(func()) func() bool {
	c.hanging.Add(1)
	return func() bool { return c.hanging.Add(-1) >= 0 }
}

// A wait removes itself from its context when it is over.
func TestWaitsLetGoOfTheirContext(t *testing.T) {
	l := newLoop(t, nil)
	run(t, l, func(ctx context.Context) {
		c := counted{ctx, make(chan struct{}), new(atomic.Int64), nil}
		task := uringwake.TaskFrom(ctx)
		assert.NoError(t, uringwake.Nop(c))
		assert.Zero(t, c.hanging.Load(), "an operation")
		assert.NoError(t, l.Post(func() {
			assert.Equal(t, int64(1), c.hanging.Load())
			task.Wake()
		}))
		assert.NoError(t, task.Park(c))
		assert.Zero(t, c.hanging.Load(), "a park")
	})
}

// A parked task is woken by the end of the context that it parks under, whether
// that is its own or another.
func TestEndOfAContextWakesAParkedTask(t *testing.T) {
	l := newLoop(t, nil)
	for name, parks := range map[string]func(own, inner context.Context) context.Context{
		"its own": func(own, _ context.Context) context.Context { return own },
		"inner":   func(_, inner context.Context) context.Context { return inner },
	} {
		t.Run(name, func(t *testing.T) {
			outer, cancelOuter := context.WithCancelCause(context.Background())
			defer cancelOuter(nil)
			cancels, errs := make(chan context.CancelCauseFunc, 1), make(chan error, 1)
			require.NoError(t, l.Go(outer, func(ctx context.Context) {
				inner, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				park := parks(ctx, inner)
				if cancels <- cancel; park == ctx {
					<-cancels
					cancels <- cancelOuter
				}
				var err error
				for err == nil {
					err = uringwake.TaskFrom(ctx).Park(park)
				}
				errs <- err
			}))
			uringwake.OnLoop(t, l, func() {}) // it is parked
			(<-cancels)(errCause)
			require.Equal(t, errCause, <-errs)
		})
	}
}

// impatient is a parker whose first park ends its context; the second one looks
// at what the driver has done about it.
type impatient struct {
	wake.Parker
	cancel func()
	parks  int
	look   func(ctx context.Context)
}

func (p *impatient) Park(ctx context.Context) error {
	switch p.parks++; p.parks {
	case 1:
		p.cancel()
	case 2:
		p.look(ctx)
	}
	return p.Parker.Park(ctx)
}

// A goroutine whose context ends has its operation canceled at once, not when another
// goroutine uses the driver, and then waits for nothing but the operation.
func TestGoroutineCancelsAtOnce(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	ctx, cancel := context.WithCancel(context.Background())
	p := &impatient{Parker: wake.NewParker(), cancel: cancel}
	p.look = func(ctx context.Context) {
		assert.GreaterOrEqual(t, d.Submitted(), uint64(2), "the operation, and its cancel")
		assert.Nil(t, ctx.Done())
	}
	err := uringwake.Sleep(wake.WithParker(ctx, p), time.Hour)
	require.ErrorIs(t, err, context.Canceled)
	require.NotZero(t, p.parks)
}

// A task that slips in while its loop begins to close is ended like the others.
func TestGoWhileTheLoopUnwinds(t *testing.T) {
	l := bareLoop(t, nil)
	unwound, leave, cause := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { // keeps the loop from its end
		for uringwake.TaskFrom(ctx).Park(ctx) == nil {
		}
		close(unwound)
		uringwake.Blocking(ctx, func() { <-leave })
	}))
	asked := func() { l.StartClosing(); <-unwound }
	parent := counted{context.Background(), make(chan struct{}), new(atomic.Int64), asked}
	require.NoError(t, l.Go(parent, func(ctx context.Context) {
		for uringwake.TaskFrom(ctx).Park(ctx) == nil {
		}
		cause <- context.Cause(ctx)
	}))
	require.Equal(t, uringwake.ErrClosed, <-cause)
	close(leave)
	require.NoError(t, l.Close(context.Background()))
}

// The context of a task that is refused is removed from its parent.
func TestRefusedTaskLetsGoOfItsParent(t *testing.T) {
	l := bareLoop(t, nil)
	asked := func() { assert.NoError(t, l.Close(context.Background())) }
	parent := counted{context.Background(), make(chan struct{}), new(atomic.Int64), asked}
	require.ErrorIs(t, l.Go(parent, func(context.Context) {}), uringwake.ErrClosed)
	require.Zero(t, parent.hanging.Load())
}

// On the loop Close does not wait, in a callback neither.
func TestCloseInACallback(t *testing.T) {
	l := bareLoop(t, nil)
	err := make(chan error, 1)
	require.NoError(t, l.Post(func() { err <- l.Close(context.Background()) }))
	require.ErrorContains(t, <-err, "its own end")
	require.NoError(t, l.Close(context.Background()))
}

// "Up to n" holds for numbers that the kernel's 32 bits do not.
func TestFutexWakeOfHugeNumbers(t *testing.T) {
	newLoop(t, nil)
	if err := uringwake.HaveFutex(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	for _, n := range []int{math.MaxInt32, math.MaxInt} {
		woken, err := uringwake.FutexWake(context.Background(), new(atomic.Uint32), n)
		require.NoError(t, err, n)
		require.Zero(t, woken)
	}
}

// Sizes that do not fit the kernel's 32 bits are refused, not cut.
func TestHugeQueuesAreRefused(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("int has 32 bits")
	}
	for _, n := range []int{math.MaxInt - math.MaxInt32, math.MaxInt} {
		for _, o := range []uringwake.LoopOptions{{Entries: n}, {CQEntries: n}} {
			l, err := uringwake.NewLoop(&o)
			if err == nil {
				err = l.Close(context.Background())
				require.Fail(t, "a loop was made", fmt.Sprint(n, err))
			}
			require.ErrorContains(t, err, "out of range")
		}
	}
}
