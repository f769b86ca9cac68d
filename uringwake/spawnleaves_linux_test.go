package uringwake_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// Naive: a loop that has closed since the first look at it leaves the context of a child
// that it refuses registered.
func TestRefusedChildLetsGoOfItsParents(t *testing.T) {
	for name, derived := range derivations {
		t.Run(name, func(t *testing.T) {
			l, parent := bareLoop(t, nil), watch(context.Background())
			contexts := make(chan context.Context, 1)
			require.NoError(t, l.Go(parent, func(ctx context.Context) { contexts <- ctx }))
			ctx := derived(<-contexts)
			<-ctx.Done() // then the start looks at parent
			inTask(t, l, 0)
			closeIt := sync.OnceFunc(func() { assert.NoError(t, l.Close(context.Background())) })
			parent.asked.Store(&closeIt)
			err := wake.Go(ctx, func(context.Context) { assert.Fail(t, "it runs") })
			require.Equal(t, uringwake.ErrClosed, err)
			parent.gone()
		})
	}
}

// Naive: each child leaves a registration with what it could have ended with, or a
// goroutine that waits for that.
func TestNoRegistrationIsLeftByAChild(t *testing.T) {
	l := newLoop(t, nil)
	for name, derived := range derivations {
		t.Run(name, func(t *testing.T) {
			parent := watch(context.Background())
			defer parent.end(nil)
			contexts, hold := make(chan context.Context, 1), make(chan struct{})
			require.NoError(t, l.Go(parent, func(ctx context.Context) {
				contexts <- ctx
				uringwake.Blocking(ctx, func() { <-hold })
			}))
			ctx := <-contexts
			below := watch(ctx)
			inItself, inBelow := derived(ctx), derived(below)
			oneByOne(t, l, inItself, 100)
			oneByOne(t, l, inBelow, 100)
			inTask(t, l, 1)
			own := below.hanging.Load() // of derived
			goroutines, before, n := goleak.IgnoreCurrent(), used(t), testkit.Scale(100_000, 10_000)/6
			oneByOne(t, l, inItself, n)
			oneByOne(t, l, inBelow, n)
			inTask(t, l, 1)
			require.Equal(t, int64(1), parent.hanging.Load(), "the starter's own")
			below.left(own)
			close(hold)
			inTask(t, l, 0)
			oneByOne(t, l, inItself, n)
			inTask(t, l, 0)
			parent.gone()
			goleak.VerifyNone(t, goroutines)
			require.Less(t, used(t).heap, before.heap+1<<20)
		})
	}
}

// oneByOne starts n children under ctx, each when the one before has returned. They are
// started by another task of the loop, since that takes less time.
func oneByOne(t testing.TB, l *uringwake.Loop, ctx context.Context, n int) {
	t.Helper()
	run(t, l, func(own context.Context) {
		ended := 0
		for i := range n {
			require.NoError(t, wake.Go(ctx, func(context.Context) { ended++ }))
			for ended == i {
				uringwake.TaskFrom(own).Yield()
			}
		}
	})
}

// Naive: the context of each task in a row, each of which starts the next one, refers to
// that of the one before.
func TestSuccessorsDoNotPileUp(t *testing.T) {
	l := newLoop(t, nil)
	for _, parent := range []context.Context{watch(context.Background()), context.Background()} {
		heap := func(n int) (after uint64) {
			hold, reached := make(chan struct{}), make(chan struct{})
			var next func(ctx context.Context)
			next = func(ctx context.Context) {
				if n--; n > 0 {
					assert.NoError(t, wake.Go(ctx, next))
					return
				}
				close(reached)
				uringwake.Blocking(ctx, func() { <-hold })
			}
			require.NoError(t, l.Go(parent, next))
			<-reached
			after = used(t).heap
			close(hold)
			inTask(t, l, 0)
			return after
		}
		few := heap(100)
		require.Less(t, heap(testkit.Scale(100_000, 10_000)), few+1<<20)
	}
}

// Naive: a child that ends while its context changes over to the parent of its starter
// has been unregistered before it is registered there.
func TestNoRegistrationIsLeftByAChildThatEndsMeanwhile(t *testing.T) {
	l := newLoop(t, nil)
	for _, derived := range []func(ctx context.Context) context.Context{
		derivations["cancel"], derivations["timeout"], derivations["another"],
	} {
		parent := watch(context.Background())
		children, goOn := make(chan *uringwake.Task, 1), make(chan struct{})
		require.NoError(t, l.Go(parent, func(ctx context.Context) {
			assert.NoError(t, wake.Go(derived(ctx), func(ctx context.Context) {
				children <- uringwake.TaskFrom(ctx)
				uringwake.Blocking(context.WithoutCancel(ctx), func() { <-goOn })
			}))
			changesOver := sync.OnceFunc(func() { // the next look at the parent
				close(goOn)
				inTask(t, l, 0)
			})
			for len(children) == 0 {
				uringwake.TaskFrom(ctx).Yield()
			}
			parent.asked.Store(&changesOver)
		}))
		for parent.ever.Load() != 2 { // the child's registration has come, too late
			runtime.Gosched()
		}
		parent.gone()
		parent.end(nil)
	}
}

// All ends of a child at once, while it is started: it ends, by one of them, and leaves
// nothing.
func TestEndsOfAChildRace(t *testing.T) {
	goroutines := goleak.IgnoreCurrent()
	for i := range scaled(2000) {
		l, parent := bareLoop(t, &tiny), watch(context.Background())
		cancels, causes := make(chan context.CancelCauseFunc, 1), make(chan error, 2)
		start := func(ctx context.Context) {
			err := wake.Go(ctx, func(ctx context.Context) {
				for uringwake.TaskFrom(ctx).Park(ctx) == nil {
				}
				causes <- context.Cause(ctx)
			})
			if err != nil {
				causes <- err
			}
		}
		require.NoError(t, l.Go(parent, func(ctx context.Context) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancels <- cancel
			start(ctx)
			start(context.WithValue(ctx, key{}, i))
		}))
		cancel := <-cancels
		ends := []func(){
			func() { cancel(errCause) },
			func() { parent.end(errCause) },
			func() { assert.NoError(t, l.Close(context.Background())) },
		}
		var now sync.WaitGroup
		for j, end := range ends {
			if i>>j&1 == 0 {
				now.Go(end)
			}
		}
		now.Wait()
		if i&6 == 6 { // a cancel after the return of the starter reaches no child
			parent.end(errCause)
		}
		for range cap(causes) {
			require.Contains(t, []error{errCause, uringwake.ErrClosed}, <-causes)
		}
		for _, end := range ends {
			end()
		}
		parent.gone()
	}
	goleak.VerifyNone(t, goroutines)
}
