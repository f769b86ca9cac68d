package waitq

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

// TestOneOfFinishAndAbandonWins, even if both are called at the same instant.
func TestOneOfFinishAndAbandonWins(t *testing.T) {
	const rounds = 500
	ws := make([]Waiter[int], rounds)
	finished := make([]bool, rounds)
	var begun atomic.Int64
	done := make(chan struct{})
	meet := func(i int) { // twice per round
		begun.Add(1)
		for spins := 1; begun.Load() < int64(2*(i+1)); spins++ {
			if spins%1000 == 0 {
				runtime.Gosched()
			}
		}
	}
	go func() {
		defer close(done)
		for i := range ws {
			meet(i)
			finished[i] = ws[i].Finish()
		}
	}()
	abandoned := make([]bool, rounds)
	for i := range ws {
		meet(i)
		abandoned[i] = ws[i].Abandon()
	}
	<-done
	for i := range ws {
		require.NotEqual(t, finished[i], abandoned[i], "round %d", i)
		require.Equal(t, finished[i], ws[i].Done())
		require.Equal(t, abandoned[i], ws[i].Gone())
	}
}

// TestReleaseSkipsAbandoned waiters, and wakes the others, whatever a waker does.
func TestReleaseSkipsAbandoned(t *testing.T) {
	for how, leave := range map[string]func(){"panic": func() { panic("waker") }, "Goexit": runtime.Goexit} {
		var q Queue[int]
		ws := make([]Waiter[int], 5)
		woken := make([]bool, len(ws))
		for i := range ws {
			ws[i].Waker = wake.Func(func() { woken[i] = true; leave() })
			q.Push(&ws[i])
		}
		require.True(t, ws[1].Abandon())
		list := q.Detach()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { recover() }()
			list.Release()
		}()
		<-ended
		require.Equal(t, []bool{true, false, true, true, true}, woken, how)
		require.True(t, ws[1].Gone())
		require.False(t, ws[1].Done())
	}
}
