package dedup_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/wake"
)

// loadContext runs f in a load, with the context of a Do with ctx.
func loadContext(t testing.TB, ctx context.Context, f func(ctx context.Context)) {
	t.Helper()
	var g dedup.Group[string, int]
	_, _, err := g.Do(ctx, "k", func(ctx context.Context) (int, error) { f(ctx); return 0, nil })
	require.NoError(t, err)
}

type valueKey struct{}

// TestLoadContextKeepsValuesOnly, not the end, the deadline, the cause or the parker of
// the first caller's context.
func TestLoadContextKeepsValuesOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		parent, cancel := context.WithCancelCause(context.WithValue(bg, valueKey{}, "value"))
		p := wake.NewParker()
		ctx, stop := context.WithTimeout(wake.WithParker(parent, p), time.Hour)
		defer stop()
		loadContext(t, bg, func(context.Context) {})
		var g dedup.Group[string, int]
		l := newLoader()
		s := groupOf(&g, l.load)
		rs := append(s.startN(1, ctx, "k"), s.startN(1, bg, "k")...)
		call := l.next(t)
		require.Equal(t, "value", call.ctx.Value(valueKey{}))
		require.Nil(t, call.ctx.Value("no such"))
		_, ok := call.ctx.Deadline()
		require.False(t, ok)
		_, ok = wake.FromContext(call.ctx)
		require.False(t, ok)
		cancel(errCause)
		require.ErrorIs(t, (<-rs[0]).err, errCause)
		synctest.Wait()
		require.NoError(t, call.ctx.Err())
		require.NoError(t, context.Cause(call.ctx))
		child, stopChild := context.WithCancel(call.ctx)
		require.NoError(t, child.Err(), "not a child of the caller's")
		stopChild()
		call.give(1)
		<-rs[1]
	})
}

// TestLoadContextEnds when nobody waits, for users that asked for Done before or after
// the end, and for children of each kind.
func TestLoadContextEnds(t *testing.T) {
	for name, early := range map[string]bool{"asked before": true, "asked after": false} {
		t.Run(name, func(t *testing.T) { bubble(t, func(t *testing.T) { endOfContext(t, early) }) })
	}
}

func endOfContext(t *testing.T, early bool) {
	l := newLoader()
	l.lenient = true
	s := groupOf(new(dedup.Group[string, int]), l.load)
	caller, cancel := context.WithCancelCause(bg)
	r := s.start(caller, "k")
	call := l.next(t)
	if early {
		require.NoError(t, call.ctx.Err())
		select {
		case <-call.ctx.Done():
			require.Fail(t, "ended")
		default:
		}
	}
	cancel(errCause)
	<-r
	synctest.Wait()
	require.Equal(t, context.Canceled, call.ctx.Err())
	require.Equal(t, dedup.ErrAbandoned, context.Cause(call.ctx))
	<-call.ctx.Done()
	child, stop := context.WithCancel(call.ctx)
	defer stop()
	<-child.Done()
	require.Equal(t, dedup.ErrAbandoned, context.Cause(child))
	call.give(1)
	synctest.Wait()
	require.Equal(t, dedup.ErrAbandoned, context.Cause(call.ctx), "the end of the load changes nothing")
}

// TestChildrenOfALoadContext need no goroutine, and end with it.
func TestChildrenOfALoadContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		s := groupOf(new(dedup.Group[string, int]), l.load)
		caller, cancel := context.WithCancel(context.WithValue(bg, valueKey{}, 1))
		s.start(caller, "k")
		ctx := l.next(t).ctx
		child, stop := context.WithCancel(context.WithValue(ctx, valueKey{}, 2))
		defer stop()
		timed, stopTimed := context.WithTimeout(ctx, time.Hour)
		defer stopTimed()
		after := make(chan error, 1)
		context.AfterFunc(child, func() { after <- context.Cause(child) })
		stopped := context.AfterFunc(ctx, func() { after <- nil })
		require.True(t, stopped())
		kept := context.WithoutCancel(ctx)
		cancel()
		require.Equal(t, dedup.ErrAbandoned, <-after)
		require.Equal(t, dedup.ErrAbandoned, context.Cause(timed))
		require.NoError(t, kept.Err())
		require.NoError(t, context.Cause(kept))
		require.Equal(t, 2, child.Value(valueKey{}))
	})
}

// TestLoadContextEndsWithTheLoad, so that nothing holds on to it.
func TestLoadContextEndsWithTheLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, ask := range []bool{true, false} {
			var kept context.Context
			var done <-chan struct{}
			loadContext(t, bg, func(ctx context.Context) {
				kept = ctx
				if ask {
					done = ctx.Done()
				}
				require.NoError(t, ctx.Err())
			})
			synctest.Wait()
			require.Equal(t, context.Canceled, kept.Err())
			require.Equal(t, context.Canceled, context.Cause(kept))
			<-kept.Done()
			if ask {
				<-done
			}
		}
	})
}
