package notify_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// A party waits for a Listener in some way. It reports whether it was woken, and the
// error.
type party func() (told bool, err error)

func waiting(ctx context.Context, l *notify.Listener) party {
	wait := async(func() error { return l.Wait(ctx) })
	return func() (bool, error) { return ended(wait) }
}

// parties are the ways to wait for a Listener.
var parties = []func(ctx context.Context, l *notify.Listener) party{
	func(_ context.Context, l *notify.Listener) party { return waiting(bg, l) },
	waiting,
	func(ctx context.Context, l *notify.Listener) party {
		return waiting(wake.WithParker(ctx, wake.NewParker()), l)
	},
	func(_ context.Context, l *notify.Listener) party {
		c := l.C()
		return func() (bool, error) {
			if received(c) {
				return true, nil
			}
			return false, notify.ErrStopped // as a Wait would return
		}
	},
}

// orders returns all orders of up to so many parties, each at most once.
func orders(k int) (all [][]int) {
	all = [][]int{{}}
	for from := 0; from < len(all); from++ {
		for next := range k {
			order := append(append([]int{}, all[from]...), next)
			if seen := map[int]bool{}; !twice(order, seen) {
				all = append(all, order)
			}
		}
	}
	return all
}

func twice(order []int, seen map[int]bool) bool {
	for _, i := range order {
		if seen[i] {
			return true
		}
		seen[i] = true
	}
	return false
}

// TestAllPartiesAreTold: in whatever order they come, and whether or not there is a waker,
// each is woken by a wake or a Stop, except the one that has left.
func TestAllPartiesAreTold(t *testing.T) {
	for name, tell := range map[string]func(n *notify.Notify, l *notify.Listener){
		"NotifyOne":     func(n *notify.Notify, _ *notify.Listener) { n.NotifyOne() },
		"NotifyWaiters": func(n *notify.Notify, _ *notify.Listener) { n.NotifyWaiters() },
		"Stop":          func(_ *notify.Notify, l *notify.Listener) { l.Stop() },
	} {
		for _, order := range orders(len(parties)) {
			for _, waker := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) { tellAll(t, name, tell, order, waker) })
			}
		}
	}
}

func tellAll(t *testing.T, name string, tell func(*notify.Notify, *notify.Listener), order []int, waker bool) {
	var n notify.Notify
	woken := 0
	var w wake.Waker
	if waker {
		w = wake.Func(func() { woken++ })
	}
	l := n.Register(w)
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	failing, fail := context.WithCancel(bg)
	var there []party
	gaveUp := waiting(failing, l)
	synctest.Wait()
	for i, party := range order {
		there = append(there, parties[party](ctx, l))
		synctest.Wait()
		if i == len(order)/2 {
			fail()
			synctest.Wait()
		}
	}
	fail()
	synctest.Wait()
	told, err := gaveUp()
	require.True(t, told)
	require.ErrorIs(t, err, context.Canceled)

	tell(&n, l)
	synctest.Wait()
	for i, p := range there {
		told, err := p()
		if name == "Stop" {
			require.ErrorIs(t, err, notify.ErrStopped, "%v of %v, waker %t", i, order, waker)
			continue
		}
		if order[i] != 3 { // one of the others may have emptied the channel
			require.True(t, told, "%v of %v, waker %t", i, order, waker)
			require.NoError(t, err)
		} else if len(order) == 1 {
			require.True(t, told, "the channel, waker %t", waker)
		}
	}
	require.Equal(t, waker && name != "Stop", woken == 1)
	require.Equal(t, name != "Stop", l.Ready())
	requireIdle(t, &n)
}

// joining is a context whose Err makes another goroutine wait for a Listener.
type joining struct {
	context.Context
	asked int
	join  func()
}

func (c *joining) Err() error {
	if c.asked++; c.asked == 2 { // the first call is before the line
		c.join()
	}
	return nil
}

// TestUnwindRemovesNoOther: a wait that left a Listener's line and then unwinds does not
// take out a waiter that came meanwhile.
func TestUnwindRemovesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		l := n.Listen()
		var other <-chan error
		ctx := &joining{Context: wake.WithParker(bg, brokenParker{}), join: func() {
			other = async(func() error { return l.Wait(bg) })
			synctest.Wait()
		}}
		require.Equal(t, errClosedLoop, l.Wait(ctx))
		requirePending(t, other)
		n.NotifyOne()
		require.NoError(t, <-other)
	})
}

// TestContextOfBothSides: the same context, made outside, serves waits outside of bubbles
// and in them, in any order. Waits under a context of a bubble block durably there,
// whatever was before.
func TestContextOfBothSides(t *testing.T) {
	var n notify.Notify
	waits := map[string]func(ctx context.Context) error{
		"Wait":     n.Wait,
		"Listener": func(ctx context.Context) error { return n.Listen().Wait(ctx) },
	}
	outer, cancel := context.WithCancel(bg)
	defer cancel()
	outer.Done() // makes the channel, on the side of the first call
	use := func(ctx context.Context, wait func(context.Context) error) {
		for range 4 {
			done := async(func() error { return wait(ctx) })
			for n.NotifyWaiters() == 0 {
				runtime.Gosched()
			}
			require.NoError(t, <-done)
		}
	}
	for range 2 {
		for _, wait := range waits {
			synctest.Test(t, func(t *testing.T) {
				use(outer, wait)
				inner, cancel := context.WithCancel(bg)
				defer cancel()
				for range 4 {
					start := time.Now()
					time.AfterFunc(time.Hour, func() { n.NotifyWaiters() })
					require.NoError(t, wait(inner))
					require.Equal(t, time.Hour, time.Since(start))
				}
				use(outer, wait)
			})
			use(outer, wait)
		}
	}
	requireIdle(t, &n)
}
