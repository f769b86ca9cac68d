package notify

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

// half does the first half of NotifyOne: somebody is picked and not yet told.
// It returns the second.
func half(n *Notify) (tell func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.pass(n.line.Front)
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

// crossParker cannot be woken without a panic.
type crossParker struct{ wake.Parker }

func (p crossParker) Wake() {
	p.Parker.Wake()
	panic("parker")
}

// TestStopHandsOnPastAPanic of who waits for the Listener.
func TestStopHandsOnPastAPanic(t *testing.T) {
	var n Notify
	l := n.Listen()
	done := make(chan error)
	go func() {
		done <- l.Wait(wake.WithParker(context.Background(), crossParker{wake.NewParker()}))
	}()
	for joined := 0; joined == 0; runtime.Gosched() {
		n.mu.Lock()
		joined = l.joined.Len()
		n.mu.Unlock()
	}
	woken := 0
	second := n.Register(wake.Func(func() { woken++ }))
	tell := half(&n)
	require.PanicsWithValue(t, "parker", func() { l.Stop() })
	require.ErrorIs(t, <-done, ErrStopped)
	tell()
	require.Equal(t, 1, woken)
	require.True(t, second.Ready())
}

// leavers do not return from Park.
var leavers = map[string]func(){"panic": func() { panic("park") }, "Goexit": runtime.Goexit}

// leaver picks whoever parks, if it is to, and then ends.
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

// TestParkDoesNotReturn: nobody stays in line, and a wake is handed on.
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

// TestRegisterPanics: the permit that it took is put back.
func TestRegisterPanics(t *testing.T) {
	var n Notify
	n.NotifyOne()
	require.PanicsWithValue(t, "waker", func() { n.Register(wake.Func(func() { panic("waker") })) })
	require.True(t, n.TryWait())
}
