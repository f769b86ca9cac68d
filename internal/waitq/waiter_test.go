package waitq_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

var (
	bg       = context.Background()
	errCause = errors.New("the cause")
)

// ended returns a context that has ended, with the cause errCause.
func ended() context.Context {
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errCause)
	return ctx
}

func TestWaiterIsFinishedOrAbandoned(t *testing.T) {
	type state struct{ done, gone bool }
	of := func(w *waiter) state { return state{w.Done(), w.Gone()} }
	for _, exclusive := range []bool{false, true} {
		fresh := func() *waiter {
			w := new(waiter)
			if exclusive {
				w.SetExclusive()
			}
			return w
		}
		w := fresh()
		require.Equal(t, state{}, of(w))
		require.True(t, w.Finish())
		require.False(t, w.Abandon())
		require.False(t, w.Finish())
		require.Equal(t, state{done: true}, of(w))
		require.Equal(t, exclusive, w.Exclusive())

		w = fresh()
		require.True(t, w.Abandon())
		require.False(t, w.Finish())
		require.False(t, w.Abandon())
		require.Equal(t, state{gone: true}, of(w))
		require.Equal(t, exclusive, w.Exclusive())
	}
}

func TestWakeCallsTheWaker(t *testing.T) {
	new(waiter).Wake() // it has no waker
	n := 0
	w := &waiter{Waker: wake.Func(func() { n++ })}
	require.True(t, w.Finish())
	w.Wake()
	require.Equal(t, 1, n)
	require.Nil(t, w.Waker, "it is dropped: a Future may be kept for long")
}

// TestStressFinishAgainstAbandon: one of them wins. A goroutine that finds that Finish
// won sees the value.
func TestStressFinishAgainstAbandon(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 2_000
	}
	var finished, abandoned int
	for i := range n {
		w := new(waiter)
		var wg sync.WaitGroup
		results := make([]bool, 2)
		wg.Go(func() {
			w.Value = i
			results[0] = w.Finish()
		})
		wg.Go(func() {
			if i%2 == 0 {
				runtime.Gosched()
			}
			if results[1] = w.Abandon(); !results[1] && w.Value != i {
				t.Error("the value is not there")
			}
		})
		wg.Wait()
		require.NotEqual(t, results[0], results[1])
		require.Equal(t, results[0], w.Done())
		require.Equal(t, results[1], w.Gone())
		if results[0] {
			finished++
		} else {
			abandoned++
		}
	}
	t.Logf("%d finished, %d abandoned", finished, abandoned)
}

// TestStressOneFinisher: of several calls of Finish one wins.
func TestStressOneFinisher(t *testing.T) {
	n := 5_000
	if testing.Short() {
		n = 500
	}
	for range n {
		w := new(waiter)
		var wg sync.WaitGroup
		results := make([]bool, 3)
		for j := range results {
			wg.Go(func() { results[j] = w.Finish() })
		}
		wg.Wait()
		wins := 0
		for _, won := range results {
			if won {
				wins++
			}
		}
		require.Equal(t, 1, wins)
	}
}

func TestAwaitReturnsAfterFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := wake.NewParker()
		w := &waiter{Waker: p}
		c := make(chan error, 1)
		go func() { c <- w.Await(bg, p) }()
		synctest.Wait()
		require.Empty(t, c)

		p.Wake() // a wake without Finish does not end the wait
		synctest.Wait()
		require.Empty(t, c)

		w.Value = 7
		require.True(t, w.Finish())
		w.Wake()
		require.NoError(t, <-c)
		require.Equal(t, 7, w.Value)
	})
}

// TestAwaitOfADoneWaiter: a value that was handed over wins over the context's end.
func TestAwaitOfADoneWaiter(t *testing.T) {
	w := new(waiter)
	w.Finish()
	require.NoError(t, w.Await(ended(), parkNever{t}))
}

// parkNever is a parker that is not needed.
type parkNever struct{ t *testing.T }

func (parkNever) Wake() {}
func (p parkNever) Park(context.Context) error {
	p.t.Error("parked")
	return nil
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(bg, time.Hour, errCause)
		defer cancel()
		p := wake.NewParker()
		w := &waiter{Waker: p}
		begin := time.Now()
		err := w.Await(ctx, p)
		require.Equal(t, time.Hour, time.Since(begin))
		require.Equal(t, errCause, err, "Park's error: the line is left first")
		require.True(t, w.Gone())
		require.False(t, w.Finish(), "too late")
	})
}

// parkFunc is a parker that does something first.
type parkFunc func(ctx context.Context) error

func (parkFunc) Wake()                            {}
func (f parkFunc) Park(ctx context.Context) error { return f(ctx) }

// TestAwaitFinishedWhileTheContextEnds: Finish was called between the end of the context
// and the waiter's look at it.
func TestAwaitFinishedWhileTheContextEnds(t *testing.T) {
	w := new(waiter)
	require.NoError(t, w.Await(ended(), parkFunc(func(ctx context.Context) error {
		w.Finish()
		return context.Cause(ctx)
	})))
	require.True(t, w.Done())
}

// TestAwaitLooksAgain: a parker may return without a wake.
func TestAwaitLooksAgain(t *testing.T) {
	w, parks := new(waiter), 0
	require.NoError(t, w.Await(bg, parkFunc(func(context.Context) error {
		if parks++; parks == 3 {
			w.Finish()
		}
		return nil
	})))
	require.Equal(t, 3, parks)
}

// TestStressAwait: a store races with the end of the context. Await returns nil if the
// store won, and then the value is there.
func TestStressAwait(t *testing.T) {
	n := 5_000
	if testing.Short() {
		n = 500
	}
	for i := range n {
		p := wake.NewParker()
		w := &waiter{Waker: p}
		ctx, cancel := context.WithCancel(bg)
		finished := make(chan bool, 1)
		go func() {
			w.Value = i
			ok := w.Finish()
			if ok {
				w.Wake()
			}
			finished <- ok
		}()
		go cancel()
		err := w.Await(ctx, p)
		if err == nil {
			require.Equal(t, i, w.Value)
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
		require.Equal(t, err == nil, <-finished)
		<-ctx.Done()
	}
}
