package vigilotel_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/vigildebug"
	vigilotel "github.com/vigil-go/vigil/vigildebug/otel"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

// record returns options whose spans the recorder gets.
func record() (*tracetest.SpanRecorder, *vigilotel.Options) {
	r := tracetest.NewSpanRecorder()
	return r, &vigilotel.Options{Name: "test", TracerProvider: sdk.NewTracerProvider(sdk.WithSpanProcessor(r))}
}

func named(r *tracetest.SpanRecorder, name string) (spans []sdk.ReadOnlySpan) {
	return slices.DeleteFunc(r.Ended(), func(s sdk.ReadOnlySpan) bool { return s.Name() != name })
}

// A result is what a call of Do returned.
type result struct {
	v      int
	shared bool
	err    error
}

// together makes n calls of one key, whose load returns what f returns once
// land is closed. It is for bubbles: on return all callers wait.
func together(g *vigilotel.Group[string, int], n int, f func() (int, error)) (land chan struct{}, results chan result) {
	land, results = make(chan struct{}), make(chan result, n)
	for range n {
		go func() {
			r := result{err: &dedup.PanicError{Value: dedup.ErrGoexit}} // the first one runs the load, and exits
			defer func() { results <- r }()
			r.v, r.shared, r.err = g.Do(bg, "key", func(context.Context) (int, error) { <-land; return f() })
		}()
	}
	synctest.Wait()
	return land, results
}

func TestJoinersLinkToTheirFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := record()
		g := vigilotel.NewGroup[string, int](o)
		land, results := together(g, 5, func() (int, error) { return 42, nil })
		for key, info := range g.InFlight() {
			require.Equal(t, "key", key)
			require.Equal(t, 5, info.Waiters)
		}
		close(land)
		for range 5 {
			require.Equal(t, result{42, true, nil}, <-results)
		}
		synctest.Wait()
		loads, waits := named(r, "test load"), named(r, "test wait")
		require.Len(t, loads, 1)
		require.Len(t, waits, 5)
		require.Contains(t, loads[0].Attributes(), attribute.Int("vigil.waiters", 5))
		require.Equal(t, codes.Unset, loads[0].Status().Code)
		require.Equal(t, 4, joiners(t, loads, waits))
		for _, w := range waits {
			require.Contains(t, w.Attributes(), attribute.Bool("vigil.shared", true))
			require.Equal(t, codes.Unset, w.Status().Code)
		}
	})
}

// joiners requires of each wait that it either started one of the loads or has
// one link, to one of them. It returns how many have a link.
func joiners(t *testing.T, loads, waits []sdk.ReadOnlySpan) (n int) {
	t.Helper()
	started := make(map[trace.SpanID]bool)
	flights := make(map[trace.SpanID]trace.TraceID)
	for _, l := range loads {
		require.False(t, started[l.Parent().SpanID()], "one load below each starter")
		started[l.Parent().SpanID()] = true
		flights[l.SpanContext().SpanID()] = l.SpanContext().TraceID()
	}
	for _, w := range waits {
		if started[w.SpanContext().SpanID()] {
			require.Empty(t, w.Links())
			continue
		}
		require.Len(t, w.Links(), 1)
		to := w.Links()[0].SpanContext
		require.Equal(t, flights[to.SpanID()], to.TraceID())
		require.True(t, to.IsValid())
		n++
	}
	return n
}

func TestFailingLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := record()
		g := vigilotel.NewGroup[string, int](o)
		no := errors.New("no such page")
		land, results := together(g, 3, func() (int, error) { return 7, no })
		close(land)
		for range 3 {
			require.Equal(t, result{7, true, no}, <-results, "the very error, and what came with it")
		}
		synctest.Wait()
		loads, waits := named(r, "test load"), named(r, "test wait")
		require.Equal(t, 2, joiners(t, loads, waits))
		for _, s := range append(loads, waits...) {
			require.Equal(t, sdk.Status{Code: codes.Error, Description: "no such page"}, s.Status())
		}
	})
}

func TestCanceledJoiner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := record()
		g := vigilotel.NewGroup[string, int](o)
		land, results := together(g, 1, func() (int, error) { return 42, nil })
		ctx, cancel := context.WithCancel(bg)
		left := make(chan error, 1)
		go func() {
			_, _, err := g.Do(ctx, "key", func(context.Context) (int, error) { return 0, errors.New("a second load") })
			left <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		synctest.Wait()
		waits := named(r, "test wait")
		require.Len(t, waits, 1, "it ended while the load goes on")
		require.Equal(t, codes.Error, waits[0].Status().Code)
		require.Empty(t, waits[0].Links())
		require.Empty(t, named(r, "test load"))

		close(land)
		require.Equal(t, 42, (<-results).v)
		synctest.Wait()
		require.Len(t, named(r, "test load"), 1)
		require.Len(t, named(r, "test wait"), 2)
	})
}

func TestAbandonedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := record()
		g := vigilotel.NewGroup[string, int](o)
		ctx, cancel := context.WithCancel(bg)
		_, _, err := g.Do(ctx, "key", func(ctx context.Context) (int, error) {
			cancel()
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		for _, s := range r.Ended() {
			require.Equal(t, codes.Error, s.Status().Code, s.Name())
		}
		require.Len(t, r.Ended(), 2)
	})
}

func TestLoadThatDoesNotReturn(t *testing.T) {
	for name, f := range map[string]func() (int, error){
		"panic":  func() (int, error) { panic("boom") },
		"Goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, o := record()
				g := vigilotel.NewGroup[string, int](o)
				land, results := together(g, 2, f)
				close(land)
				for range 2 {
					err := (<-results).err
					var p *dedup.PanicError
					require.ErrorAs(t, err, &p)
					require.Equal(t, name == "Goexit", errors.Is(err, dedup.ErrGoexit))
				}
				synctest.Wait()
				require.Len(t, r.Ended(), 3)
				for _, s := range r.Ended() {
					require.Equal(t, codes.Error, s.Status().Code, s.Name())
				}
				v, _, err := g.Do(bg, "key", func(context.Context) (int, error) { return 1, nil })
				require.NoError(t, err, "the key is usable")
				require.Equal(t, 1, v)
			})
		})
	}
}

func TestForgottenLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := record()
		g := vigilotel.NewGroup[string, int](o)
		land, results := together(g, 2, func() (int, error) { return 1, nil })
		g.Forget("key")
		v, _, err := g.Do(bg, "key", func(context.Context) (int, error) { return 2, nil })
		require.NoError(t, err)
		require.Equal(t, 2, v)
		close(land)
		require.Equal(t, 1, (<-results).v)
		require.Equal(t, 1, (<-results).v)
		synctest.Wait()
		require.Equal(t, 1, joiners(t, named(r, "test load"), named(r, "test wait")))
	})
}

// TestFlightSpanReachesTheLoad: what f does is below the load's span, which is
// below the caller's.
func TestFlightSpanReachesTheLoad(t *testing.T) {
	r, o := record()
	ctx, root := o.TracerProvider.Tracer("user").Start(bg, "request")
	var inside trace.SpanContext
	_, shared, err := vigilotel.NewGroup[int, int](o).Do(ctx, 1, func(ctx context.Context) (int, error) {
		inside = trace.SpanContextFromContext(ctx)
		return 0, nil
	})
	root.End()
	require.NoError(t, err)
	require.False(t, shared)
	load, wait := named(r, "test load")[0], named(r, "test wait")[0]
	require.Equal(t, load.SpanContext().SpanID(), inside.SpanID())
	require.Equal(t, wait.SpanContext().SpanID(), load.Parent().SpanID())
	require.Equal(t, root.SpanContext().SpanID(), wait.Parent().SpanID())
	require.Empty(t, wait.Links())
}

// TestStress: in any order of calls, each wait started a load or links to one.
func TestStress(t *testing.T) {
	r, o := record()
	g := vigilotel.NewGroup[int, string](o)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				key := (i + j) % 3
				v, _, err := g.Do(bg, key, func(context.Context) (string, error) {
					runtime.Gosched()
					return strconv.Itoa(key), nil
				})
				if err != nil || v != strconv.Itoa(key) {
					t.Error(v, err)
				}
			}
		})
	}
	all.Wait()
	loads, waits := named(r, "test load"), named(r, "test wait")
	require.Len(t, waits, 8*200)
	require.Equal(t, len(waits)-len(loads), joiners(t, loads, waits))
}

func TestWithoutAProvider(t *testing.T) {
	v, _, err := vigilotel.NewGroup[int, int](nil).Do(bg, 1, func(context.Context) (int, error) { return 3, nil })
	require.NoError(t, err)
	require.Equal(t, 3, v)
}

func TestMisusePanics(t *testing.T) {
	g := vigilotel.NewGroup[int, int](nil)
	var nilCtx context.Context
	require.PanicsWithValue(t, "vigilotel: nil context", func() { _, _, _ = g.Do(nilCtx, 1, func(context.Context) (int, error) { return 0, nil }) })
	require.PanicsWithValue(t, "vigilotel: nil function", func() { _, _, _ = g.Do(bg, 1, nil) })
}

func TestLoader(t *testing.T) {
	r, o := record()
	no := errors.New("no")
	c, err := dedup.NewCache(vigilotel.Loader(func(_ context.Context, key string) (int, error) {
		if key == "bad" {
			return 0, no
		}
		if key == "worse" {
			panic("boom")
		}
		return 5, nil
	}, o), nil)
	require.NoError(t, err)
	defer c.Close()
	ctx, root := o.TracerProvider.Tracer("user").Start(bg, "request")
	v, err := c.Get(ctx, "good")
	require.NoError(t, err)
	require.Equal(t, 5, v)
	_, err = c.Get(ctx, "bad")
	require.ErrorIs(t, err, no)
	_, err = c.Get(ctx, "worse")
	require.Error(t, err)
	loads := named(r, "test load")
	require.Len(t, loads, 3)
	for i, want := range []codes.Code{codes.Unset, codes.Error, codes.Error} {
		require.Equal(t, want, loads[i].Status().Code)
		require.Equal(t, root.SpanContext().SpanID(), loads[i].Parent().SpanID())
	}
	require.Nil(t, vigilotel.Loader[int, int](nil, nil))
}

func TestGroupCanBeWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		g := vigilotel.NewGroup[string, int](nil)
		unregister := vigildebug.Group("pages", g, vigildebug.In(&r), vigildebug.ShowKeys())
		land, results := together(g, 3, func() (int, error) { return 7, nil })
		thing := r.Snapshot().Things[0]
		require.Equal(t, "pages", thing.Name)
		require.Equal(t, "key", thing.Waits[0].Key)
		require.Equal(t, 3, thing.Waits[0].Waiters)
		close(land)
		for range 3 {
			require.Equal(t, 7, (<-results).v)
		}
		unregister()
		require.Empty(t, r.Snapshot().Things)
	})
}
