package notify

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

// half does the first half of NotifyOne: a waiter is picked and not woken yet. It returns
// the second half.
func half(n *Notify) (tell func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.pickLocked(oldest)
	return func() { deliver(w) }
}

// TestStopTooLateWakes: a Stop that did not prevent the wake lets the waker
// run, though the wake itself is handed on.
func TestStopTooLateWakes(t *testing.T) {
	var n Notify
	woken := 0
	l := n.Register(wake.Func(func() { woken++ }))
	tell := half(&n)
	require.False(t, l.Stop())
	tell()
	require.Equal(t, 1, woken)
	require.True(t, n.TryWait())
}

// A crossParker panics when it is woken.
type crossParker struct{ wake.Parker }

func (p crossParker) Wake() {
	p.Parker.Wake()
	panic("parker")
}

// waitCross waits for l in a goroutine that cannot be woken without a panic, and
// returns when that is told.
func waitCross(l *Listener) (done <-chan error) {
	c := make(chan error, 1)
	go func() {
		c <- l.Wait(wake.WithParker(context.Background(), crossParker{wake.NewParker()}))
	}()
	for joined := false; !joined; runtime.Gosched() {
		l.n.mu.Lock()
		_, joined = l.w.Waker.(*soleWaiter)
		l.n.mu.Unlock()
	}
	return c
}

// TestStopHandsOnPastAPanic of a goroutine in Wait of the Listener.
func TestStopHandsOnPastAPanic(t *testing.T) {
	var n Notify
	l := n.Listen()
	done := waitCross(l)
	woken := 0
	second := n.Register(wake.Func(func() { woken++ }))
	tell := half(&n)
	require.False(t, l.Stop())
	require.Equal(t, 1, woken)
	require.True(t, second.Ready())
	require.PanicsWithValue(t, "parker", tell)
	require.ErrorIs(t, <-done, ErrStopped)
	require.False(t, n.TryWait())
}

// TestStopInTimePastAPanic: a goroutine in Wait of the Listener returns.
func TestStopInTimePastAPanic(t *testing.T) {
	var n Notify
	l := n.Listen()
	done := waitCross(l)
	require.PanicsWithValue(t, "parker", func() { l.Stop() })
	require.ErrorIs(t, <-done, ErrStopped)
	require.Zero(t, n.Waiters())
	require.False(t, l.Stop())
	require.False(t, n.TryWait())
}

// leavers are ways not to return from Park.
var leavers = map[string]func(){"panic": func() { panic("park") }, "Goexit": runtime.Goexit}

// A leaver picks the waiter that parks, if it is told to, and then ends the goroutine.
type leaver struct {
	wake.Parker
	n      *Notify
	picked bool
	end    func()
}

func (p leaver) Park(context.Context) error {
	if p.picked {
		p.n.NotifyOne()
	}
	p.end()
	return nil
}

// TestParkDoesNotReturn: no waiter stays in line, and a wake is handed on.
func TestParkDoesNotReturn(t *testing.T) {
	waits := map[string]func(n *Notify, ctx context.Context){
		"Notify": func(n *Notify, ctx context.Context) { n.Wait(ctx) },
		"Listener": func(n *Notify, ctx context.Context) {
			l := n.Listen()
			defer l.Stop()
			l.Wait(ctx)
		},
	}
	for name, wait := range waits {
		for how, end := range leavers {
			for _, picked := range []bool{false, true} {
				var n Notify
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					defer func() { recover() }()
					wait(&n, wake.WithParker(context.Background(), leaver{wake.NewParker(), &n, picked, end}))
				}()
				<-ended
				require.Zero(t, n.Waiters(), "%s, %s", name, how)
				require.Equal(t, picked, n.TryWait(), "%s, %s, picked %t", name, how, picked)
			}
		}
	}
}

// TestRegisterPanics: the permit that the Listener took is put back.
func TestRegisterPanics(t *testing.T) {
	var n Notify
	n.NotifyOne()
	require.PanicsWithValue(t, "waker", func() { n.Register(wake.Func(func() { panic("waker") })) })
	require.True(t, n.TryWait())
}
