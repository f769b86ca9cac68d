package waitgroup_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// A hostileContext goes on until it is armed, while its waiter parks. Then it
// has ended, and its methods do what they like.
type hostileContext struct {
	context.Context
	armed            bool
	done, err, value func()
	says             error // Err does
}

func (c *hostileContext) strike(deed func()) {
	if c.armed && deed != nil {
		deed()
	}
}

func (c *hostileContext) Done() <-chan struct{} {
	c.strike(c.done)
	if !c.armed {
		return nil
	}
	over := make(chan struct{})
	close(over)
	return over
}

func (c *hostileContext) Err() error {
	c.strike(c.err)
	if !c.armed {
		return nil
	}
	return c.says
}

func (c *hostileContext) Value(key any) any {
	c.strike(c.value)
	return c.Context.Value(key)
}

// sliceError is an error that == panics for.
type sliceError []int

func (sliceError) Error() string { return "cannot be compared" }

// hostileContexts make a context each. Under an orderly one Wait returns.
func hostileContexts(g *waitgroup.Group) map[string]struct {
	orderly bool
	ctx     hostileContext
} {
	angry := func() { panic("context") }
	callBack := func() { g.Count(); g.Register(nil).Stop(); g.Idle() }
	return map[string]struct {
		orderly bool
		ctx     hostileContext
	}{
		"Done panics":            {false, hostileContext{done: angry}},
		"Done exits":             {false, hostileContext{done: runtime.Goexit}},
		"Err panics":             {false, hostileContext{err: angry}},
		"Err exits":              {false, hostileContext{err: runtime.Goexit}},
		"Value panics":           {false, hostileContext{value: angry, says: errParker}},
		"Value exits":            {false, hostileContext{value: runtime.Goexit, says: errParker}},
		"Err is nil":             {true, hostileContext{}},
		"Err cannot be compared": {true, hostileContext{says: sliceError{1}}},
		"Err is another error":   {true, hostileContext{says: errParker}},
		"all call back":          {true, hostileContext{done: callBack, err: callBack, value: callBack, says: errParker}},
	}
}

// A hostileParker does something first. Then it parks, or what it has instead.
type hostileParker struct {
	wake.Parker
	first   func()
	instead func() error
	parks   int
	wakes   int
	end     func() // of Wake
}

func (p *hostileParker) Wake() {
	p.wakes++
	p.Parker.Wake()
	if p.end != nil {
		p.end()
	}
}

func (p *hostileParker) Park(ctx context.Context) error {
	switch p.parks++; {
	case p.parks == 1:
		p.first()
	case p.parks > 100:
		panic("parks again and again")
	}
	if p.instead != nil {
		return p.instead()
	}
	return p.Parker.Park(ctx)
}

var hostileParks = map[string]func() error{
	"parks":  nil,
	"fails":  func() error { return errParker },
	"panics": func() error { panic("park") },
	"exits":  func() error { runtime.Goexit(); return nil },
}

// outcome runs a wait in a goroutine of its own. It reports whether it returned,
// and with what.
func outcome(wait func() error) (returned bool, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		err = wait()
		returned = true
	}()
	<-done
	return returned, err
}

// TestHostileCompany: whatever a context and a parker do, before the zero or
// after, nobody stays in line, and whom the zero released is told so.
func TestHostileCompany(t *testing.T) {
	zeros := map[string]func(g *waitgroup.Group){
		"no zero":          func(*waitgroup.Group) {},
		"zero":             (*waitgroup.Group).Done,
		"zero and up":      func(g *waitgroup.Group) { g.Done(); g.Add(1) },
		"up":               func(g *waitgroup.Group) { g.Add(1) },
		"zero, by another": func(g *waitgroup.Group) { together(1, func(int) { g.Done() }) },
	}
	for what := range hostileContexts(nil) {
		for park, instead := range hostileParks {
			for when, zero := range zeros {
				t.Run(fmt.Sprintf("%s/%s/%s", what, park, when), func(t *testing.T) {
					var g waitgroup.Group
					g.Add(1)
					c := hostileContexts(&g)[what]
					c.ctx.Context = bg
					p := &hostileParker{Parker: wake.NewParker(), first: func() { zero(&g); c.ctx.armed = true }, instead: instead}
					returned, err := outcome(func() error { return g.Wait(wake.WithParker(&c.ctx, p)) })

					released := strings.HasPrefix(when, "zero")
					require.False(t, returned && err == nil && !released)
					if c.orderly && (park == "parks" || park == "fails") {
						require.True(t, returned)
						require.Equal(t, released, err == nil, "the zero wins: %v", err)
					}
					if released && park == "fails" {
						require.True(t, returned && err == nil, "the zero came first, so the context is not asked")
					}
					wakes := p.wakes
					g.Add(1 - g.Count())
					g.Done()
					require.Equal(t, wakes, p.wakes, "it has left")
					requireZero(t, &g)
				})
			}
		}
	}
}

// TestHostileContextBeforeTheLine: a zero is seen without a look at the context,
// and else nobody is left in line.
func TestHostileContextBeforeTheLine(t *testing.T) {
	for what := range hostileContexts(nil) {
		var g waitgroup.Group
		c := hostileContexts(&g)[what]
		c.ctx.Context, c.ctx.armed = bg, true
		require.NoError(t, g.Wait(&c.ctx), what)
		g.Add(1)
		p := &hostileParker{Parker: wake.NewParker(), first: func() {}}
		returned, err := outcome(func() error { return g.Wait(wake.WithParker(&c.ctx, p)) })
		require.False(t, returned && err == nil, what)
		require.Equal(t, c.orderly, returned, what)
		requireCount(t, 1, &g)
	}
}

// TestHostileWakers: whichever of them panic or exit, all others are called, by
// a Done, and by an Add or a Stop that comes to the zero first.
func TestHostileWakers(t *testing.T) {
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
			returned, _ := outcome(func() error { g.Done(); return nil })
			require.Equal(t, bad == 0, returned)
			require.Equal(t, [5]int{1, 1, 1, 1, 1}, woken, "%s, %05b", how, bad)
			require.True(t, isClosed(idle))
			requireZero(t, &g)
		}
	}
}

// TestHostileParkers: of several that wait, some cannot be woken without a panic
// or Goexit. All return.
func TestHostileParkers(t *testing.T) {
	for _, end := range []func(){func() { panic("wake") }, runtime.Goexit} {
		var g waitgroup.Group
		g.Add(1)
		waits := make([]<-chan error, 6)
		for i := range waits {
			parked := make(chan struct{})
			p := &hostileParker{Parker: wake.NewParker(), first: func() { close(parked) }}
			if i%2 == 0 {
				p.end = end
			}
			waits[i] = startWait(&g, wake.WithParker(bg, p))
			<-parked
		}
		outcome(func() error { g.Done(); return nil })
		for _, w := range waits {
			require.NoError(t, <-w)
		}
		requireZero(t, &g)
	}
}
