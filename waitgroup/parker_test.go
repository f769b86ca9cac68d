package waitgroup_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitgroup"
)

// TestParkerOfTheContext: Wait sleeps through it, and it is woken once.
func TestParkerOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g waitgroup.Group
		g.Add(1)
		p := newParker()
		c := startWait(&g, p.under(bg))
		synctest.Wait()
		require.EqualValues(t, 1, p.parks.Load())
		require.Zero(t, p.wakes.Load())
		g.Done()
		require.NoError(t, <-c)
		require.EqualValues(t, 1, p.wakes.Load())
		g.Add(1)
		g.Done()
		require.EqualValues(t, 1, p.wakes.Load(), "later zeros are not its own")
	})
}

// TestNoParkAtZero: Wait does not sleep when there is nothing to wait for.
func TestNoParkAtZero(t *testing.T) {
	var g waitgroup.Group
	p := newParker()
	require.NoError(t, g.Wait(p.under(bg)))
	require.Zero(t, p.parks.Load())
	require.Zero(t, p.wakes.Load())
}

// TestParks: the result of Wait for each thing that may happen in Park, at count 1.
func TestParks(t *testing.T) {
	for name, c := range map[string]struct {
		park func(g *waitgroup.Group, cancel func()) error
		want error
	}{
		"zero":                  {func(g *waitgroup.Group, _ func()) error { g.Done(); return nil }, nil},
		"zero, then an error":   {func(g *waitgroup.Group, _ func()) error { g.Done(); return errParker }, nil},
		"zero, then the end":    {func(g *waitgroup.Group, cancel func()) error { g.Done(); cancel(); return errCause }, nil},
		"zero, and up again":    {func(g *waitgroup.Group, _ func()) error { g.Done(); g.Add(1); return errParker }, nil},
		"error":                 {func(*waitgroup.Group, func()) error { return errParker }, errParker},
		"error of an end":       {func(_ *waitgroup.Group, cancel func()) error { cancel(); return errParker }, context.Canceled},
		"end, and the cause":    {func(_ *waitgroup.Group, cancel func()) error { cancel(); return errParker }, errCause},
		"up, and then an error": {func(g *waitgroup.Group, _ func()) error { g.Add(1); return errParker }, errParker},
	} {
		t.Run(name, func(t *testing.T) {
			var g waitgroup.Group
			g.Add(1)
			ctx, cancel := context.WithCancelCause(bg)
			defer cancel(nil)
			p := newParker()
			p.hook = func(context.Context) error { return c.park(&g, func() { cancel(errCause) }) }
			err := g.Wait(p.under(ctx))
			require.ErrorIs(t, err, c.want)
			require.EqualValues(t, 1, p.parks.Load())
			wakes := p.wakes.Load()
			g.Add(-g.Count())
			require.Equal(t, wakes, p.wakes.Load(), "it has left")
			requireZero(t, &g)
		})
	}
}

// TestParkersErrorIsReturnedAsItIs while the context goes on.
func TestParkersErrorIsReturnedAsItIs(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	p := newParker()
	p.hook = func(context.Context) error { return errParker }
	require.Equal(t, errParker, g.Wait(p.under(bg)))
	requireCount(t, 1, &g)
}

// TestSpuriousPermits: Wait parks again after a Park that returned without a wake, even if
// the context has ended.
func TestSpuriousPermits(t *testing.T) {
	for name, ctx := range map[string]context.Context{"live": bg, "dead": doneCtx()} {
		t.Run(name, func(t *testing.T) {
			var g waitgroup.Group
			g.Add(1)
			p := newParker()
			p.Parker.Wake() // an older permit
			p.hook = func(ctx context.Context) error {
				switch p.parks.Load() {
				case 1:
					return p.Parker.Park(ctx)
				case 10:
					g.Done()
				}
				return nil
			}
			require.NoError(t, g.Wait(p.under(ctx)))
			require.EqualValues(t, 10, p.parks.Load())
		})
	}
}

// TestFailedWaitPinsNothing: the line does not keep waiters alive that left it.
func TestFailedWaitPinsNothing(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	idle := g.Idle() // a waiter that stays
	gone := make([]weak.Pointer[parker], 0, 20)
	for range cap(gone) {
		p := newParker()
		require.ErrorIs(t, g.Wait(p.under(doneCtx())), context.Canceled)
		require.EqualValues(t, 1, p.parks.Load())
		gone = append(gone, weak.Make(p))
	}
	for _, p := range gone {
		for p.Value() != nil {
			runtime.GC()
		}
	}
	require.False(t, isClosed(idle))
	g.Done()
	require.True(t, isClosed(idle))
}
