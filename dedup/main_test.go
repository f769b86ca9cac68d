package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/dedup"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bg is the context of callers that only a result ends.
var bg = context.Background()

// nilCtx is what a caller passes who has no context.
var nilCtx context.Context

var (
	errLoad  = errors.New("the load failed")
	errCause = errors.New("the cause")
)

// doneCtx returns a context that ended before anybody looked at it.
func doneCtx() context.Context {
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errCause)
	return ctx
}

// bubble runs f where time stands still until all sleep, and a lost wake is a
// deadlock report.
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

// async runs a call in a goroutine of its own; what it returns arrives on the
// channel.
func async(call func() result) <-chan result {
	c := make(chan result, 1)
	go func() { c <- call() }()
	return c
}

// requirePending requires that a call has not returned. It is for bubbles,
// after synctest.Wait, where it cannot be early.
func requirePending(t testing.TB, c <-chan result) {
	t.Helper()
	select {
	case r := <-c:
		require.Failf(t, "returned early", "%+v", r)
	default:
	}
}

// A loader is a load that the test steers: each call reports on began and goes
// on with what it gets from its own gate.
type loader struct {
	began   chan *call // has room for all
	running atomic.Int32
	most    atomic.Int32 // at a time
	total   atomic.Int32
	lenient bool // a call ends only when it is told to
}

// A call is one of a loader's.
type call struct {
	ctx  context.Context
	gate chan result
}

func newLoader() *loader { return &loader{began: make(chan *call, 1000)} }

// load waits for the test, or for the end of its context.
func (l *loader) load(ctx context.Context) (int, error) {
	l.total.Add(1)
	now := l.running.Add(1)
	defer l.running.Add(-1)
	for m := l.most.Load(); now > m && !l.most.CompareAndSwap(m, now); {
		m = l.most.Load()
	}
	c := &call{ctx, make(chan result, 1)}
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

// next returns the next call, which must have begun: for bubbles.
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

// A subject is what coalesces: a Group or a Cache, seen alike.
type subject struct {
	name   string
	do     func(ctx context.Context, key string) result
	forget func(key string)
	stores bool
}

// overSubjects runs f over a Group and over caches, with and without bounds, in
// a bubble.
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

// together runs f in n goroutines that begin at one time, and waits for them.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// scale picks the size of a stress test: full, or the small one under -short
// and under the race detector.
func scale(full, small int) int {
	if testing.Short() || raceEnabled {
		return small
	}
	return full
}

// panicText runs f, which must panic, and returns what the panic says.
func panicText(t testing.TB, f func()) (text string) {
	t.Helper()
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	require.Fail(t, "no panic")
	return ""
}
