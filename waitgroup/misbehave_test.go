package waitgroup_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// armables are misbehaving contexts; one of them calls back.
func armables(g *waitgroup.Group) map[string]*misbehave.Armed {
	return misbehave.Armables(func() { g.Count(); g.Register(nil).Stop(); g.Idle() })
}

// TestMisbehavingCompany: whatever a context and a parker do, before the zero or after, no
// waiter stays in line, and a Wait that the zero released returns nil.
func TestMisbehavingCompany(t *testing.T) {
	zeros := map[string]func(g *waitgroup.Group){
		"no zero":          func(*waitgroup.Group) {},
		"zero":             (*waitgroup.Group).Done,
		"zero and up":      func(g *waitgroup.Group) { g.Done(); g.Add(1) },
		"up":               func(g *waitgroup.Group) { g.Add(1) },
		"zero, by another": func(g *waitgroup.Group) { testkit.Together(1, func(int) { g.Done() }) },
	}
	for what := range armables(nil) {
		for park, strike := range misbehave.Parks {
			for when, zero := range zeros {
				t.Run(fmt.Sprintf("%s/%s/%s", what, park, when), func(t *testing.T) {
					var g waitgroup.Group
					g.Add(1)
					c := armables(&g)[what]
					p := &misbehave.First{Parker: wake.NewParker(), First: func() { zero(&g); c.Armed = true }, Strike: strike}
					returned, err := misbehave.Outcome(func() error { return g.Wait(wake.WithParker(c, p)) })

					released := strings.HasPrefix(when, "zero")
					require.False(t, returned && err == nil && !released)
					if c.Orderly && (park == "parks" || park == "fails") {
						require.True(t, returned)
						require.Equal(t, released, err == nil, "the zero wins: %v", err)
					}
					if released && park == "fails" {
						require.True(t, returned && err == nil, "the zero came first, so the context is not asked")
					}
					wakes := p.Wakes
					g.Add(1 - g.Count())
					g.Done()
					require.Equal(t, wakes, p.Wakes, "it has left")
					requireZero(t, &g)
				})
			}
		}
	}
}

// TestMisbehavingContextBeforeTheLine: at zero Wait does not look at the context, and
// otherwise no waiter is left in line.
func TestMisbehavingContextBeforeTheLine(t *testing.T) {
	for what := range armables(nil) {
		var g waitgroup.Group
		c := armables(&g)[what]
		c.Armed = true
		require.NoError(t, g.Wait(c), what)
		g.Add(1)
		p := &misbehave.First{Parker: wake.NewParker(), First: func() {}}
		returned, err := misbehave.Outcome(func() error { return g.Wait(wake.WithParker(c, p)) })
		require.False(t, returned && err == nil, what)
		require.Equal(t, c.Orderly, returned, what)
		requireCount(t, 1, &g)
	}
}

// TestMisbehavingWakers: whichever of them panic or exit, all others are called, by a Done,
// or by an Add or a Stop that releases the zero first.
func TestMisbehavingWakers(t *testing.T) {
	for how, end := range map[string]func(){"panic": func() { panic("waker") }, "Goexit": runtime.Goexit} {
		for bad := range 1 << 5 {
			var g waitgroup.Group
			g.Add(1)
			idle := g.Idle()
			var woken [5]int
			for i := range woken {
				g.Register(wake.Func(func() {
					woken[i]++
					if bad>>i&1 == 1 {
						end()
					}
				}))
			}
			returned, _ := misbehave.Outcome(func() error { g.Done(); return nil })
			require.Equal(t, bad == 0, returned)
			require.Equal(t, [5]int{1, 1, 1, 1, 1}, woken, "%s, %05b", how, bad)
			require.True(t, isClosed(idle))
			requireZero(t, &g)
		}
	}
}

// TestMisbehavingParkers: of several waiters, some have parkers that panic or exit when
// they are woken. All return.
func TestMisbehavingParkers(t *testing.T) {
	for _, end := range []func(){func() { panic("wake") }, runtime.Goexit} {
		var g waitgroup.Group
		g.Add(1)
		waits := make([]<-chan error, 6)
		for i := range waits {
			parked := make(chan struct{})
			p := &misbehave.First{Parker: wake.NewParker(), First: func() { close(parked) }}
			if i%2 == 0 {
				p.End = end
			}
			waits[i] = startWait(&g, wake.WithParker(bg, p))
			<-parked
		}
		misbehave.Outcome(func() error { g.Done(); return nil })
		for _, w := range waits {
			require.NoError(t, <-w)
		}
		requireZero(t, &g)
	}
}
