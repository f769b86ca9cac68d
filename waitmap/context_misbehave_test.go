package waitmap_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// leaves are the ways in which a user's function may not return.
var leaves = map[string]func(){"panic": func() { panic("hostile") }, "Goexit": runtime.Goexit}

// outlive runs f in a goroutine of its own, which may panic or end, and waits
// for that. It reports whether f returned.
func outlive(f func()) (returned bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { recover() }()
		f()
		returned = true
	}()
	<-ended
	return returned
}

// A leavingContext does not return from one of the calls of its methods.
type leavingContext struct {
	context.Context
	calls *int // until then
	leave func()
}

func (c leavingContext) count() {
	if *c.calls--; *c.calls == 0 {
		c.leave()
	}
}

func (c leavingContext) Deadline() (time.Time, bool) { c.count(); return c.Context.Deadline() }
func (c leavingContext) Done() <-chan struct{}       { c.count(); return c.Context.Done() }
func (c leavingContext) Err() error                  { c.count(); return c.Context.Err() }
func (c leavingContext) Value(key any) any           { c.count(); return c.Context.Value(key) }

// leaving returns a context that ends in a second; before or after that one of
// the calls of its methods does not return.
func leaving(calls int, leave func()) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(bg, time.Second)
	return leavingContext{ctx, &calls, leave}, cancel
}

// TestContextMethodsDoNotReturn: whichever of a context's methods panics or
// ends the goroutine, and when, no waiter stays in line.
func TestContextMethodsDoNotReturn(t *testing.T) {
	for how, leave := range leaves {
		for name, wait := range waits {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					hostile := 0
					for calls := 1; calls < 20; calls++ {
						var m intMap
						ctx, cancel := leaving(calls, leave)
						if !outlive(func() { wait(&m, ctx, "a") }) {
							hostile++
						}
						cancel()
						requireIdle(t, &m)
						m.Store("a", 1)
						v, ok := m.Load("a")
						require.True(t, ok, "the value went to a waiter that has left")
						require.Equal(t, 1, v)
					}
					require.Greater(t, hostile, 3, "how often the context was asked")
				})
			})
		}
	}
}

// sliceError is an error on which == panics.
type sliceError []string

func (sliceError) Error() string { return "cannot be compared" }

// A lyingContext is a context with another error.
type lyingContext struct {
	context.Context
	err error
}

func (c lyingContext) Err() error    { return c.err }
func (c lyingContext) Value(any) any { return nil }

// TestContextThatLies: the error is the context's, whatever its type, and
// there is one even if the context has none. It leaves nothing behind.
func TestContextThatLies(t *testing.T) {
	for _, says := range []error{nil, sliceError{"a"}, fmt.Errorf("wrapped: %w", sliceError{"a"})} {
		want := says
		if says == nil {
			want = context.Canceled
		}
		overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
			ended, cancel := context.WithCancel(bg)
			w := wait.start(m, lyingContext{ended, says}, "a")
			cancel()
			synctest.Wait()
			r := <-w
			require.Equal(t, want, r.err)
			require.Zero(t, r.v)
			requireIdle(t, m)

			lying := lyingContext{bg, says} // it has ended or not, depending on the method
			ctx, cancel := context.WithTimeout(lying, time.Second)
			defer cancel()
			r = <-wait.start(m, ctx, "a")
			require.Error(t, r.err)
			requireIdle(t, m)
		})
	}
}

// TestCauseThatCannotBeCompared: it is matched, and so is the context's error.
func TestCauseThatCannotBeCompared(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		ctx, cancel := context.WithCancelCause(bg)
		w := wait.start(m, ctx, "a")
		cancel(sliceError{"a"})
		r := <-w
		require.ErrorIs(t, r.err, context.Canceled)
		var cause sliceError
		require.ErrorAs(t, r.err, &cause)
		requireIdle(t, m)

		w = wait.start(m, bg, "a")
		require.Equal(t, 1, m.CancelCause("a", sliceError{"b"}))
		r = <-w
		require.ErrorIs(t, r.err, waitmap.ErrCanceled)
		require.ErrorAs(t, r.err, &cause)
		require.Equal(t, "b", cause[0])
	})
}

// TestFutureWaitDoesNotReturn: a goroutine that leaves Future.Wait by a panic or by
// Goexit does not stop the others from being woken.
func TestFutureWaitDoesNotReturn(t *testing.T) {
	for how, leave := range leaves {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m intMap
				f := m.Register("a", nil)
				p := leavingParker{wake.Func(func() { t.Error("woken, though it has left") }), leave}
				require.False(t, outlive(func() { f.Wait(wake.WithParker(bg, p)) }))
				w := async(func() (int, error) { return f.Wait(bg) })
				synctest.Wait()
				m.Store("a", 1)
				requireValue(t, 1, w)
			})
		})
	}
}

// TestJoinersWakerDoesNotReturn: a Future wakes all joiners and its own waker, and
// so do the others in line with it, although the waker of a joiner panics or ends
// the goroutine, however the Future comes to its end.
func TestJoinersWakerDoesNotReturn(t *testing.T) {
	ends := map[string]func(m *intMap, f *waitmap.Future[int]){
		"Store":  func(m *intMap, _ *waitmap.Future[int]) { m.Store("a", 1) },
		"Cancel": func(m *intMap, _ *waitmap.Future[int]) { m.Cancel("a") },
		"Close":  func(m *intMap, _ *waitmap.Future[int]) { m.Close() },
		"Stop":   func(_ *intMap, f *waitmap.Future[int]) { f.Stop() },
		"Store with a taker": func(m *intMap, _ *waitmap.Future[int]) {
			taker := startTake(m, bg, "a")
			outlive(func() { m.Store("a", 1) })
			if r := <-taker; r.v != 1 {
				panic(r)
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
				var own, behind counter
				f := m.Register("a", &own)
				last := m.Register("a", &behind)
				var ws []<-chan result[int]
				for range 3 {
					hostile := crossParker{wake.NewParker(), leave}
					ws = append(ws, startIn(func() (int, error) { return f.Wait(wake.WithParker(bg, hostile)) }))
					ws = append(ws, startIn(func() (int, error) { return f.Wait(bg) }))
				}
				outlive(func() { end(m, f) })
				for _, w := range ws {
					v, _, err := f.Result()
					require.Equal(t, result[int]{v, err}, <-w)
				}
				require.Equal(t, name != "Stop", own.woken())
				require.Equal(t, name != "Stop", behind.woken())
				last.Stop()
				requireIdle(t, m)
			})
		})
	}
}
