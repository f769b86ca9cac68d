package wake_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

var (
	_ wake.Waker        = wake.Func(nil)
	_ wake.Waker        = wake.Chan(nil)
	_ wake.Parker       = wake.NewParker()
	_ wake.Registration = (*stopper)(nil)
	_ wake.Registration = (*time.Timer)(nil)
)

type stopper struct{}

func (*stopper) Stop() bool { return true }

// nilCtx is passed by a caller that has no context.
var nilCtx context.Context

var errCause = errors.New("the cause")

func TestFuncCallsTheFunction(t *testing.T) {
	n := 0
	w := wake.Func(func() { n++ })
	w.Wake()
	w.Wake()
	require.Equal(t, 2, n)
}

func TestChanSendsWithoutBlocking(t *testing.T) {
	buffered := make(wake.Chan, 1)
	buffered.Wake()
	buffered.Wake() // one is enough
	require.Len(t, buffered, 1)
	<-buffered
	buffered.Wake()
	require.Len(t, buffered, 1)

	unbuffered := make(wake.Chan)
	unbuffered.Wake() // there is no receiver: the wake is lost and does not block
	wake.Chan(nil).Wake()
}

func TestChanWakesAReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := make(wake.Chan)
		received := make(chan struct{})
		go func() { <-c; close(received) }()
		synctest.Wait()
		c.Wake()
		<-received
	})
}

func TestParkTakesOnePermit(t *testing.T) {
	for name, background := range map[string]bool{"background": true, "cancelable": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if background { // which has no end and takes another path
					ctx = context.Background()
				}
				p := wake.NewParker()
				p.Wake()
				p.Wake() // a permit that is there stays one
				require.NoError(t, p.Park(ctx))

				c := make(chan error, 1)
				go func() { c <- p.Park(ctx) }()
				synctest.Wait()
				require.Empty(t, c, "the second wake left no second permit")
				p.Wake()
				require.NoError(t, <-c)
			})
		})
	}
}

func TestParkReturnsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := wake.NewParker()
		ctx, cancel := context.WithCancelCause(context.Background())
		c := make(chan error, 1)
		go func() { c <- p.Park(ctx) }()
		synctest.Wait()
		require.Empty(t, c)
		cancel(errCause)
		require.Equal(t, errCause, <-c)
		require.Equal(t, errCause, p.Park(ctx), "done before")

		late, stop := context.WithTimeout(context.Background(), time.Hour)
		defer stop()
		begin := time.Now()
		require.Equal(t, context.DeadlineExceeded, p.Park(late))
		require.Equal(t, time.Hour, time.Since(begin), "durably blocked")
	})
}

// says is a context whose methods return given errors.
type says struct {
	context.Context
	err error
}

func (c says) Err() error { return c.err }

type sliceError []int

func (sliceError) Error() string { return "cannot be compared" }

// TestParkFailsWithAnError if the context's Done is closed, whatever its other methods
// return: a waiter that gets nil parks again.
func TestParkFailsWithAnError(t *testing.T) {
	over, cancel := context.WithCancelCause(context.Background())
	cancel(errCause)
	open := make(chan struct{})
	close(open)
	for _, err := range []error{nil, errCause, sliceError{1}} {
		want := err
		if err == nil {
			want = context.Canceled
		}
		require.Equal(t, want, wake.NewParker().Park(doneSays{open, says{context.Background(), err}}))
		if err != nil {
			want = errCause // which comes first
		}
		require.Equal(t, want, wake.NewParker().Park(says{over, err}))
	}
}

// doneSays hides that it wraps a context of package context.
type doneSays struct {
	done chan struct{}
	says
}

func (c doneSays) Done() <-chan struct{} { return c.done }

// TestPermitWinsOverContext, each time: select would choose at random.
func TestPermitWinsOverContext(t *testing.T) {
	p := wake.NewParker()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 200 {
		p.Wake()
		require.NoError(t, p.Park(ctx))
		require.ErrorIs(t, p.Park(ctx), context.Canceled)
	}
}

// TestPermitSurvivesFailedPark: a wake that comes after the failure is there
// for the next one.
func TestPermitSurvivesFailedPark(t *testing.T) {
	p := wake.NewParker()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, p.Park(ctx))
	p.Wake()
	require.NoError(t, p.Park(context.Background()))
}

func TestNilContextPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"Park":       func() { wake.NewParker().Park(nilCtx) },
		"WithParker": func() { wake.WithParker(nilCtx, nil) },
		"ParkerFrom": func() { wake.ParkerFrom(nilCtx) },
	} {
		require.PanicsWithValue(t, "wake: nil context", f, name)
	}
}

func TestParkersAreFresh(t *testing.T) {
	require.NotEqual(t, wake.NewParker(), wake.NewParker())
	ctx := context.Background()
	require.NotEqual(t, wake.ParkerFrom(ctx), wake.ParkerFrom(ctx))
	a, b := wake.NewParker(), wake.NewParker()
	a.Wake()
	done, cancel := context.WithCancel(ctx)
	cancel()
	require.Error(t, b.Park(done), "the permit is a's")
}

// myParker is a parker of another type.
type myParker struct{ wake.Parker }

func TestParkerFromTheContext(t *testing.T) {
	type key struct{}
	p := &myParker{wake.NewParker()}
	ctx := wake.WithParker(context.Background(), p)
	require.Same(t, p, wake.ParkerFrom(ctx))
	require.Same(t, p, wake.ParkerFrom(ctx), "the same each time")
	inner, cancel := context.WithCancel(context.WithValue(ctx, key{}, 1))
	defer cancel()
	require.Same(t, p, wake.ParkerFrom(inner))

	q := &myParker{wake.NewParker()}
	require.Same(t, q, wake.ParkerFrom(wake.WithParker(inner, q)))
	require.Same(t, p, wake.ParkerFrom(inner))
}

func TestWithParkerNilHides(t *testing.T) {
	p := &myParker{wake.NewParker()}
	ctx, cancel := context.WithCancelCause(wake.WithParker(context.Background(), p))
	hidden := wake.WithParker(ctx, nil)
	got := wake.ParkerFrom(hidden)
	require.NotNil(t, got)
	require.NotEqual(t, wake.Parker(p), got)
	require.NotEqual(t, got, wake.ParkerFrom(hidden), "a new one each time")
	require.Same(t, p, wake.ParkerFrom(ctx))
	require.Same(t, p, wake.ParkerFrom(wake.WithParker(hidden, p)), "and shown again")
	cancel(errCause)
	require.Equal(t, errCause, got.Park(hidden), "all else of the context stays")
	require.NotNil(t, wake.ParkerFrom(wake.WithParker(context.Background(), nil)))
}

// TestStressParker: a consumer that looks, parks and looks again misses nothing,
// however many goroutines wake it and however often.
func TestStressParker(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 2_000
	}
	p := wake.NewParker()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var produced atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range n {
				produced.Add(1)
				p.Wake()
			}
		})
	}
	for produced.Load() < int64(3*n) {
		if err := p.Park(ctx); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// TestStressParkerContext: a wake races with the end of the context. A permit is taken
// once: after Park returned nil there is none left, after an error it is still there.
func TestStressParkerContext(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 300
	}
	done, end := context.WithCancel(context.Background())
	end()
	for i := range n {
		p := wake.NewParker()
		ctx, cancel := context.WithCancelCause(context.Background())
		var wg sync.WaitGroup
		wg.Go(p.Wake)
		wg.Go(func() {
			if i%2 == 0 {
				runtime.Gosched()
			}
			cancel(errCause)
		})
		err := p.Park(ctx)
		wg.Wait()
		if err == nil {
			require.ErrorIs(t, p.Park(done), context.Canceled)
		} else {
			require.Equal(t, errCause, err)
			require.NoError(t, p.Park(done))
		}
	}
}

// TestParkAfterUseOutsideABubble: a parker of a bubble is a new one.
func TestParkAfterUseOutsideABubble(t *testing.T) {
	for range 3 {
		p := wake.ParkerFrom(context.Background())
		p.Wake()
		require.NoError(t, p.Park(context.Background()))
		synctest.Test(t, func(t *testing.T) {
			p := wake.ParkerFrom(context.Background())
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			require.ErrorIs(t, p.Park(ctx), context.DeadlineExceeded)
			go p.Wake()
			require.NoError(t, p.Park(context.Background()))
		})
	}
}

func TestParkAllocations(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := wake.NewParker()
	require.Zero(t, testing.AllocsPerRun(100, func() { p.Wake(); p.Park(ctx) }))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { p = wake.NewParker() }), 1.0)
}
