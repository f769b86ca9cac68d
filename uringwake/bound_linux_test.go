package uringwake

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func boundedLoop(t *testing.T, most int) *Loop {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	l, err := NewLoop(&LoopOptions{SpinFor: -1, MaxInFlight: most})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(background)) })
	return l
}

// TestMaxInFlight: thousands of tasks with a few places all come to their end.
func TestMaxInFlight(t *testing.T) {
	l := boundedLoop(t, 3)
	const n = 5000
	var left atomic.Int64
	left.Store(n)
	done := make(chan struct{})
	for range n {
		require.NoError(t, l.Go(background, func(ctx context.Context) {
			for range 3 {
				if err := Nop(ctx); err != nil {
					t.Error(err)
				}
				if l.held > 3 {
					t.Error(l.held)
				}
			}
			if left.Add(-1) == 0 {
				close(done)
			}
		}))
	}
	<-done
}

// TestRoomComesInOrder: operations that wait for room get it first come, first served; those
// that are canceled meanwhile leave the line; and a loop with nothing else to do sleeps.
func TestRoomComesInOrder(t *testing.T) {
	l := boundedLoop(t, 2)
	a, _ := socketPair(t)
	const n = 2000
	var order []int
	var first, all []*Submission
	onLoopTask(t, l, func(ctx context.Context) {
		for range 2 { // they take all places
			first = append(first, Start(ctx, RecvOp(a, make([]byte, 1), 0)))
		}
		for i := range n {
			s := Start(ctx, NopOp())
			s.Register(appends{&order, i})
			all = append(all, s)
		}
	})
	AwaitSleep(l)
	OnLoop(t, l, func() {
		require.Equal(t, 2, l.held)
		require.Equal(t, n+2, l.InFlight())
	})
	AwaitSleep(l)
	var enters uint64
	OnLoop(t, l, func() { enters = l.enters })
	for range 10 {
		AwaitSleep(l)
		OnLoop(t, l, func() {})
	}
	OnLoop(t, l, func() { require.LessOrEqual(t, l.enters, enters+30, "enters that nothing asked for") })
	for i := 0; i < n; i += 2 {
		all[i].Cancel()
		_, err := all[i].Wait(background)
		require.ErrorIs(t, err, unix.ECANCELED)
	}
	first[0].Cancel() // a cancel needs no room
	for i := 1; i < n; i += 2 {
		_, err := all[i].Wait(background)
		require.NoError(t, err)
	}
	first[1].Cancel()
	OnLoop(t, l, func() {
		require.Len(t, order, n)
		for i := range n / 2 {
			require.Equal(t, 2*i, order[i])
			require.Equal(t, 2*i+1, order[n/2+i])
		}
	})
}

type appends struct {
	order *[]int
	i     int
}

func (a appends) Wake() { *a.order = append(*a.order, a.i) }

// onLoopTask runs f as a task of l, to its end.
func onLoopTask(t *testing.T, l *Loop, f func(ctx context.Context)) {
	done := make(chan struct{})
	require.NoError(t, l.Go(background, func(ctx context.Context) {
		defer close(done)
		f(ctx)
	}))
	<-done
}

// TestCompletedTasksRunFirst: a task whose operation has completed runs before the
// operations that wait for room are submitted again, and its next one is behind them.
func TestCompletedTasksRunFirst(t *testing.T) {
	l := boundedLoop(t, 1)
	var turns []int
	onLoopTask(t, l, func(ctx context.Context) {
		wait := make(chan struct{}, 2)
		for i := range 2 {
			require.NoError(t, TaskFrom(ctx).Spawn(ctx, func(ctx context.Context) {
				for range 100 {
					require.NoError(t, Nop(ctx))
					turns = append(turns, i)
				}
				wait <- struct{}{}
			}))
		}
		Blocking(ctx, func() { <-wait; <-wait })
	})
	for i := range 200 {
		require.Equal(t, i%2, turns[i])
	}
}

// TestCloseWithNoRoom: the operations that wait end with their loop.
func TestCloseWithNoRoom(t *testing.T) {
	l := boundedLoop(t, 1)
	a, _ := socketPair(t)
	var all []*Submission
	onLoopTask(t, l, func(ctx context.Context) {
		for range 5000 {
			all = append(all, Start(ctx, RecvOp(a, make([]byte, 1), 0)))
		}
	})
	require.NoError(t, l.Close(background))
	for _, s := range all {
		_, err := s.Wait(background)
		require.ErrorIs(t, err, ErrClosed)
	}
}
