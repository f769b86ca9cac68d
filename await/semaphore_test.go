package await_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
)

// beginAcquire is begin of an Acquire.
func beginAcquire(s *await.Semaphore, ctx context.Context, n int64) <-chan error {
	return begin(func() error { return s.Acquire(ctx, n) })
}

// requireState requires the number of permits that are held and of waiters in line.
func requireState(t *testing.T, s *await.Semaphore, held int64, waiters int) {
	t.Helper()
	require.Equal(t, held, s.Held(), "held")
	require.Equal(t, waiters, s.Waiters(), "in line")
}

// TestHazardLargeRequestIsOvertaken: a small one waits behind it although enough is free.
// Only TryAcquire overtakes it.
func TestHazardLargeRequestIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := await.NewSemaphore(10)
		require.NoError(t, s.Acquire(t.Context(), 4))
		large := beginAcquire(s, t.Context(), 8)
		small := beginAcquire(s, t.Context(), 1)
		inSelect := begin(func() error {
			_, err := await.Select(t.Context(), s.OnAcquire(1))
			return err
		})
		requireAsleep(t, large, small, inSelect)
		require.False(t, s.TryAcquire(7))
		require.True(t, s.TryAcquire(6))
		requireState(t, s, 10, 3)
		s.Release(6)
		s.Release(1)
		requireAsleep(t, large, small, inSelect)
		s.Release(1)
		require.NoError(t, requireReturned(t, large))
		requireAsleep(t, small, inSelect)
		s.Release(8)
		require.NoError(t, requireReturned(t, small))
		require.NoError(t, requireReturned(t, inSelect))
		s.Release(4)
		requireState(t, s, 0, 0)
	})
}

// TestHazardSmallBehindACanceledLarge is let in at once (golang/go#37852).
func TestHazardSmallBehindACanceledLarge(t *testing.T) {
	acquires := map[string]func(s *await.Semaphore, ctx context.Context) error{
		"Acquire": func(s *await.Semaphore, ctx context.Context) error { return s.Acquire(ctx, 10) },
		"Select": func(s *await.Semaphore, ctx context.Context) error {
			_, err := await.Select(ctx, s.OnAcquire(10))
			return err
		},
	}
	for how, acquire := range acquires {
		for sleep, prepare := range cancelable {
			bubble(t, how+sleep, func(t *testing.T) {
				s := await.NewSemaphore(10)
				require.True(t, s.TryAcquire(1))
				ctx, cancel := context.WithCancel(t.Context())
				large := begin(func() error { return acquire(s, prepare(ctx)) })
				small := []<-chan error{beginAcquire(s, t.Context(), 5), beginAcquire(s, t.Context(), 4)}
				last := beginAcquire(s, t.Context(), 1)
				requireAsleep(t, append(small, last)...)
				cancel()
				require.ErrorIs(t, requireReturned(t, large), context.Canceled)
				for _, c := range small {
					require.NoError(t, requireReturned(t, c))
				}
				requireAsleep(t, last)
				s.Release(10)
				require.NoError(t, requireReturned(t, last))
				s.Release(1)
				requireState(t, s, 0, 0)
			})
		}
	}
}

// TestHazardAcquireMoreThanTheLimit fails at once, whether permits are free, held, or
// waited for.
func TestHazardAcquireMoreThanTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := await.NewSemaphore(3)
		var waits []<-chan error
		for range 4 {
			for _, ctx := range []context.Context{context.Background(), t.Context(), cancelable["parked"](t.Context())} {
				require.Equal(t, await.ErrLimit, s.Acquire(ctx, 4))
				require.Equal(t, await.ErrLimit, s.Acquire(ctx, math.MaxInt64))
				i, err := await.Select(ctx, nil, s.OnAcquire(4))
				require.Equal(t, 1, i)
				require.Equal(t, await.ErrLimit, err)
			}
			require.False(t, s.TryAcquire(4))
			require.Equal(t, max(0, len(waits)-1), s.Waiters())
			waits = append(waits, beginAcquire(s, t.Context(), 2))
		}
		for _, c := range waits {
			require.NoError(t, requireReturned(t, c))
			s.Release(2)
		}
		requireState(t, s, 0, 0)
	})
}

// TestSetLimitBelowWhatIsHeld: the holders keep their permits, and no other gets any until
// enough were released.
func TestSetLimitBelowWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := await.NewSemaphore(10)
		require.True(t, s.TryAcquire(8))
		s.SetLimit(3)
		requireState(t, s, 8, 0)
		require.EqualValues(t, 3, s.Limit())
		require.False(t, s.TryAcquire(1))
		wait := beginAcquire(s, t.Context(), 1)
		s.Release(5)
		requireAsleep(t, wait)
		require.False(t, s.TryAcquire(1))
		s.Release(1)
		require.NoError(t, requireReturned(t, wait))
		requireState(t, s, 3, 0)
		s.Release(3)
		requireState(t, s, 0, 0)
	})
}

// TestSetLimitRefusesWaiters in line for more with ErrLimit, lets in those behind them,
// and keeps the others in order.
func TestSetLimitRefusesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := await.NewSemaphore(10)
		require.True(t, s.TryAcquire(1))
		large := []<-chan error{
			beginAcquire(s, context.Background(), 10),
			beginAcquire(s, t.Context(), 10),
			begin(func() error { return s.Acquire(cancelable["parked"](t.Context()), 10) }),
			begin(func() error {
				i, err := await.Select(t.Context(), nil, s.OnAcquire(10))
				require.Equal(t, 1, i)
				return err
			}),
		}
		small := beginAcquire(s, t.Context(), 4)
		another := beginAcquire(s, t.Context(), 9)
		last := beginAcquire(s, t.Context(), 1)
		requireAsleep(t, append(large, small, another, last)...)
		s.SetLimit(5)
		for _, c := range append(large, another) {
			require.Equal(t, await.ErrLimit, requireReturned(t, c))
		}
		require.NoError(t, requireReturned(t, small))
		requireAsleep(t, last)
		requireState(t, s, 5, 1)
		s.Release(5)
		require.NoError(t, requireReturned(t, last))
		s.Release(1)
		requireState(t, s, 0, 0)
	})
}

// TestSetLimitRaises: waiters in line are let in, as many as there is room for.
func TestSetLimitRaises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := await.NewSemaphore(2)
		require.True(t, s.TryAcquire(2))
		line := []<-chan error{beginAcquire(s, t.Context(), 1), beginAcquire(s, t.Context(), 2), beginAcquire(s, t.Context(), 1)}
		s.SetLimit(5)
		require.NoError(t, requireReturned(t, line[0]))
		require.NoError(t, requireReturned(t, line[1]))
		requireAsleep(t, line[2])
		s.SetLimit(math.MaxInt64)
		require.NoError(t, requireReturned(t, line[2]))
		requireState(t, s, 6, 0)
		s.Release(6)
		require.NoError(t, s.Acquire(t.Context(), math.MaxInt64))
		require.False(t, s.TryAcquire(1))
		s.Release(math.MaxInt64)
		requireState(t, s, 0, 0)
	})
}

// TestSetLimitPassesOverAChosenSelect: it is not refused, because another case has
// happened, and it can be used again.
func TestSetLimitPassesOverAChosenSelect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := await.NewSemaphore(2), new(await.Mutex)
		require.True(t, s.TryAcquire(1))
		require.True(t, m.TryLock())
		c := s.OnAcquire(2)
		chosen := begin(func() error {
			i, err := await.Select(t.Context(), c, m.OnLock())
			require.Equal(t, 1, i)
			return err
		})
		m.Unlock()
		s.SetLimit(1)
		require.NoError(t, requireReturned(t, chosen))
		s.SetLimit(2)
		again := begin(func() error {
			_, err := await.Select(t.Context(), c)
			return err
		})
		s.Release(1)
		require.NoError(t, requireReturned(t, again))
		s.Release(2)
		requireState(t, s, 0, 0)
	})
}

// TestHazardReleaseOfMoreThanIsHeld panics, can be recovered from, and changes nothing.
func TestHazardReleaseOfMoreThanIsHeld(t *testing.T) {
	const text = "await: Release of more than is held of a Semaphore"
	synctest.Test(t, func(t *testing.T) {
		s := await.NewSemaphore(4)
		require.Equal(t, text, panicOf(t, func() { s.Release(1) }))
		require.True(t, s.TryAcquire(3))
		require.Equal(t, text, panicOf(t, func() { s.Release(4) }))
		require.Equal(t, text, panicOf(t, func() { s.Release(math.MaxInt64) }))
		requireState(t, s, 3, 0)
		wait := beginAcquire(s, t.Context(), 2)
		require.Equal(t, text, panicOf(t, func() { s.Release(4) }))
		requireAsleep(t, wait)
		s.SetLimit(4)
		require.Equal(t, text, panicOf(t, func() { s.Release(4) }))
		requireState(t, s, 3, 1)
		s.Release(3)
		require.NoError(t, requireReturned(t, wait))
		s.Release(2)
		requireState(t, s, 0, 0)
	})
}

// TestHazardNegativeSizes panic and change nothing.
func TestHazardNegativeSizes(t *testing.T) {
	s := await.NewSemaphore(4)
	require.True(t, s.TryAcquire(2))
	for _, f := range []func(){
		func() { await.NewSemaphore(-1) },
		func() { _ = s.Acquire(context.Background(), -1) },
		func() { s.TryAcquire(math.MinInt64) },
		func() { s.Release(-1) },
		func() { s.SetLimit(-1) },
		func() { s.OnAcquire(-1) },
	} {
		require.Equal(t, "await: a negative number of permits", panicOf(t, f))
		requireState(t, s, 2, 0)
		require.EqualValues(t, 4, s.Limit())
	}
}

// TestSemaphoreOfNothing: the zero value has a limit of 0, and nothing can be acquired at
// once and on a dead context.
func TestSemaphoreOfNothing(t *testing.T) {
	s := new(await.Semaphore)
	require.Zero(t, s.Limit())
	require.NoError(t, s.Acquire(over(), 0))
	require.True(t, s.TryAcquire(0))
	i, err := await.Select(over(), nil, s.OnAcquire(0))
	require.Equal(t, 1, i)
	require.NoError(t, err)
	s.Release(0)
	require.False(t, s.TryAcquire(1))
	require.ErrorIs(t, s.Acquire(context.Background(), 1), await.ErrLimit)
	requireState(t, s, 0, 0)
	s.SetLimit(1)
	require.True(t, s.TryAcquire(1))
	s.Release(0)
	requireState(t, s, 1, 0)
	s.Release(1)
}

// TestAcquireOfNothingPassesTheLine.
func TestAcquireOfNothingPassesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := await.NewSemaphore(1)
		require.True(t, s.TryAcquire(1))
		wait := beginAcquire(s, t.Context(), 1)
		require.NoError(t, s.Acquire(t.Context(), 0))
		i, err := await.Select(t.Context(), s.OnAcquire(0))
		require.Zero(t, i)
		require.NoError(t, err)
		requireAsleep(t, wait)
		s.Release(1)
		require.NoError(t, <-wait)
	})
}

// TestSemaphoreOfTheMost permits does not overflow.
func TestSemaphoreOfTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most int64 = 1<<61 - 1
		s := await.NewSemaphore(math.MaxInt64)
		require.Equal(t, most, s.Limit())
		require.True(t, s.TryAcquire(most))
		require.False(t, s.TryAcquire(1))
		wait := beginAcquire(s, t.Context(), most)
		require.False(t, s.TryAcquire(math.MaxInt64))
		requireState(t, s, most, 1)
		s.Release(most - 1)
		requireAsleep(t, wait)
		s.Release(1)
		require.NoError(t, requireReturned(t, wait))
		requireState(t, s, most, 0)
		s.Release(math.MaxInt64)
		requireState(t, s, 0, 0)
	})
}
