package notify_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
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

var errOwn = errors.New("an error of its own")

// hostileContexts make a context each. Under an orderly one Wait returns.
func hostileContexts(n *notify.Notify) map[string]struct {
	orderly bool
	ctx     hostileContext
} {
	angry := func() { panic("context") }
	callBack := func() { n.Waiters(); n.Listen().Stop() }
	return map[string]struct {
		orderly bool
		ctx     hostileContext
	}{
		"Done panics":            {false, hostileContext{done: angry}},
		"Done exits":             {false, hostileContext{done: runtime.Goexit}},
		"Err panics":             {false, hostileContext{err: angry}},
		"Err exits":              {false, hostileContext{err: runtime.Goexit}},
		"Value panics":           {false, hostileContext{value: angry, says: errOwn}},
		"Value exits":            {false, hostileContext{value: runtime.Goexit, says: errOwn}},
		"Err is nil":             {true, hostileContext{}},
		"Err cannot be compared": {true, hostileContext{says: sliceError{1}}},
		"Err is another error":   {true, hostileContext{says: errOwn}},
		"all call back":          {true, hostileContext{done: callBack, err: callBack, value: callBack, says: errOwn}},
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
	"fails":  func() error { return errOwn },
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

// TestHostileCompany: whatever a context and a parker do, before the waiter is
// picked or after, nobody stays in line, and a wake is consumed once, handed on
// or, if NotifyN gave it, gone.
func TestHostileCompany(t *testing.T) {
	waits := map[string]func(n *notify.Notify, ctx context.Context) error{
		"Wait": (*notify.Notify).Wait,
		"Listener": func(n *notify.Notify, ctx context.Context) error {
			l := n.Listen()
			defer l.Stop()
			return l.Wait(ctx)
		},
	}
	picks := map[string]func(n *notify.Notify){
		"nobody":  func(*notify.Notify) {},
		"one":     (*notify.Notify).NotifyOne,
		"N":       func(n *notify.Notify) { n.NotifyN(3) },
		"one,one": func(n *notify.Notify) { n.NotifyOne(); n.NotifyOne() },
	}
	for what := range hostileContexts(nil) {
		for park, instead := range hostileParks {
			for how, wait := range waits {
				for who, pick := range picks {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", what, park, how, who), func(t *testing.T) {
						var n notify.Notify
						c := hostileContexts(&n)[what]
						c.ctx.Context = bg
						p := &hostileParker{Parker: wake.NewParker(), first: func() { pick(&n); c.ctx.armed = true }, instead: instead}
						returned, err := outcome(func() error { return wait(&n, wake.WithParker(&c.ctx, p)) })

						require.Zero(t, n.Waiters())
						consumed := returned && err == nil
						require.Equal(t, who == "one,one" || who == "one" && !consumed, n.TryWait(), "the permit")
						require.False(t, consumed && who == "nobody")
						if who != "nobody" && park == "fails" {
							require.True(t, consumed, "the wake came first, so the context is not asked")
						}
						if c.orderly && (park == "parks" || park == "fails") {
							require.True(t, returned)
							require.Equal(t, who == "nobody", err != nil, "the wake wins: %v", err)
						}
					})
				}
			}
		}
	}
}

// TestHostileCompanyOfAListener: a Wait that ended is not woken any more, and the
// Listener, which goes on, is as it was.
func TestHostileCompanyOfAListener(t *testing.T) {
	for what := range hostileContexts(nil) {
		for park, instead := range hostileParks {
			var n notify.Notify
			l := n.Listen()
			c := hostileContexts(&n)[what]
			c.ctx.Context = bg
			p := &hostileParker{Parker: wake.NewParker(), first: func() { c.ctx.armed = true }, instead: instead}
			returned, err := outcome(func() error { return l.Wait(wake.WithParker(&c.ctx, p)) })
			require.False(t, returned && err == nil, "%s, %s", what, park)
			require.Equal(t, 1, n.Waiters(), "%s, %s", what, park)
			n.NotifyOne()
			require.Zero(t, p.wakes, "%s, %s", what, park)
			require.True(t, l.Ready())
		}
	}
}

// TestHostileContextBeforeTheLine: nothing is consumed, and nobody in line.
func TestHostileContextBeforeTheLine(t *testing.T) {
	for what := range hostileContexts(nil) {
		var n notify.Notify
		n.NotifyOne()
		l := n.Listen()
		n.NotifyOne()
		c := hostileContexts(&n)[what]
		c.ctx.Context, c.ctx.armed = bg, true
		for _, wait := range []func(context.Context) error{n.Wait, l.Wait} {
			if returned, err := outcome(func() error { return wait(&c.ctx) }); returned && err == nil {
				n.NotifyOne() // as c does not say that it has ended
			}
		}
		require.True(t, n.TryWait(), what)
		require.True(t, l.Ready(), what)
		requireIdle(t, &n)
	}
}

// TestHostileWakers: whichever of them panic or exit, all others are called, and
// the notification ends as they wish.
func TestHostileWakers(t *testing.T) {
	notifications := map[string]func(n *notify.Notify){
		"NotifyN":       func(n *notify.Notify) { n.NotifyN(5) },
		"NotifyWaiters": func(n *notify.Notify) { n.NotifyWaiters() },
		"NotifyOnes": func(n *notify.Notify) {
			for range 5 {
				outcome(func() error { n.NotifyOne(); return nil })
			}
			runtime.Goexit()
		},
	}
	for how, end := range map[string]func(){"panic": func() { panic("waker") }, "Goexit": runtime.Goexit} {
		for name, notification := range notifications {
			for bad := range 1 << 5 {
				var n notify.Notify
				var woken [5]int
				var line [5]*notify.Listener
				for i := range woken {
					line[i] = n.Register(wake.Func(func() {
						woken[i]++
						if bad>>i&1 == 1 {
							end()
						}
					}))
				}
				returned, _ := outcome(func() error { notification(&n); return nil })
				require.Equal(t, bad == 0 && name != "NotifyOnes", returned)
				require.Equal(t, [5]int{1, 1, 1, 1, 1}, woken, "%s, %s, %05b", how, name, bad)
				for _, l := range line {
					require.True(t, l.Ready())
				}
				requireIdle(t, &n)
			}
		}
	}
}

// TestHostileWakerOfAPermit: a Register that took it and did not return hands
// it on, to the longest waiter.
func TestHostileWakerOfAPermit(t *testing.T) {
	for _, end := range []func(){func() { panic("waker") }, runtime.Goexit} {
		var n notify.Notify
		n.NotifyOne()
		var next *notify.Listener
		returned, _ := outcome(func() error {
			n.Register(wake.Func(func() { next = n.Listen(); end() }))
			return nil
		})
		require.False(t, returned)
		require.True(t, next.Ready())
		requireIdle(t, &n)
	}
}

// TestHostileParkersOfAListener: of several that wait for one, some cannot be
// woken without a panic or Goexit. All return, and the waker is called.
func TestHostileParkersOfAListener(t *testing.T) {
	for _, end := range []func(){func() { panic("wake") }, runtime.Goexit} {
		for _, tell := range []func(n *notify.Notify, l *notify.Listener){
			func(n *notify.Notify, _ *notify.Listener) { n.NotifyOne() },
			func(n *notify.Notify, _ *notify.Listener) { n.NotifyWaiters() },
			func(_ *notify.Notify, l *notify.Listener) { l.Stop() },
		} {
			var n notify.Notify
			woken := 0
			l := n.Register(wake.Func(func() { woken++ }))
			waits := make([]<-chan error, 4)
			for i := range waits {
				parked := make(chan struct{})
				p := &hostileParker{Parker: wake.NewParker(), first: func() { close(parked) }}
				if i%2 == 0 {
					p.end = end
				}
				waits[i] = async(func() error { return l.Wait(wake.WithParker(bg, p)) })
				<-parked
			}
			outcome(func() error { tell(&n, l); return nil })
			for _, w := range waits {
				<-w
			}
			require.Equal(t, l.Ready(), woken == 1)
		}
	}
}
