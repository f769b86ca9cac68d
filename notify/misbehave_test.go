package notify_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// armables are misbehaving contexts; one of them calls back.
func armables(n *notify.Notify) map[string]*misbehave.Armed {
	return misbehave.Armables(func() { n.Waiters(); n.Listen().Stop() })
}

// TestMisbehavingCompany: whatever a context and a parker do, before the waiter is picked
// or after, no waiter stays in line, and a wake is consumed once, handed on or, if it is
// of NotifyN, dropped.
func TestMisbehavingCompany(t *testing.T) {
	waits := map[string]func(n *notify.Notify, ctx context.Context) error{
		"Wait": (*notify.Notify).Wait,
		"Listener": func(n *notify.Notify, ctx context.Context) error {
			l := n.Listen()
			defer l.Stop()
			return l.Wait(ctx)
		},
		"Select": func(n *notify.Notify, ctx context.Context) error {
			_, err := await.Select(ctx, n.OnNotify())
			return err
		},
	}
	picks := map[string]func(n *notify.Notify){
		"none":    func(*notify.Notify) {},
		"one":     (*notify.Notify).NotifyOne,
		"N":       func(n *notify.Notify) { n.NotifyN(3) },
		"one,one": func(n *notify.Notify) { n.NotifyOne(); n.NotifyOne() },
	}
	for what := range armables(nil) {
		for park, strike := range misbehave.Parks {
			for how, wait := range waits {
				for picked, pick := range picks {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", what, park, how, picked), func(t *testing.T) {
						var n notify.Notify
						c := armables(&n)[what]
						p := &misbehave.First{Parker: wake.NewParker(), First: func() { pick(&n); c.Armed = true }, Strike: strike}
						returned, err := misbehave.Outcome(func() error { return wait(&n, wake.WithParker(c, p)) })

						require.Zero(t, n.Waiters())
						consumed := returned && err == nil
						require.Equal(t, picked == "one,one" || picked == "one" && !consumed, n.TryWait(), "the permit")
						require.False(t, consumed && picked == "none")
						if picked != "none" && park == "fails" {
							require.True(t, consumed, "the wake came first, so the context is not asked")
						}
						if c.Orderly && (park == "parks" || park == "fails") {
							require.True(t, returned)
							require.Equal(t, picked == "none", err != nil, "the wake wins: %v", err)
						}
					})
				}
			}
		}
	}
}

// TestMisbehavingCompanyOfAListener: a Wait that ended is not woken any more, and the
// Listener stays in line.
func TestMisbehavingCompanyOfAListener(t *testing.T) {
	for what := range armables(nil) {
		for park, strike := range misbehave.Parks {
			var n notify.Notify
			l := n.Listen()
			c := armables(&n)[what]
			p := &misbehave.First{Parker: wake.NewParker(), First: func() { c.Armed = true }, Strike: strike}
			returned, err := misbehave.Outcome(func() error { return l.Wait(wake.WithParker(c, p)) })
			require.False(t, returned && err == nil, "%s, %s", what, park)
			require.Equal(t, 1, n.Waiters(), "%s, %s", what, park)
			n.NotifyOne()
			require.Zero(t, p.Wakes, "%s, %s", what, park)
			require.True(t, l.Ready())
		}
	}
}

// TestMisbehavingContextBeforeTheLine: nothing is consumed, and no waiter is in line.
func TestMisbehavingContextBeforeTheLine(t *testing.T) {
	for what := range armables(nil) {
		var n notify.Notify
		n.NotifyOne()
		l := n.Listen()
		n.NotifyOne()
		c := armables(&n)[what]
		c.Armed = true
		for _, wait := range []func(context.Context) error{n.Wait, l.Wait} {
			if returned, err := misbehave.Outcome(func() error { return wait(c) }); returned && err == nil {
				n.NotifyOne() // as c does not say that it has ended
			}
		}
		require.True(t, n.TryWait(), what)
		require.True(t, l.Ready(), what)
		requireIdle(t, &n)
	}
}

// TestMisbehavingWakers: whichever of them panic or exit, all others are called, and
// the notification ends with their panic or exit.
func TestMisbehavingWakers(t *testing.T) {
	notifications := map[string]func(n *notify.Notify){
		"NotifyN":       func(n *notify.Notify) { n.NotifyN(5) },
		"NotifyWaiters": func(n *notify.Notify) { n.NotifyWaiters() },
		"NotifyOnes": func(n *notify.Notify) {
			for range 5 {
				misbehave.Outcome(func() error { n.NotifyOne(); return nil })
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
				returned, _ := misbehave.Outcome(func() error { notification(&n); return nil })
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

// TestMisbehavingWakerOfAPermit: a Register that took the permit and does not return
// hands it on, to the oldest waiter.
func TestMisbehavingWakerOfAPermit(t *testing.T) {
	for _, end := range []func(){func() { panic("waker") }, runtime.Goexit} {
		var n notify.Notify
		n.NotifyOne()
		var next *notify.Listener
		returned, _ := misbehave.Outcome(func() error {
			n.Register(wake.Func(func() { next = n.Listen(); end() }))
			return nil
		})
		require.False(t, returned)
		require.True(t, next.Ready())
		requireIdle(t, &n)
	}
}

// TestMisbehavingParkersOfAListener: of several goroutines in Wait of one Listener, some
// have parkers that panic or exit when they are woken. All return, and the waker is called.
func TestMisbehavingParkersOfAListener(t *testing.T) {
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
				p := &misbehave.First{Parker: wake.NewParker(), First: func() { close(parked) }}
				if i%2 == 0 {
					p.End = end
				}
				waits[i] = async(func() error { return l.Wait(wake.WithParker(bg, p)) })
				<-parked
			}
			misbehave.Outcome(func() error { tell(&n, l); return nil })
			for _, w := range waits {
				<-w
			}
			require.Equal(t, l.Ready(), woken == 1)
		}
	}
}
