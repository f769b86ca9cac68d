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

// TestShared counts the callers that get the result, not those that left.
func TestShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLoader()
		s := groupOf(new(dedup.Group[string, int]), l.load)
		ctx, cancel := context.WithCancel(bg)
		quitter := s.startN(1, ctx, "k")[0]
		stayer := s.startN(1, bg, "k")[0]
		cancel()
		require.False(t, (<-quitter).shared)
		l.next(t).give(1)
		require.Equal(t, result{v: 1}, <-stayer)
	})
}

// TestErrorsComeWithoutAValue, whatever the load returned with them.
func TestErrorsComeWithoutAValue(t *testing.T) {
	both := func(context.Context) (int, error) { return 7, errLoad }
	v, _, err := new(dedup.Group[string, int]).Do(bg, "k", both)
	require.Equal(t, errLoad, err)
	require.Zero(t, v)

	for _, o := range []*options{nil, {ErrorTTL: time.Hour}, {ErrorTTLOf: func(string, error) time.Duration { return 1 }}} {
		c := newCache(t, func(ctx context.Context, _ string) (int, error) { return both(ctx) }, o)
		for range 2 {
			v, err := c.Get(bg, "k")
			require.Equal(t, errLoad, err)
			require.Zero(t, v)
			v, ok := c.Peek("k")
			require.False(t, ok)
			require.Zero(t, v)
			m, err := c.GetMany(bg, []string{"k"})
			require.ErrorIs(t, err, errLoad)
			require.Empty(t, m)
		}
	}
}

// TestEndedContextsStartNothing and join nothing.
func TestEndedContextsStartNothing(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		require.ErrorIs(t, s.do(doneCtx(), "k").err, errCause)
		l.requireNone(t)
		r := s.start(bg, "k")
		call := l.next(t)
		require.ErrorIs(t, s.do(doneCtx(), "k").err, context.Canceled)
		call.give(1)
		require.Equal(t, result{v: 1}, <-r, "not shared")
	})
}

// TestResultWinsOverTheEnd when both are there.
func TestResultWinsOverTheEnd(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		l.lenient = true
		for range 20 {
			ctx, cancel := context.WithCancel(bg)
			p := &slowParker{release: make(chan struct{}), Parker: wake.NewParker()}
			rs := s.startN(1, wake.WithParker(ctx, p), "k")
			call := l.next(t)
			call.give(1)
			synctest.Wait()
			cancel()
			close(p.release)
			require.Equal(t, result{v: 1}, <-rs[0])
			s.forget("k")
		}
	})
}

// A slowParker looks at the context only when it is released.
type slowParker struct {
	wake.Parker
	release chan struct{}
}

func (p *slowParker) Park(ctx context.Context) error {
	<-p.release
	if ctx.Err() != nil {
		return context.Cause(ctx) // though a permit is there
	}
	return p.Parker.Park(ctx)
}

// A brokenParker fails, panics or ends its goroutine.
type brokenParker struct{ park func() error }

func (p *brokenParker) Wake()                      {}
func (p *brokenParker) Park(context.Context) error { return p.park() }

// TestParkersThatFail: whatever Park does, the caller leaves the flight.
func TestParkersThatFail(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		under := func(park func() error) context.Context { return wake.WithParker(bg, &brokenParker{park}) }
		require.Equal(t, errCause, s.do(under(func() error { return errCause }), "k").err)
		require.ErrorIs(t, l.next(t).canceled(), dedup.ErrAbandoned)
		require.Equal(t, "no", panicText(t, func() { s.do(under(func() error { panic("no") }), "k") }))
		require.ErrorIs(t, l.next(t).canceled(), dedup.ErrAbandoned)
	})
}

// TestForgetOfNothing does nothing, and does not affect other keys.
func TestForgetOfNothing(t *testing.T) {
	overSubjects(t, func(t *testing.T, s subject, l *loader) {
		s.forget("k")
		r := s.start(bg, "k")
		call := l.next(t)
		s.forget("other")
		joiner := s.start(bg, "k")
		l.requireNone(t)
		call.give(1)
		require.Equal(t, 1, (<-r).v)
		require.Equal(t, 1, (<-joiner).v)
	})
}

// TestLoadsUseTheGroup: a load may ask for other keys.
func TestLoadsUseTheGroup(t *testing.T) {
	var g dedup.Group[int, int]
	var sum func(n int) (int, error)
	sum = func(n int) (int, error) {
		v, _, err := g.Do(bg, n, func(context.Context) (int, error) {
			if n == 0 {
				return 0, nil
			}
			v, err := sum(n - 1)
			return v + n, err
		})
		return v, err
	}
	v, err := sum(100)
	require.NoError(t, err)
	require.Equal(t, 5050, v)
}

// A badContext panics after some calls of its methods.
type badContext struct {
	context.Context
	calls int
}

func (c *badContext) use() {
	if c.calls--; c.calls < 0 {
		panic("bad context")
	}
}

func (c *badContext) Done() <-chan struct{} { c.use(); return c.Context.Done() }
func (c *badContext) Err() error            { c.use(); return c.Context.Err() }
func (c *badContext) Value(key any) any     { c.use(); return c.Context.Value(key) }

// TestContextsThatPanic leave no key stuck, whichever method panics.
func TestContextsThatPanic(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		overSubjects(t, func(t *testing.T, s subject, l *loader) { contextsThatPanic(t, s, l, leaves) })
	}
}

func contextsThatPanic(t *testing.T, s subject, l *loader, leaves bool) {
	ctx := bg
	if leaves {
		var cancel func()
		ctx, cancel = context.WithCancel(bg)
		defer cancel()
	}
	panics := 0
	for calls := range 20 { // a Do makes fewer
		bad := async(func() (r result) {
			defer func() {
				if recover() != nil {
					r.err = errCause
				}
			}()
			return s.do(&badContext{ctx, calls}, "k")
		})
		synctest.Wait()
		for len(l.began) > 0 {
			(<-l.began).give(1)
		}
		if r := <-bad; r.err != nil {
			panics++
		} else {
			require.Equal(t, result{v: 1}, r)
		}
		s.forget("k")
		good := s.start(bg, "k")
		l.next(t).give(2)
		require.Equal(t, result{v: 2}, <-good)
		s.forget("k")
	}
	require.Positive(t, panics)
	require.Less(t, panics, 20)
}
