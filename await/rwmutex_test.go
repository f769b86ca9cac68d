package await_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
)

// bubble runs a subtest in a bubble.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// beginRLock is begin of an RLock.
func beginRLock(rw *await.RWMutex, ctx context.Context) <-chan error {
	return begin(func() error { return rw.RLock(ctx) })
}

// TestHazardWriterStarves: readers that come after it wait behind it, TryRLock too.
func TestHazardWriterStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rw := new(await.RWMutex)
		require.NoError(t, rw.RLock(t.Context()))
		writer := beginLock(rw)
		var late []<-chan error
		for range 5 {
			require.False(t, rw.TryRLock(), "overtakes the writer")
			late = append(late, beginRLock(rw, t.Context()))
		}
		requireAsleep(t, append(late, writer)...)
		rw.RUnlock()
		require.NoError(t, requireReturned(t, writer))
		requireAsleep(t, late...)
		rw.Unlock()
		for _, c := range late {
			require.NoError(t, requireReturned(t, c))
			rw.RUnlock()
		}
		requireUnlocked(t, rw)
	})
}

// TestHazardReadersStarve: a writer that comes after them waits behind them, although one
// writer follows the other.
func TestHazardReadersStarve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rw := new(await.RWMutex)
		require.True(t, rw.TryLock())
		second := beginLock(rw)
		readers := []<-chan error{beginRLock(rw, t.Context()), beginRLock(rw, t.Context())}
		third := beginLock(rw)
		rw.Unlock()
		require.NoError(t, requireReturned(t, second))
		requireAsleep(t, append(readers, third)...)
		rw.Unlock()
		for _, c := range readers {
			require.NoError(t, requireReturned(t, c))
		}
		requireAsleep(t, third)
		rw.RUnlock()
		requireAsleep(t, third)
		rw.RUnlock()
		require.NoError(t, requireReturned(t, third))
		rw.Unlock()
		requireUnlocked(t, rw)
	})
}

// TestRWMutexLetsNeighborsIn together: the readers before the next writer, and none of
// those behind it.
func TestRWMutexLetsNeighborsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rw := new(await.RWMutex)
		require.True(t, rw.TryLock())
		var first, behind []<-chan error
		for range 3 {
			first = append(first, beginRLock(rw, t.Context()))
		}
		writer := beginLock(rw)
		for range 3 {
			behind = append(behind, beginRLock(rw, t.Context()))
		}
		rw.Unlock()
		require.Equal(t, 3, rw.Readers())
		require.False(t, rw.Locked())
		for _, c := range first {
			require.NoError(t, requireReturned(t, c))
		}
		requireAsleep(t, append(behind, writer)...)
		for range 3 {
			rw.RUnlock()
		}
		require.NoError(t, requireReturned(t, writer))
		require.Zero(t, rw.Readers())
		require.True(t, rw.Locked())
		rw.Unlock()
		for _, c := range behind {
			require.NoError(t, requireReturned(t, c))
			rw.RUnlock()
		}
		requireUnlocked(t, rw)
	})
}

// TestHazardReaderBehindACanceledWriter is let in at once, whatever the way in which the
// writer waits.
func TestHazardReaderBehindACanceledWriter(t *testing.T) {
	writes := map[string]func(rw *await.RWMutex, ctx context.Context) error{
		"Lock": (*await.RWMutex).Lock,
		"Select": func(rw *await.RWMutex, ctx context.Context) error {
			_, err := await.Select(ctx, rw.OnLock())
			return err
		},
	}
	for how, write := range writes {
		for sleep, prepare := range cancelable {
			bubble(t, how+sleep, func(t *testing.T) {
				rw := new(await.RWMutex)
				require.True(t, rw.TryRLock())
				ctx, cancel := context.WithCancel(t.Context())
				writer := begin(func() error { return write(rw, prepare(ctx)) })
				readers := []<-chan error{beginRLock(rw, t.Context()), beginRLock(rw, t.Context())}
				last := beginLock(rw)
				requireAsleep(t, readers...)
				cancel()
				require.ErrorIs(t, requireReturned(t, writer), context.Canceled)
				for _, c := range readers {
					require.NoError(t, requireReturned(t, c))
				}
				requireAsleep(t, last)
				for range 3 {
					rw.RUnlock()
				}
				require.NoError(t, requireReturned(t, last))
				rw.Unlock()
				requireUnlocked(t, rw)
			})
		}
	}
}

// TestSelectOfAWriterLetsReadersIn when another case has happened.
func TestSelectOfAWriterLetsReadersIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rw, m := new(await.RWMutex), new(await.Mutex)
		require.True(t, rw.TryRLock())
		require.True(t, m.TryLock())
		writer := begin(func() error {
			_, err := await.Select(t.Context(), rw.OnLock(), m.OnLock())
			return err
		})
		reader := beginRLock(rw, t.Context())
		requireAsleep(t, reader, writer)
		m.Unlock()
		require.NoError(t, requireReturned(t, writer))
		require.NoError(t, requireReturned(t, reader))
		require.Equal(t, 2, rw.Readers())
		rw.RUnlock()
		rw.RUnlock()
		m.Unlock()
		requireUnlocked(t, rw)
		requireUnlocked(t, m)
	})
}

// TestRWMutexTry: TryLock fails while there are readers, TryRLock while there is a writer.
func TestRWMutexTry(t *testing.T) {
	rw := new(await.RWMutex)
	require.True(t, rw.TryRLock())
	require.True(t, rw.TryRLock())
	require.False(t, rw.TryLock())
	rw.RUnlock()
	require.False(t, rw.TryLock())
	rw.RUnlock()
	require.True(t, rw.TryLock())
	require.False(t, rw.TryRLock())
	require.False(t, rw.TryLock())
	rw.Unlock()
	requireUnlocked(t, rw)
}

// TestSelectOfReaderOrWriter of one RWMutex: of several cases that are possible the
// earliest is chosen, and a Select is in line once for each.
func TestSelectOfReaderOrWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rw := new(await.RWMutex)
		either := func(cases ...int) <-chan error {
			return begin(func() error {
				i, err := await.Select(t.Context(), rw.OnLock(), rw.OnRLock())
				require.Contains(t, cases, i)
				return err
			})
		}
		require.NoError(t, requireReturned(t, either(0)))
		wait := either(0)
		require.Equal(t, 2, rw.Waiters())
		rw.Unlock()
		require.NoError(t, requireReturned(t, wait))
		rw.Unlock()
		require.True(t, rw.TryRLock())
		require.NoError(t, requireReturned(t, either(1)), "with a reader it can only read")
		require.Zero(t, rw.Waiters())
		rw.RUnlock()
		rw.RUnlock()
		requireUnlocked(t, rw)
	})
}

// TestHazardRUnlockMeetsACanceledWriter: the last reader's RUnlock hands the lock to the
// writer, or to those behind it.
func TestHazardRUnlockMeetsACanceledWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rw := new(await.RWMutex)
		for range 300 {
			require.True(t, rw.TryRLock())
			ctx, cancel := context.WithCancel(t.Context())
			writer := begin(func() error { return rw.Lock(ctx) })
			reader := beginRLock(rw, t.Context())
			go cancel()
			rw.RUnlock()
			if <-writer == nil {
				requireAsleep(t, reader)
				rw.Unlock()
			}
			require.NoError(t, requireReturned(t, reader))
			rw.RUnlock()
			requireUnlocked(t, rw)
		}
	})
}
