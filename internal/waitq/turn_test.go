package waitq

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/wake"
)

// TestTurnSkipsZero when it wraps: zero is the turn of waiters that are not in line.
func TestTurnSkipsZero(t *testing.T) {
	q := Queue[int]{turn: math.MaxUint32}
	last := new(Waiter[int])
	q.Push(last)
	q.Detach()
	require.False(t, q.Remove(last))
	require.False(t, q.Remove(new(Waiter[int])), "never in line")

	next := new(Waiter[int])
	q.Push(next)
	require.False(t, q.Remove(last))
	require.False(t, q.Remove(new(Waiter[int])))
	require.True(t, q.Remove(next))
}

// TestReleaseFinishesFirst: a waiter is done when its waker is called.
func TestReleaseFinishesFirst(t *testing.T) {
	var q Queue[int]
	woken := 0
	for range 3 {
		w := new(Waiter[int])
		w.Waker = wake.Func(func() {
			require.True(t, w.Done())
			woken++
		})
		q.Push(w)
	}
	list := q.Detach()
	list.Release()
	require.Equal(t, 3, woken)
}

// TestLeftBehind: a waiter that left a line keeps no link into it.
func TestLeftBehind(t *testing.T) {
	var q Queue[int]
	ws := make([]Waiter[int], 3)
	for i := range ws {
		q.Push(&ws[i])
	}
	require.Same(t, &ws[2], q.Back())
	require.True(t, q.Remove(&ws[1]))
	list := q.Detach()
	list.Release()
	require.Nil(t, q.Back())
	for i := range ws {
		require.Nil(t, ws[i].next)
		require.Nil(t, ws[i].prev)
		require.False(t, q.Has(&ws[i]))
	}
}

// TestTurnsGoRound: a waiter that is done is in no line, even if its turn comes again.
func TestTurnsGoRound(t *testing.T) {
	var q Queue[int]
	var w Waiter[int]
	q.Push(&w)
	list := q.Detach()
	list.Release()
	q.turn = w.turn
	require.False(t, q.Has(&w))
	require.False(t, q.Remove(&w))
}
