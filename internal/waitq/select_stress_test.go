package waitq_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// TestSelectAllocates nothing if it need not wait, and one object at most if it waits
// for up to four cases that were used before.
func TestSelectAllocates(t *testing.T) {
	if testkit.Race {
		t.Skip("under the race detector sync.Pool drops objects at random")
	}
	var a, b stock
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	ready := []wake.Case{a.on(1, nil), b.on(9, nil), nil, b.on(9, nil)}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		a.put(1)
		_, _ = waitq.Select(ctx, ready)
	}))
	waits := []wake.Case{a.on(1, nil), b.on(9, nil), nil, afterEnter(b.on(9, nil), func() { a.put(1) })}
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _, _ = waitq.Select(ctx, waits) }), 1.0)
	requireStock(t, 0, &a)
	requireStock(t, 0, &b)
}

// afterEnter returns a case that calls f when it has got in line.
func afterEnter(c *taking, f func()) wake.Case {
	after := &entering{c, f}
	c.Actions = after
	return after
}

type entering struct {
	*taking
	f func()
}

func (e *entering) Enter(a *choice.Arm) bool {
	defer e.f()
	return e.taking.Enter(a)
}

// TestStressSelect: Selects in crossed orders, some under contexts that end or with a
// parker, and plain takes of two stocks. Each Select ends with one case or with none, no
// unit is lost, and no wake is.
func TestStressSelect(t *testing.T) {
	for seed := range uint64(4) {
		stop := schedpoint.Shake(seed, true)
		stressSelect(t, testkit.Scale(20_000, 2_000))
		stop()
	}
}

func stressSelect(t *testing.T, n int) {
	var a, b stock
	var taken atomic.Int64
	ctx, cancel := context.WithCancel(bg)
	var selects, all sync.WaitGroup
	for g := range 6 {
		selects.Go(func() {
			ctx := ctx
			if g%3 == 0 {
				ctx = wake.WithParker(ctx, wake.NewParker())
			}
			selectMany(t, ctx, g, &a, &b, &taken)
		})
	}
	for _, s := range []*stock{&a, &b} {
		all.Go(func() {
			for range n {
				s.put(1)
			}
		})
	}
	all.Go(func() {
		for range n / 10 {
			if a.take(1) {
				taken.Add(1)
			}
		}
	})
	all.Wait()
	// Who asks for 1 takes the rest, unless the first in line asks for 2.
	testkit.SpinUntil(func() bool { return taken.Load() >= int64(2*n-2) })
	cancel()
	selects.Wait()
	requireStock(t, a.n, &a)
	requireStock(t, b.n, &b)
	require.Equal(t, int64(2*n), taken.Load()+int64(a.n+b.n))
}

// selectMany selects until ctx ends. Now and then it does so under a context that ends
// by itself.
func selectMany(t *testing.T, ctx context.Context, g int, a, b *stock, taken *atomic.Int64) {
	var x, y int
	cases := []wake.Case{a.on(1+g%2, &x), b.on(1, &y)}
	got := []*int{&x, &y}
	if g/2%2 == 1 {
		cases[0], cases[1] = cases[1], cases[0]
		got[0], got[1] = got[1], got[0]
	}
	for i := 0; ctx.Err() == nil; i++ {
		x, y = 0, 0
		c, err := selectOnce(ctx, cases, i%8 == g)
		switch {
		case err != nil && (c != -1 || x+y != 0), err == nil && (c < 0 || *got[c] == 0 || x+y != *got[c]):
			t.Errorf("chosen %d, %v: got %d and %d", c, err, x, y)
		}
		taken.Add(int64(x + y))
	}
}

func selectOnce(ctx context.Context, cases []wake.Case, short bool) (int, error) {
	if short {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go cancel()
	}
	return waitq.Select(ctx, cases)
}
