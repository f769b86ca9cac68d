package waitq

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOneOfFinishAndAbandonWins: at the same instant, too.
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
