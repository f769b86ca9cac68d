package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }

// bg is the context of callers that return only with a result.
var bg = context.Background()

// nilCtx is a nil context.
var nilCtx context.Context

var (
	errLoad  = errors.New("the load failed")
	errCause = errors.New("the cause")
)

// doneCtx returns a context that has ended.
func doneCtx() context.Context {
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errCause)
	return ctx
}

// bubble runs f in a bubble, where time advances only when all goroutines sleep, and a
// lost wake is reported as a deadlock.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// newCache makes a cache that is closed at the end of the test.
func newCache[K comparable, V any](t testing.TB, load dedup.Loader[K, V], o *dedup.CacheOptions[K, V]) *dedup.Cache[K, V] {
	t.Helper()
	c, err := dedup.NewCache(load, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

type options = dedup.CacheOptions[string, int]

// A result is what a call returned.
type result struct {
	v      int
	shared bool
	err    error
}

// async runs a call in a goroutine of its own, and returns a channel for its result.
func async(call func() result) <-chan result {
	c := make(chan result, 1)
	go func() { c <- call() }()
	return c
}

// requirePending requires that a call has not returned. It is for bubbles, after
// synctest.Wait.
func requirePending(t testing.TB, c <-chan result) {
	t.Helper()
	select {
	case r := <-c:
		require.Failf(t, "returned early", "%+v", r)
	default:
	}
}

// A loader is a load that the test controls: each call is sent on began, and returns what
// it receives from its own gate.
type loader struct {
	began   chan *call // has room for all
	running atomic.Int32
	peak    atomic.Int32 // at a time
	total   atomic.Int32
	lenient bool // a call ends only when it is told to
}

// A call is a call of a loader.
type call struct {
	ctx  context.Context
	gate chan result
	old  int // what ReloadWith got
}

func newLoader() *loader { return &loader{began: make(chan *call, 1000)} }

// load waits for the test or for the end of its context.
func (l *loader) load(ctx context.Context) (int, error) {
	l.total.Add(1)
	now := l.running.Add(1)
	defer l.running.Add(-1)
	for m := l.peak.Load(); now > m && !l.peak.CompareAndSwap(m, now); {
		m = l.peak.Load()
	}
	c := &call{ctx: ctx, gate: make(chan result, 1)}
	l.began <- c
	var done <-chan struct{}
	if !l.lenient {
		done = ctx.Done()
	}
	select {
	case r := <-c.gate:
		return r.v, r.err
	case <-done:
		return 0, context.Cause(ctx)
	}
}

func (l *loader) loadKey(ctx context.Context, _ string) (int, error) { return l.load(ctx) }

func (c *call) give(v int)      { c.gate <- result{v: v} }
func (c *call) fail(err error)  { c.gate <- result{err: err} }
func (c *call) canceled() error { return context.Cause(c.ctx) }

// next returns the next call, which must have begun. It is for bubbles.
func (l *loader) next(t testing.TB) *call {
	t.Helper()
	synctest.Wait()
	select {
	case c := <-l.began:
		return c
	default:
		require.Fail(t, "no load began")
		return nil
	}
}

// requireNone requires that no further load has begun.
func (l *loader) requireNone(t testing.TB) {
	t.Helper()
	synctest.Wait()
	require.Empty(t, l.began, "a load began")
}

// A subject is a Group or a Cache, by what they have in common.
type subject struct {
	name   string
	do     func(ctx context.Context, key string) result
	forget func(key string)
	stores bool
}

// overSubjects runs f with a Group and with caches, with and without bounds, in a bubble.
func overSubjects(t *testing.T, f func(t *testing.T, s subject, l *loader)) {
	t.Run("Group", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLoader()
			f(t, groupOf(new(dedup.Group[string, int]), l.load), l)
		})
	})
	for name, o := range map[string]*options{"Cache": nil, "bounded Cache": {MaxEntries: 100}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLoader()
				f(t, cacheOf(newCache(t, l.loadKey, o)), l)
			})
		})
	}
}

func groupOf(g *dedup.Group[string, int], load func(context.Context) (int, error)) subject {
	return subject{"Group", func(ctx context.Context, key string) result {
		v, shared, err := g.Do(ctx, key, load)
		return result{v, shared, err}
	}, g.Forget, false}
}

func cacheOf(c *dedup.Cache[string, int]) subject {
	return subject{"Cache", func(ctx context.Context, key string) result { return get(c, ctx, key) }, c.Invalidate, true}
}

func get(c *dedup.Cache[string, int], ctx context.Context, key string) result {
	v, err := c.Get(ctx, key)
	return result{v: v, err: err}
}

// start makes a call in a goroutine of its own.
func (s subject) start(ctx context.Context, key string) <-chan result {
	return async(func() result { return s.do(ctx, key) })
}

// startN makes n calls and waits until all are in line.
func (s subject) startN(n int, ctx context.Context, key string) []<-chan result {
	cs := make([]<-chan result, n)
	for i := range cs {
		cs[i] = s.start(ctx, key)
	}
	synctest.Wait()
	return cs
}

// panicText runs f, which must panic, and returns the text of the panic.
func panicText(t testing.TB, f func()) (text string) {
	t.Helper()
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	require.Fail(t, "no panic")
	return ""
}
