package await

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// A wait that is canceled, and one in a task, must not allocate a new waiter each time.
// sync.Pool drops some at random under the race detector, so this counts without it.
func requireFewAllocs(t *testing.T, most float64, f func()) {
	t.Helper()
	if testkit.Race {
		f()
		return
	}
	require.LessOrEqual(t, testing.AllocsPerRun(200, f), most)
}

// wakeless is a parker whose Park calls a function instead of sleeping.
type wakeless struct{ park func() error }

func (wakeless) Wake()                          {}
func (p wakeless) Park(_ context.Context) error { return p.park() }

// TestWaitsReuseTheirWaiters: a Lock in line allocates nothing, whether it got the lock or
// has left, except what its context costs.
func TestWaitsReuseTheirWaiters(t *testing.T) {
	var m Mutex
	require.True(t, m.TryLock())
	served := wake.WithParker(context.Background(), &wakeless{func() error { m.Unlock(); return nil }})
	requireFewAllocs(t, 0, func() { require.NoError(t, m.Lock(served)) })
	fails := wake.WithParker(context.Background(), &wakeless{func() error { return context.Canceled }})
	requireFewAllocs(t, 0, func() { require.Error(t, m.Lock(fails)) })
}

// TestLimitIsCheckedBeforeSpinning: an Acquire of more than the limit does not yield. The
// scheduler may preempt it, or let it go on when it yields, but not in most cases.
func TestLimitIsCheckedBeforeSpinning(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := NewSemaphore(3)
	require.True(t, s.TryAcquire(3))
	yields := func(n int64) bool {
		var ran atomic.Bool
		go ran.Store(true)
		err := s.Acquire(context.Background(), n)
		yielded := ran.Load()
		require.Equal(t, ErrLimit, err)
		for !ran.Load() {
			runtime.Gosched()
		}
		return yielded
	}
	for _, n := range []int64{4, maxSize} {
		yielded := 0
		for range 100 {
			if yields(n) {
				yielded++
			}
		}
		require.Less(t, yielded, 50)
	}
}

// TestFlagsAreClear after the last waiter has left, so that the fast paths work again.
func TestFlagsAreClear(t *testing.T) {
	var m Mutex
	require.True(t, m.TryLock())
	ctx := wake.WithParker(context.Background(), &wakeless{func() error {
		require.Equal(t, one|waiting, m.s.word.Load())
		return context.Canceled
	}})
	require.Error(t, m.Lock(ctx))
	require.Equal(t, one, m.s.word.Load())
	_, err := Select(ctx, m.OnLock())
	require.Error(t, err)
	require.Equal(t, one, m.s.word.Load())
	m.RecordHolder(true)
	require.Equal(t, one|slow, m.s.word.Load())
	m.RecordHolder(false)
	m.Unlock()
	require.Zero(t, m.s.word.Load())
}
