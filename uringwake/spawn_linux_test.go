package uringwake_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// watched is a context that can be ended, and counts what is registered with it.
type watched struct {
	context.Context // knows the cause
	done            chan struct{}
	end             func(cause error)
	hanging, ever   atomic.Int64
	asked           atomic.Pointer[func()] // called when Done is
}

func watch(ctx context.Context) *watched {
	inner, cancel := context.WithCancelCause(ctx)
	w := &watched{Context: inner, done: make(chan struct{})} // its own, or package context would look behind it
	w.end = func(cause error) {
		if inner.Err() == nil {
			cancel(cause)
			close(w.done)
		}
	}
	return w
}

func (w *watched) Done() <-chan struct{} {
	if f := w.asked.Load(); f != nil {
		(*f)()
	}
	return w.done
}

func (w *watched) AfterFunc(f func()) func() bool {
	w.hanging.Add(1)
	w.ever.Add(1)
	var once sync.Once
	leave := func() (first bool) {
		once.Do(func() { first = true; w.hanging.Add(-1) })
		return first
	}
	stop := context.AfterFunc(w.Context, func() {
		if leave() {
			f()
		}
	})
	return func() bool { stop(); return leave() }
}

// gone waits until nothing is registered with w.
func (w *watched) gone() { w.left(0) }

// left waits until n are registered with w.
func (w *watched) left(n int64) {
	for w.hanging.Load() != n {
		runtime.Gosched()
	}
}

// derivations are the ways to make the context of a child of that of its starter, which
// end with it.
var derivations = map[string]func(ctx context.Context) context.Context{
	"own":    func(ctx context.Context) context.Context { return ctx },
	"value":  func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "child's") },
	"cancel": func(ctx context.Context) context.Context { return derive(context.WithCancel(ctx)) },
	"timeout": func(ctx context.Context) context.Context {
		return context.WithValue(derive(context.WithTimeout(ctx, time.Hour)), key{}, "child's")
	},
	"foreign": func(ctx context.Context) context.Context { return foreign{ctx, ctx.Done()} },
	"another": func(ctx context.Context) context.Context {
		done := make(chan struct{})
		context.AfterFunc(ctx, func() { close(done) })
		return foreign{ctx, done}
	},
}

// derive leaves the cancel function out, as the return of a starter is to do without.
func derive(ctx context.Context, _ context.CancelFunc) context.Context { return ctx }

// foreign is a context of a type that package context does not know.
type foreign struct {
	context.Context
	done <-chan struct{}
}

func (c foreign) Done() <-chan struct{} { return c.done }

func (c foreign) Err() error {
	select {
	case <-c.done:
		return c.Context.Err()
	default:
		return nil
	}
}

// child runs as a task until its context ends.
type child struct {
	l    *uringwake.Loop
	ctx  context.Context
	ends chan struct{}
}

// await returns a child of the code under ctx that waits for its context's end.
func await(t testing.TB, ctx context.Context) *child {
	c := &child{l: uringwake.TaskFrom(ctx).Loop(), ends: make(chan struct{})}
	assert.NoError(t, wake.Go(ctx, func(ctx context.Context) {
		defer close(c.ends)
		c.ctx = ctx
		for uringwake.TaskFrom(ctx).Park(ctx) == nil {
		}
	}))
	return c
}

// cause waits for the end of the child, and returns what has ended its context.
func (c *child) cause() (err, cause error) {
	<-c.ends
	return c.ctx.Err(), context.Cause(c.ctx)
}

func (c *child) ended() bool {
	select {
	case <-c.ends:
		return true
	default:
		return false
	}
}

// orphan starts a child under parent, and waits until its starter has returned and all
// has seen that.
func orphan(t testing.TB, l *uringwake.Loop, parent context.Context, derived func(context.Context) context.Context) *child {
	t.Helper()
	children := make(chan *child, 1)
	require.NoError(t, l.Go(parent, func(ctx context.Context) { children <- await(t, derived(ctx)) }))
	c := <-children
	for living := -1; living != 1 && !c.ended(); {
		uringwake.OnLoop(t, l, func() { living = l.Living() })
	}
	if w, ok := parent.(*watched); ok {
		for w.hanging.Load() != 1 && !c.ended() { // the starter's registration is gone
			runtime.Gosched()
		}
	}
	return c
}

// Naive: the child's context is derived from the starter's, which ends when the starter
// returns.
func TestChildOutlivesItsStarter(t *testing.T) {
	for name, derived := range derivations {
		t.Run(name, func(t *testing.T) {
			for _, parent := range []context.Context{watch(context.Background()), context.Background()} {
				l := bareLoop(t, nil)
				c := orphan(t, l, parent, derived)
				for range 10 {
					uringwake.OnLoop(t, l, func() {})
				}
				require.False(t, c.ended())
				require.NoError(t, c.ctx.Err())
				require.NoError(t, l.Close(context.Background()))
			}
		})
	}
}

// Naive: a child that does not end with its starter ends with nothing.
func TestChildEndsWithTheParentOfItsStarter(t *testing.T) {
	l := newLoop(t, nil)
	for name, derived := range derivations {
		t.Run("after its return/"+name, func(t *testing.T) {
			parent := watch(context.Background())
			c := orphan(t, l, parent, derived)
			parent.end(errCause)
			err, cause := c.cause()
			require.Equal(t, context.Canceled, err)
			require.Equal(t, errCause, cause)
			parent.gone()
		})
		t.Run("before its return/"+name, func(t *testing.T) {
			parent := watch(context.Background())
			children := make(chan *child, 1)
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				c := await(t, derived(ctx))
				parent.end(errCause)
				for uringwake.TaskFrom(ctx).Park(ctx) == nil {
				}
				children <- c
			}))
			err, cause := (<-children).cause()
			require.Equal(t, context.Canceled, err)
			require.Equal(t, errCause, cause)
			parent.gone()
		})
		t.Run("deadline/"+name, func(t *testing.T) {
			parent := timeout(t, 10*time.Millisecond)
			c := orphan(t, l, parent, derived)
			at, ok := c.ctx.Deadline()
			expected, _ := parent.Deadline()
			require.True(t, ok)
			require.True(t, expected.Equal(at))
			err, cause := c.cause()
			require.Equal(t, context.DeadlineExceeded, err)
			require.Equal(t, context.DeadlineExceeded, cause)
		})
	}
}

func TestChildEndsWithTheLoop(t *testing.T) {
	for name, derived := range derivations {
		t.Run(name, func(t *testing.T) {
			for _, parent := range []context.Context{watch(context.Background()), context.Background()} {
				l := bareLoop(t, nil)
				c := orphan(t, l, parent, derived)
				require.NoError(t, l.Close(context.Background()))
				err, cause := c.cause()
				require.Equal(t, context.Canceled, err)
				require.Equal(t, uringwake.ErrClosed, cause)
				require.ErrorIs(t, c.ctx.Err(), context.Canceled)
				if w, ok := parent.(*watched); ok {
					w.gone()
				}
			}
		})
	}
}

// Naive: a child that a closing loop takes, and never runs.
func TestSpawnAfterClose(t *testing.T) {
	for name, derived := range derivations {
		t.Run(name, func(t *testing.T) {
			l, parent := bareLoop(t, nil), watch(context.Background())
			contexts := make(chan context.Context, 1)
			spawn := func(ctx context.Context) {
				assert.Equal(t, uringwake.ErrClosed, wake.Go(derived(ctx), func(context.Context) { assert.Fail(t, "it runs") }))
			}
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				for uringwake.TaskFrom(ctx).Park(ctx) == nil {
				}
				spawn(ctx)
				contexts <- ctx
			}))
			require.NoError(t, l.Close(context.Background()))
			spawn(<-contexts)
			parent.gone()
		})
	}
}

// The end of a derived context is the child's, with its error and its cause.
func TestChildEndsWithADerivedContext(t *testing.T) {
	l := newLoop(t, nil)
	for name, c := range map[string]struct {
		derived    func(ctx context.Context) (context.Context, func())
		err, cause error
	}{
		"cancel": {func(ctx context.Context) (context.Context, func()) {
			return context.WithCancel(ctx)
		}, context.Canceled, context.Canceled},
		"cause": {func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(ctx)
			return context.WithValue(ctx, key{}, 1), func() { cancel(errCause) }
		}, context.Canceled, errCause},
		"deadline": {func(ctx context.Context) (context.Context, func()) {
			return derive(context.WithTimeout(ctx, time.Millisecond)), func() {}
		}, context.DeadlineExceeded, context.DeadlineExceeded},
		"deadline with a cause": {func(ctx context.Context) (context.Context, func()) {
			return derive(context.WithTimeoutCause(ctx, time.Millisecond, errCause)), func() {}
		}, context.DeadlineExceeded, errCause},
		"no relation": {func(ctx context.Context) (context.Context, func()) {
			other := watch(wake.WithParker(context.Background(), uringwake.TaskFrom(ctx)))
			return other, func() { other.end(errCause) }
		}, context.Canceled, errCause},
		"without cancel": {func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
			return ctx, func() { cancel(errCause) }
		}, context.Canceled, errCause},
	} {
		t.Run(name, func(t *testing.T) {
			parent := watch(context.Background())
			for _, parent := range []context.Context{parent, context.Background()} {
				children := make(chan *child, 3)
				require.NoError(t, l.Go(parent, func(ctx context.Context) {
					ctx, end := c.derived(ctx)
					before := await(t, ctx)
					uringwake.TaskFrom(ctx).Yield()
					end()
					<-ctx.Done()
					children <- before
					children <- await(t, ctx)
					children <- await(t, context.WithValue(ctx, key{}, 2))
				}))
				for range cap(children) {
					err, cause := (<-children).cause()
					require.Equal(t, c.err, err)
					require.Equal(t, c.cause, cause)
				}
			}
			parent.gone()
		})
	}
}

// Naive: the start of a child is no look at the context, whose end comes later by mail.
func TestChildOfAnEndedContextStartsEnded(t *testing.T) {
	l := newLoop(t, nil)
	for _, parent := range []context.Context{watch(context.Background()), context.Background()} {
		for range 100 {
			errs := make(chan error, 1)
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				ctx, cancel := context.WithCancelCause(ctx)
				cancel(errCause)
				assert.NoError(t, wake.Go(ctx, func(ctx context.Context) { errs <- context.Cause(ctx) }))
			}))
			require.Equal(t, errCause, <-errs)
		}
	}
}

// Naive: the timer of a derived context stops when the starter returns, and with it the
// deadline of the child.
func TestChildKeepsItsDeadline(t *testing.T) {
	l := newLoop(t, nil)
	for _, parent := range []context.Context{watch(context.Background()), context.Background()} {
		var at time.Time
		c := orphan(t, l, parent, func(ctx context.Context) context.Context {
			ctx = derive(context.WithTimeout(ctx, 30*time.Millisecond))
			at, _ = ctx.Deadline()
			return ctx
		})
		got, ok := c.ctx.Deadline()
		require.True(t, ok)
		require.True(t, at.Equal(got))
		err, cause := c.cause()
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, context.DeadlineExceeded, cause)
		inTask(t, l, 0)
		if w, ok := parent.(*watched); ok {
			w.gone()
		}
	}
}

// A child under a context without an end ends with the loop only.
func TestChildWithoutCancel(t *testing.T) {
	for _, late := range []bool{false, true} {
		l, parent := bareLoop(t, nil), watch(context.Background())
		c := make(chan *child, 1)
		require.NoError(t, l.Go(parent, func(ctx context.Context) {
			c <- await(t, context.WithoutCancel(ctx))
			for late && uringwake.TaskFrom(ctx).Park(ctx) == nil {
			}
		}))
		child := <-c
		parent.end(errCause)
		inTask(t, l, 1)
		parent.gone()
		for range 10 {
			uringwake.OnLoop(t, l, func() {})
		}
		require.False(t, child.ended())
		require.NoError(t, l.Close(context.Background()))
		_, cause := child.cause()
		require.Equal(t, uringwake.ErrClosed, cause)
	}
}

// A child of a child is like a child of the first starter.
func TestChildOfAChild(t *testing.T) {
	l := newLoop(t, nil)
	for outer, first := range derivations {
		for inner, second := range derivations {
			t.Run(outer+" "+inner, func(t *testing.T) {
				parent := watch(context.WithValue(context.Background(), key{}, "parent's"))
				c := orphan(t, l, parent, func(ctx context.Context) context.Context {
					next := make(chan context.Context, 1)
					assert.NoError(t, wake.Go(first(ctx), func(ctx context.Context) { next <- second(ctx) }))
					for len(next) == 0 {
						uringwake.TaskFrom(ctx).Yield()
					}
					return <-next
				})
				require.NoError(t, c.ctx.Err())
				parent.end(errCause)
				err, cause := c.cause()
				require.Equal(t, context.Canceled, err)
				require.Equal(t, errCause, cause)
				parent.gone()
			})
		}
	}
}

// Naive: the end of the first starter ends the child of a child that lives.
func TestGrandchildOutlivesTheFirstStarter(t *testing.T) {
	l := newLoop(t, nil)
	for name, derived := range derivations {
		t.Run(name, func(t *testing.T) {
			parent := watch(context.Background())
			first, children := make(chan context.Context, 1), make(chan *child, 1)
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				first <- ctx
				assert.NoError(t, wake.Go(derived(ctx), func(ctx context.Context) {
					ctx, cancel := context.WithCancelCause(ctx)
					defer cancel(nil)
					c := await(t, derived(ctx))
					children <- c
					uringwake.Blocking(ctx, func() { <-c.ends })
				}))
			}))
			c := <-children
			<-(<-first).Done()
			inTask(t, l, 2)
			for parent.hanging.Load() != 1 && !c.ended() { // that of the child, which the grandchild follows
				runtime.Gosched()
			}
			for range 10 {
				uringwake.OnLoop(t, l, func() {})
			}
			require.False(t, c.ended())
			parent.end(errCause)
			_, cause := c.cause()
			require.Equal(t, errCause, cause)
			inTask(t, l, 0)
			parent.gone()
		})
	}
}

// The child has the values of its context, also those that hide its parent's, and a
// parker of its own, on the same loop.
func TestChildHasTheValuesOfItsContext(t *testing.T) {
	type other struct{}
	l := newLoop(t, nil)
	values := context.WithValue(context.WithValue(context.Background(), key{}, "parent's"), other{}, "other")
	values = context.WithValue(values, &values, context.Background())
	for name, derived := range derivations {
		for _, parent := range []context.Context{watch(values), values, wake.WithParker(watch(values), wake.NewParker())} {
			t.Run(name, func(t *testing.T) {
				run := func(ctx context.Context, look func(ctx context.Context)) {
					done := make(chan struct{})
					assert.NoError(t, wake.Go(ctx, func(child context.Context) {
						defer close(done)
						look(child)
						assert.Equal(t, "other", child.Value(other{}))
						task := uringwake.TaskFrom(child)
						assert.Same(t, task, wake.ParkerFrom(child))
						assert.NotSame(t, task, uringwake.TaskFrom(ctx))
						assert.Same(t, l, task.Loop())
						assert.NotEqual(t, task.ID(), uringwake.TaskFrom(ctx).ID())
					}))
					uringwake.Blocking(ctx, func() { <-done })
				}
				done := make(chan struct{})
				require.NoError(t, l.Go(parent, func(ctx context.Context) {
					defer close(done)
					ctx = derived(ctx)
					run(ctx, func(child context.Context) { assert.Equal(t, ctx.Value(key{}), child.Value(key{})) })
					ctx = context.WithValue(ctx, key{}, nil)
					run(ctx, func(child context.Context) { assert.Nil(t, child.Value(key{})) })
					run(ctx, func(child context.Context) {
						assert.Equal(t, context.Background(), child.Value(&values))
						below, cancel := context.WithCancel(child)
						defer cancel()
						run(context.WithValue(below, key{}, 3), func(child context.Context) {
							assert.Equal(t, 3, child.Value(key{}))
						})
					})
				}))
				<-done
			})
		}
	}
	inTask(t, l, 0)
}

// A context is of use to start a child when its task has returned, too.
func TestSpawnFromAGoroutineAfterTheReturn(t *testing.T) {
	l := newLoop(t, nil)
	for name, derived := range derivations {
		t.Run(name, func(t *testing.T) {
			parent := watch(context.Background())
			contexts := make(chan context.Context, 2)
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				contexts <- derived(ctx)
				contexts <- ctx
			}))
			before, own := <-contexts, <-contexts
			inTask(t, l, 0)
			children := []*child{await(t, before), await(t, derived(own))}
			inTask(t, l, 2)
			for parent.hanging.Load() != 2 && !children[0].ended() && !children[1].ended() {
				runtime.Gosched()
			}
			parent.end(errCause)
			for _, c := range children {
				_, cause := c.cause()
				require.Equal(t, errCause, cause)
			}
			late := await(t, before)
			_, cause := late.cause()
			require.Equal(t, errCause, cause)
			parent.gone()
		})
	}
}

// A child that panics or exits is one of Loop.Go's.
func TestPanicAndGoexitInAChild(t *testing.T) {
	values := make(chan any, 1)
	l := newLoop(t, &uringwake.LoopOptions{OnPanic: func(v any, _ []byte) { values <- v }})
	for name, derived := range derivations {
		t.Run(name, func(t *testing.T) {
			parent := watch(context.Background())
			defer parent.end(nil)
			for range 10 {
				var after atomic.Bool
				require.NoError(t, l.Go(parent, func(ctx context.Context) {
					ctx = derived(ctx)
					assert.NoError(t, wake.Go(ctx, func(ctx context.Context) {
						assert.NoError(t, uringwake.Nop(context.WithoutCancel(ctx)))
						deadly()
					}))
					assert.NoError(t, wake.Go(ctx, func(context.Context) {
						runtime.Goexit()
						after.Store(true)
					}))
				}))
				require.Equal(t, errCause, <-values)
				inTask(t, l, 0)
				require.False(t, after.Load())
				parent.gone()
			}
		})
	}
}

// A goroutine, and not a task, runs what is started under a context that hides its task.
func TestGoUnderAHiddenTask(t *testing.T) {
	run(t, newLoop(t, nil), func(ctx context.Context) {
		done := make(chan struct{})
		require.NoError(t, wake.Go(wake.WithParker(ctx, nil), func(ctx context.Context) {
			defer close(done)
			assert.Nil(t, uringwake.TaskFrom(ctx))
		}))
		<-done // which would wait forever for a task of this loop
	})
}

func TestSpawnMisusePanics(t *testing.T) {
	run(t, newLoop(t, nil), func(ctx context.Context) {
		task := uringwake.TaskFrom(ctx)
		require.PanicsWithValue(t, "uringwake: nil context", func() { task.Spawn(noContext, func(context.Context) {}) })
		require.PanicsWithValue(t, "uringwake: Spawn of a nil function", func() { task.Spawn(ctx, nil) })
	})
}

// The cause of the end of a task that has returned says so, and matches what Err returns.
func TestCauseOfAReturn(t *testing.T) {
	l := newLoop(t, nil)
	contexts := make(chan context.Context, 1)
	parent := watch(context.Background())
	defer parent.end(nil)
	require.NoError(t, l.Go(parent, func(ctx context.Context) { contexts <- ctx }))
	ctx := <-contexts
	<-ctx.Done()
	require.ErrorIs(t, context.Cause(ctx), context.Canceled)
	require.ErrorContains(t, context.Cause(ctx), "has returned")
	require.False(t, errors.Is(context.Cause(ctx), context.DeadlineExceeded))
	require.False(t, errors.Is(context.Cause(ctx), uringwake.ErrClosed))
}
