package notify_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

func TestListenTakesThePermit(t *testing.T) {
	var n notify.Notify
	n.NotifyOne()
	woken := 0
	l := n.Register(wake.Func(func() { woken++ }))
	require.Equal(t, 1, woken, "on return")
	require.False(t, n.TryWait())
	require.True(t, l.Ready())
	require.False(t, l.Stop())
	requireIdle(t, &n)
}

// consumers are the ways to consume a Listener's wake.
var consumers = map[string]func(*notify.Listener) bool{
	"Wait":  func(l *notify.Listener) bool { return l.Wait(bg) == nil },
	"Ready": (*notify.Listener).Ready,
	"C":     func(l *notify.Listener) bool { <-l.C(); return true },
}

// pickers wake one waiter or all; handsOn says whether an unconsumed wake is handed on.
var pickers = map[string]struct {
	pick    func(*notify.Notify)
	handsOn bool
}{
	"NotifyOne":     {(*notify.Notify).NotifyOne, true},
	"NotifyLast":    {(*notify.Notify).NotifyLast, true},
	"NotifyN":       {func(n *notify.Notify) { n.NotifyN(1) }, false},
	"NotifyWaiters": {func(n *notify.Notify) { n.NotifyWaiters() }, false},
}

func overPickers(t *testing.T, f func(t *testing.T, pick func(*notify.Notify), handsOn bool)) {
	for name, p := range pickers {
		t.Run(name, func(t *testing.T) { f(t, p.pick, p.handsOn) })
	}
}

func TestConsumed(t *testing.T) {
	overPickers(t, func(t *testing.T, pick func(*notify.Notify), _ bool) {
		for name, consume := range consumers {
			var n notify.Notify
			l := n.Listen()
			require.False(t, l.Ready(), name)
			pick(&n)
			require.True(t, consume(l), name)
			require.False(t, l.Stop(), name)
			requireIdle(t, &n)
			require.True(t, l.Ready(), "%s: once ready it stays ready", name)
			require.NoError(t, l.Wait(bg), name)
		}
	})
}

// TestStopHandsOn: the wake goes to the next in line, or if there is none becomes the
// permit.
func TestStopHandsOn(t *testing.T) {
	overPickers(t, func(t *testing.T, pick func(*notify.Notify), handsOn bool) {
		for _, open := range []bool{false, true} { // the channel, before
			var n notify.Notify
			first := n.Listen()
			if open {
				first.C()
			}
			pick(&n)
			second := n.Listen()
			require.False(t, first.Stop())
			require.False(t, first.Stop(), "again")
			require.False(t, first.Ready(), "not its own any more")
			require.ErrorIs(t, first.Wait(bg), notify.ErrStopped)
			require.Equal(t, handsOn, second.Ready())
			require.Equal(t, !handsOn, second.Stop())
			requireIdle(t, &n)

			third := n.Listen()
			pick(&n)
			require.False(t, third.Stop())
			require.Equal(t, handsOn, n.TryWait(), "back as the permit")
		}
	})
}

func TestStopInTime(t *testing.T) {
	var n notify.Notify
	l := n.Register(wake.Func(func() { t.Error("woken") }))
	require.True(t, l.Stop())
	require.False(t, l.Stop())
	require.False(t, l.Ready())
	require.ErrorIs(t, l.Wait(bg), notify.ErrStopped)
	require.Empty(t, l.C())
	n.NotifyOne()
	require.True(t, n.TryWait())
}

// TestStopReleasesWaits: a Wait of a Listener that is stopped returns.
func TestStopReleasesWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		l := n.Listen()
		a := async(func() error { return l.Wait(bg) })
		b := async(func() error { return l.Wait(bg) })
		synctest.Wait()
		require.True(t, l.Stop())
		require.ErrorIs(t, <-a, notify.ErrStopped)
		require.ErrorIs(t, <-b, notify.ErrStopped)
	})
}

// TestListenerWaitFailed: the Listener stays in line, and the wake is not lost.
func TestListenerWaitFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		l := n.Listen()
		ctx, cancel := context.WithCancel(bg)
		wait := async(func() error { return l.Wait(ctx) })
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-wait, context.Canceled)
		require.Equal(t, 1, n.Waiters())
		n.NotifyOne()
		require.ErrorIs(t, l.Wait(ctx), context.Canceled, "a done context consumes nothing")
		require.False(t, l.Stop())
		require.True(t, n.TryWait(), "so Stop handed it on")
	})
}

// countingParker counts its wakes.
type countingParker struct {
	wake.Parker
	wakes int
}

func (p *countingParker) Wake() {
	p.wakes++
	p.Parker.Wake()
}

// TestListenerForgetsFailedWaits: a parker whose Wait has returned is not woken.
func TestListenerForgetsFailedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		l := n.Listen()
		p := &countingParker{Parker: wake.NewParker()}
		ctx, cancel := context.WithCancel(wake.WithParker(bg, p))
		wait := async(func() error { return l.Wait(ctx) })
		synctest.Wait()
		cancel()
		require.Error(t, <-wait)
		n.NotifyOne()
		require.Zero(t, p.wakes)
		require.True(t, l.Ready())
	})
}

// TestListenerIsForAll: every way to wait for one Listener sees its wake.
func TestListenerIsForAll(t *testing.T) {
	overPickers(t, func(t *testing.T, pick func(*notify.Notify), _ bool) {
		synctest.Test(t, func(t *testing.T) {
			var n notify.Notify
			woken := 0
			l := n.Register(wake.Func(func() { woken++ }))
			a := async(func() error { return l.Wait(bg) })
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			b := async(func() error { return l.Wait(ctx) })
			synctest.Wait()
			pick(&n)
			require.NoError(t, <-a)
			require.NoError(t, <-b)
			require.Equal(t, 1, woken)
			require.True(t, l.Ready())
		})
	})
}

func TestC(t *testing.T) {
	overPickers(t, func(t *testing.T, pick func(*notify.Notify), _ bool) {
		var n notify.Notify
		before, after := n.Listen(), n.Listen()
		c := before.C()
		require.Empty(t, c)
		pick(&n)
		pick(&n)
		require.Len(t, c, 1)
		require.Equal(t, c, before.C(), "always the same")
		for _, l := range []*notify.Listener{before, after} {
			<-l.C()
			require.Empty(t, l.C(), "once")
			require.False(t, l.Stop())
		}
		requireIdle(t, &n)
	})
}

// TestReadyEmptiesC: a wake that Ready consumed cannot be received too.
func TestReadyEmptiesC(t *testing.T) {
	var n notify.Notify
	l := n.Listen()
	l.C()
	n.NotifyOne()
	require.True(t, l.Ready())
	require.Empty(t, l.C())
}

// TestCheckListenCheckWait is the protocol of the package's doc, with the wake
// between the looks.
func TestCheckListenCheckWait(t *testing.T) {
	var n notify.Notify
	ready := false
	l := n.Listen()
	ready = true
	n.NotifyWaiters() // between the second look and Wait
	require.True(t, ready)
	require.NoError(t, l.Wait(bg))
}
