package await_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

var (
	errFunction = errors.New("the function failed")
	errReason   = errors.New("the reason")
)

// An onceFunction is a function for Do that the test controls.
type onceFunction struct {
	began   chan *onceRunning // has room for all
	lenient bool              // it does not look at its context
}

// An onceRunning is a call of an onceFunction.
type onceRunning struct {
	ctx context.Context
	end chan func() (int, error)
}

func newOnceFunction() *onceFunction { return &onceFunction{began: make(chan *onceRunning, 1000)} }

func (f *onceFunction) call(ctx context.Context) (int, error) {
	r := &onceRunning{ctx, make(chan func() (int, error), 1)}
	f.began <- r
	done := ctx.Done()
	if f.lenient {
		done = nil
	}
	select {
	case end := <-r.end:
		return end()
	case <-done:
		return 0, context.Cause(ctx)
	}
}

func (r *onceRunning) give(v int)     { r.end <- func() (int, error) { return v, nil } }
func (r *onceRunning) fail(err error) { r.end <- func() (int, error) { return 7, err } }

// next returns the next call, which must have begun.
func (f *onceFunction) next(t testing.TB) *onceRunning {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-f.began:
		return r
	default:
		require.Fail(t, "no call began")
		return nil
	}
}

// requireNone requires that no further call has begun.
func (f *onceFunction) requireNone(t testing.TB) {
	t.Helper()
	synctest.Wait()
	require.Empty(t, f.began, "a call began")
}

type onceResult struct {
	v   int
	err error
}

// doAsync calls Do in a goroutine of its own, and returns when that is asleep. The channel
// is closed without a result if Do ends the goroutine.
func doAsync(o *await.Once[int], ctx context.Context, f func(context.Context) (int, error)) <-chan onceResult {
	c := make(chan onceResult, 1)
	go func() {
		defer close(c)
		v, err := o.Do(ctx, f)
		c <- onceResult{v, err}
	}()
	synctest.Wait()
	return c
}

// requireAsleepOnce requires that calls have not returned.
func requireAsleepOnce(t testing.TB, cs ...<-chan onceResult) {
	t.Helper()
	synctest.Wait()
	for _, c := range cs {
		select {
		case r, ok := <-c:
			require.Failf(t, "ended early", "%v %t", r, ok)
		default:
		}
	}
}

// onceContexts are contexts by how a Do under them waits. All but one can end.
func onceContexts(t *testing.T) map[string]func() (context.Context, context.CancelCauseFunc) {
	return map[string]func() (context.Context, context.CancelCauseFunc){
		"a context that can end": func() (context.Context, context.CancelCauseFunc) {
			return context.WithCancelCause(context.Background())
		},
		"a parker": func() (context.Context, context.CancelCauseFunc) {
			return context.WithCancelCause(wake.WithParker(context.Background(), wake.NewParker()))
		},
		"Background": func() (context.Context, context.CancelCauseFunc) {
			return context.Background(), nil
		},
	}
}

// inOnceBubbles runs f in a bubble with each context for the first caller.
func inOnceBubbles(t *testing.T, f func(t *testing.T, o *await.Once[int], ctx context.Context, cancel context.CancelCauseFunc)) {
	for name, way := range onceContexts(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := way()
				f(t, new(await.Once[int]), ctx, cancel)
				synctest.Wait()
				if cancel != nil {
					cancel(nil)
				}
			})
		})
	}
}

// cancelableCtx returns a context that is canceled at the end of the test at the latest.
func cancelableCtx(t testing.TB) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	t.Cleanup(func() { cancel(nil) })
	return ctx, cancel
}

// endedCtx returns a context that has ended with errReason.
func endedCtx() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errReason)
	return ctx
}

func never(context.Context) (int, error) { panic("called") }

// TestOnceKeepsTheValue for all callers that wait, and for later ones whatever their
// context is.
func TestOnceKeepsTheValue(t *testing.T) {
	inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, _ context.CancelCauseFunc) {
		f := newOnceFunction()
		other, _ := cancelableCtx(t)
		cs := []<-chan onceResult{doAsync(o, ctx, f.call), doAsync(o, context.Background(), never), doAsync(o, other, never)}
		f.next(t).give(1)
		for _, c := range cs {
			require.Equal(t, onceResult{v: 1}, <-c)
		}
		for _, later := range []context.Context{context.Background(), endedCtx(), wake.WithParker(context.Background(), misbehave.NewParker())} {
			v, err := o.Do(later, never)
			require.Equal(t, onceResult{1, nil}, onceResult{v, err})
		}
	})
}

// TestOnceKeepsNoError: it goes to the callers that wait for it, without the value, and the next
// caller calls its own function.
func TestOnceKeepsNoError(t *testing.T) {
	inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, _ context.CancelCauseFunc) {
		for range 2 {
			f := newOnceFunction()
			first, second := doAsync(o, ctx, f.call), doAsync(o, context.Background(), never)
			f.next(t).fail(errFunction)
			require.Equal(t, onceResult{err: errFunction}, <-first)
			require.Equal(t, onceResult{err: errFunction}, <-second)
		}
		v, err := o.Do(context.Background(), func(context.Context) (int, error) { return 2, nil })
		require.NoError(t, err)
		require.Equal(t, 2, v)
	})
}

// TestHazardOnceCallerLeaves (spicedb#2954): the end of the first caller's context, or of
// another one's, ends no other call.
func TestHazardOnceCallerLeaves(t *testing.T) {
	for _, leaver := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			var o await.Once[int]
			f := newOnceFunction()
			var cs []<-chan onceResult
			var cancels []context.CancelCauseFunc
			for range 2 {
				ctx, cancel := cancelableCtx(t)
				cs, cancels = append(cs, doAsync(&o, ctx, f.call)), append(cancels, cancel)
			}
			r := f.next(t)
			f.requireNone(t)
			cancels[leaver](errReason)
			left := <-cs[leaver]
			require.ErrorIs(t, left.err, context.Canceled)
			require.ErrorIs(t, left.err, errReason)
			require.Zero(t, left.v)
			require.NoError(t, r.ctx.Err())
			requireAsleepOnce(t, cs[1-leaver])
			r.give(1)
			require.Equal(t, onceResult{v: 1}, <-cs[1-leaver])
		})
	}
}

// TestHazardOnceLastCallerLeaves (buildbuddy#7199): the function is canceled, and what it
// returns all the same is dropped.
func TestHazardOnceLastCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		f := newOnceFunction()
		f.lenient = true
		one, cancelOne := cancelableCtx(t)
		other, cancelOther := cancelableCtx(t)
		a, b := doAsync(&o, one, f.call), doAsync(&o, other, f.call)
		r := f.next(t)
		cancelOne(nil)
		require.Error(t, (<-a).err)
		require.NoError(t, r.ctx.Err())
		cancelOther(nil)
		require.Error(t, (<-b).err)
		synctest.Wait()
		require.ErrorIs(t, r.ctx.Err(), context.Canceled)
		require.Equal(t, await.ErrAbandoned, context.Cause(r.ctx))
		r.give(1)
		synctest.Wait()
		v, err := o.Do(context.Background(), func(context.Context) (int, error) { return 2, nil })
		require.NoError(t, err)
		require.Equal(t, 2, v)
	})
}

// TestHazardOnceCallerThatRunsDoesNotLeave: the others leave, and the function goes on for
// the caller that runs it.
func TestHazardOnceCallerThatRunsDoesNotLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		f := newOnceFunction()
		runs := doAsync(&o, context.Background(), f.call)
		r := f.next(t)
		ctx, cancel := cancelableCtx(t)
		other := doAsync(&o, ctx, never)
		cancel(nil)
		require.Error(t, (<-other).err)
		require.NoError(t, r.ctx.Err())
		r.give(1)
		require.Equal(t, onceResult{v: 1}, <-runs)
	})
}

// TestHazardOnceNewcomerDuringCancellation (tailscale#18919): it starts a run of its own,
// next to the one that unwinds, whichever of them ends first.
func TestHazardOnceNewcomerDuringCancellation(t *testing.T) {
	for name, oldFirst := range map[string]bool{"the old run ends first": true, "the new run ends first": false} {
		t.Run(name, func(t *testing.T) {
			inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, _ context.CancelCauseFunc) {
				f := newOnceFunction()
				f.lenient = true
				first, cancel := cancelableCtx(t)
				left := doAsync(o, first, f.call)
				old := f.next(t)
				cancel(nil)
				require.Error(t, (<-left).err)
				newcomer := doAsync(o, ctx, f.call)
				young := f.next(t)
				require.NoError(t, young.ctx.Err())
				if oldFirst {
					old.give(1)
					requireAsleepOnce(t, newcomer)
					second := doAsync(o, context.Background(), never)
					young.give(2)
					require.Equal(t, onceResult{v: 2}, <-second)
				} else {
					young.give(2)
					synctest.Wait()
					old.give(1)
				}
				require.Equal(t, onceResult{v: 2}, <-newcomer)
				synctest.Wait()
				v, err := o.Do(context.Background(), never)
				require.NoError(t, err)
				require.Equal(t, 2, v)
			})
		})
	}
}

// TestHazardOnceFunctionPanics (golang/go#33519): all callers get the panic as an error,
// nothing is locked or kept.
func TestHazardOnceFunctionPanics(t *testing.T) {
	inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, _ context.CancelCauseFunc) {
		f := newOnceFunction()
		cs := []<-chan onceResult{doAsync(o, ctx, f.call), doAsync(o, context.Background(), never)}
		f.next(t).end <- func() (int, error) { panic(errReason) }
		for _, c := range cs {
			r := <-c
			p, ok := errors.AsType[*await.PanicError](r.err)
			require.True(t, ok, "%v", r.err)
			require.Equal(t, errReason, p.Value)
			require.ErrorIs(t, r.err, errReason)
			require.Contains(t, string(p.Stack), "onceFunction")
			require.Zero(t, r.v)
		}
		requireUsableOnce(t, o)
	})
}

// requireUsableOnce requires that o has no value and no run.
func requireUsableOnce(t *testing.T, o *await.Once[int]) {
	t.Helper()
	synctest.Wait()
	v, err := o.Do(context.Background(), func(context.Context) (int, error) { return 5, nil })
	require.NoError(t, err)
	require.Equal(t, 5, v)
}

// TestHazardOnceFunctionExits (golang/go#60060): all callers that wait get an error, and the
// caller's goroutine exits if it ran the function itself.
func TestHazardOnceFunctionExits(t *testing.T) {
	inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, cancel context.CancelCauseFunc) {
		f := newOnceFunction()
		first, second := doAsync(o, ctx, f.call), doAsync(o, context.Background(), never)
		f.next(t).end <- func() (int, error) { runtime.Goexit(); return 0, nil }
		r := <-second
		require.ErrorIs(t, r.err, await.ErrGoexit)
		r, ok := <-first
		require.Equal(t, cancel != nil, ok, "the goroutine of the caller goes on")
		if ok {
			require.ErrorIs(t, r.err, await.ErrGoexit)
		}
		requireUsableOnce(t, o)
	})
}

// TestHazardOnceFunctionCallsItAgain: it would wait for itself.
func TestHazardOnceFunctionCallsItAgain(t *testing.T) {
	inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, _ context.CancelCauseFunc) {
		v, err := o.Do(ctx, func(ctx context.Context) (int, error) {
			derived, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			for _, ctx := range []context.Context{ctx, derived, context.WithoutCancel(ctx)} {
				_, err := o.Do(ctx, never)
				require.ErrorIs(t, err, await.ErrCycle)
			}
			return 1, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, v)
	})
}

// TestHazardOnceAbandonedFunctionCallsItAgain: its run has no callers, so it may wait for
// the next run, or start it.
func TestHazardOnceAbandonedFunctionCallsItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		ctx, cancel := cancelableCtx(t)
		again := make(chan onceResult, 1)
		left := doAsync(&o, ctx, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			v, err := o.Do(context.WithoutCancel(ctx), func(context.Context) (int, error) { return 2, nil })
			again <- onceResult{v, err}
			return 1, nil
		})
		cancel(nil)
		require.Error(t, (<-left).err)
		require.Equal(t, onceResult{v: 2}, <-again)
		v, err := o.Do(context.Background(), never)
		require.NoError(t, err)
		require.Equal(t, 2, v)
	})
}

// TestOnceThatAnotherOnceNeeds: only the call that closes a cycle fails.
func TestOnceThatAnotherOnceNeeds(t *testing.T) {
	inOnceBubbles(t, func(t *testing.T, a *await.Once[int], ctx context.Context, _ context.CancelCauseFunc) {
		var b, c await.Once[int]
		v, err := a.Do(ctx, func(ctx context.Context) (int, error) {
			return b.Do(ctx, func(ctx context.Context) (int, error) {
				_, err := a.Do(ctx, never)
				require.ErrorIs(t, err, await.ErrCycle)
				return c.Do(ctx, func(context.Context) (int, error) { return 3, nil })
			})
		})
		require.NoError(t, err)
		require.Equal(t, 3, v)
	})
}

// TestOnceContext: the function has the first caller's values, and nothing else of its
// context.
func TestOnceContext(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		parker := misbehave.NewParker()
		ctx, stop := context.WithTimeout(wake.WithParker(context.WithValue(context.Background(), key{}, "first"), parker), time.Hour)
		defer stop()
		f := newOnceFunction()
		c := doAsync(&o, ctx, f.call)
		r := f.next(t)
		require.Equal(t, "first", r.ctx.Value(key{}))
		_, ok := wake.FromContext(r.ctx)
		require.False(t, ok, "the parker is the caller's")
		_, ok = r.ctx.Deadline()
		require.False(t, ok)
		r.give(1)
		require.Equal(t, onceResult{v: 1}, <-c)
		require.ErrorIs(t, r.ctx.Err(), context.Canceled, "the function has ended")
		require.EqualValues(t, 1, parker.Wakes.Load())
	})
}

// TestOnceWhereTheFunctionRuns: in the caller if that cannot leave, else in a goroutine.
func TestOnceWhereTheFunctionRuns(t *testing.T) {
	inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, cancel context.CancelCauseFunc) {
		var stack string
		_, err := o.Do(ctx, func(context.Context) (int, error) {
			stack = string(debug.Stack())
			return 1, nil
		})
		require.NoError(t, err)
		require.Equal(t, cancel == nil, strings.Contains(stack, ").Do("))
	})
}

// TestHazardOnceSecondLook: the value comes after Do has found none, and before it is in
// line.
func TestHazardOnceSecondLook(t *testing.T) {
	var o await.Once[int]
	ctx := tasksValueHook{context.Background(), sync.OnceFunc(func() {
		_, _ = o.Do(context.Background(), func(context.Context) (int, error) { return 1, nil })
	})}
	v, err := o.Do(ctx, never)
	require.NoError(t, err)
	require.Equal(t, 1, v)
}

// TestOnceOnAContextThatHasEnded neither calls the function nor waits for another call.
func TestOnceOnAContextThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		_, err := o.Do(endedCtx(), never)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errReason)
		f := newOnceFunction()
		c := doAsync(&o, context.Background(), f.call)
		_, err = o.Do(endedCtx(), never)
		require.ErrorIs(t, err, errReason)
		f.next(t).give(1)
		require.Equal(t, onceResult{v: 1}, <-c)
	})
}

// TestOnceMisuse panics and says so, with and without a value.
func TestOnceMisuse(t *testing.T) {
	var o await.Once[int]
	var none context.Context
	for range 2 {
		require.PanicsWithValue(t, "await: nil context", func() { _, _ = o.Do(none, never) })
		require.PanicsWithValue(t, "await: Do of a nil function", func() { _, _ = o.Do(context.Background(), nil) })
		_, err := o.Do(context.Background(), func(context.Context) (int, error) { return 1, nil })
		require.NoError(t, err)
	}
}

// oncePackageLevel is made outside of any bubble, like a variable of a package.
var oncePackageLevel await.Once[int]

// TestHazardOncePackageLevelInABubble (golang/go#75626): waits in a bubble are durable,
// also after a use outside of it.
func TestHazardOncePackageLevelInABubble(t *testing.T) {
	_, err := oncePackageLevel.Do(context.Background(), func(context.Context) (int, error) { return 0, errFunction })
	require.Equal(t, errFunction, err)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := doAsync(&oncePackageLevel, context.Background(), func(context.Context) (int, error) {
			time.Sleep(time.Hour)
			return 0, errFunction
		})
		require.Equal(t, errFunction, (<-c).err)
		require.Equal(t, time.Hour, time.Since(start))
	})
}

// TestOnceOfAnyType: zero-size, large, interface and pointer values.
func TestOnceOfAnyType(t *testing.T) {
	requireKeeps(t, struct{}{})
	requireKeeps(t, [128]int64{7: 1})
	requireKeeps[any](t, nil)
	requireKeeps[error](t, nil)
	requireKeeps[*int](t, nil)
}

func requireKeeps[T any](t *testing.T, want T) {
	t.Helper()
	var o await.Once[T]
	calls := 0
	for range 3 {
		v, err := o.Do(context.Background(), func(context.Context) (T, error) { calls++; return want, nil })
		require.NoError(t, err)
		require.Equal(t, want, v)
	}
	require.Equal(t, 1, calls)
}

// TestOnceAllocations: a value that is kept costs nothing.
func TestOnceAllocations(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	var o await.Once[int]
	ctx, _ := cancelableCtx(t)
	f := func(context.Context) (int, error) { return 1, nil }
	_, _ = o.Do(ctx, f)
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = o.Do(ctx, f) }))
}

// TestOnceForgetsTheFunction, its context and the callers, when the value is kept.
func TestOnceForgetsTheFunction(t *testing.T) {
	type large [1 << 16]byte
	type key struct{}
	var o await.Once[int]
	freed := make(chan struct{})
	func() {
		p := new(large)
		runtime.AddCleanup(p, func(struct{}) { close(freed) }, struct{}{})
		ctx := context.WithValue(context.Background(), key{}, p)
		_, _ = o.Do(ctx, func(ctx context.Context) (int, error) { return len(ctx.Value(key{}).(*large)), nil })
	}()
	testkit.SpinUntil(func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	})
	runtime.KeepAlive(&o)
}
