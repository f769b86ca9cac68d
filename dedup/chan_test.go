package dedup_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/wake"
)

// TestDoChanReceivesTheResult, once, and shares the load with callers of Do.
func TestDoChanReceivesTheResult(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var g dedup.Group[string, int]
		l := newLoader()
		alone := g.DoChan(bg, "a", l.load)
		l.next(t).give(1)
		require.Equal(t, dedup.Result[int]{Value: 1}, <-alone)
		first, second := g.DoChan(bg, "a", l.load), g.DoChan(bg, "a", l.load)
		for _, info := range g.InFlight() {
			require.Equal(t, 2, info.Waiters, "in line on return")
		}
		third := groupOf(&g, l.load).startN(1, bg, "a")[0]
		l.next(t).give(2)
		require.Equal(t, dedup.Result[int]{Value: 2, Shared: true}, <-first)
		require.Equal(t, result{2, true, nil}, <-third)
		synctest.Wait()
		require.Len(t, second, 1, "nobody has to receive")
		l.requireNone(t)
	})
}

// TestDoChanEndsWithItsContext, and the load with its last caller.
func TestDoChanEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var g dedup.Group[string, int]
		l := newLoader()
		require.ErrorIs(t, (<-g.DoChan(doneCtx(), "a", l.load)).Err, errCause)
		l.requireNone(t)
		ctx, cancel := context.WithCancelCause(bg)
		r := g.DoChan(ctx, "a", l.load)
		load := l.next(t)
		cancel(errCause)
		got := <-r
		require.ErrorIs(t, got.Err, errCause)
		require.ErrorIs(t, got.Err, context.Canceled)
		synctest.Wait()
		require.ErrorIs(t, load.canceled(), dedup.ErrAbandoned)
	})
}

// TestDoChanOfALoadThatMisbehaves receives an error with the zero value.
func TestDoChanOfALoadThatMisbehaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var g dedup.Group[string, int]
		for _, f := range []func(context.Context) (int, error){
			func(context.Context) (int, error) { panic("f") },
			func(context.Context) (int, error) { runtime.Goexit(); return 1, nil },
		} {
			r := <-g.DoChan(bg, "a", f)
			_, ok := errors.AsType[*dedup.PanicError](r.Err)
			require.True(t, ok)
			require.Zero(t, r.Value)
		}
		require.Equal(t, errLoad, (<-g.DoChan(bg, "a", func(context.Context) (int, error) { return 5, errLoad })).Err)
		require.Equal(t, "dedup: DoChan of a nil function", panicText(t, func() { g.DoChan(bg, "a", nil) }))
		require.Contains(t, panicText(t, func() { g.DoChan(nilCtx, "a", newLoader().load) }), "dedup: ")
	})
}

// TestDoChanDoesNotUseTheParker of its context: that is its caller's, who does not sleep.
func TestDoChanDoesNotUseTheParker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var g dedup.Group[string, int]
		l := newLoader()
		p := wake.NewParker()
		r := g.DoChan(wake.WithParker(bg, p), "a", l.load)
		l.next(t).give(1)
		require.Equal(t, 1, (<-r).Value)
		ctx, cancel := context.WithCancel(bg)
		cancel()
		require.Error(t, p.Park(ctx), "no permit was left")
	})
}

// A lateContext panics in each call of Done but the first, which DoChan makes.
type lateContext struct {
	context.Context
	calls atomic.Int32
}

func (c *lateContext) Done() <-chan struct{} {
	if c.calls.Add(1) > 1 {
		panic("Done")
	}
	return c.Context.Done()
}

// TestDoChanWithAContextThatPanics does not end the program.
func TestDoChanWithAContextThatPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var g dedup.Group[string, int]
		l := newLoader()
		inner, cancel := context.WithCancel(bg)
		defer cancel()
		ctx := &lateContext{Context: inner}
		r := g.DoChan(ctx, "a", l.load)
		_, ok := errors.AsType[*dedup.PanicError]((<-r).Err)
		require.True(t, ok)
		synctest.Wait()
		for key := range g.InFlight() {
			require.Fail(t, "in flight", key)
		}
	})
}

// TestForgetUnsharedSparesACallThatSeveralWaitFor.
func TestForgetUnsharedSparesACallThatSeveralWaitFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var g dedup.Group[string, int]
		l := newLoader()
		s := groupOf(&g, l.load)
		require.True(t, g.ForgetUnshared("a"), "nothing is in flight")
		first := s.startN(1, bg, "a")[0]
		load := l.next(t)
		ctx, cancel := context.WithCancel(bg)
		second := s.startN(1, ctx, "a")[0]
		require.False(t, g.ForgetUnshared("a"))
		third := s.startN(1, bg, "a")[0]
		l.requireNone(t)
		cancel()
		require.Error(t, (<-second).err)
		require.False(t, g.ForgetUnshared("a"))
		load.give(1)
		require.Equal(t, result{1, true, nil}, <-first)
		require.Equal(t, result{1, true, nil}, <-third)

		first = s.startN(1, bg, "a")[0]
		load = l.next(t)
		require.True(t, g.ForgetUnshared("a"))
		again := s.startN(1, bg, "a")[0]
		l.next(t).give(3)
		require.Equal(t, result{3, false, nil}, <-again)
		load.give(2)
		require.Equal(t, result{2, false, nil}, <-first)
	})
}
