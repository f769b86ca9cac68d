package await_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// Each test here is named after a bug of another system, or one that a lock with contexts
// is prone to. lock_stress_test.go looks for the same ones without a bubble.

// TestHazardCanceledHeadBlocksTheRest (golang/go#37852).
func TestHazardCanceledHeadBlocksTheRest(t *testing.T) {
	eachSleep(t, func(t *testing.T, l lock, ctx context.Context, cancel func()) {
		require.True(t, l.TryLock())
		head := begin(func() error { return l.Lock(ctx) })
		next := beginLock(l)
		cancel()
		require.ErrorIs(t, requireReturned(t, head), context.Canceled)
		requireAsleep(t, next)
		l.Unlock()
		require.NoError(t, requireReturned(t, next))
		l.Unlock()
	})
}

// TestHazardLockOnADeadContext: it fails although the lock is free (golang/go#63615).
func TestHazardLockOnADeadContext(t *testing.T) {
	eachSleep(t, func(t *testing.T, l lock, ctx context.Context, cancel func()) {
		cancel()
		for _, locked := range []bool{false, true} {
			require.ErrorIs(t, l.Lock(ctx), context.Canceled)
			chosen, err := await.Select(ctx, l.OnLock())
			require.Equal(t, -1, chosen)
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, l.Waiters())
			require.Equal(t, !locked, l.TryLock())
		}
		l.Unlock()
	})
	rw := new(await.RWMutex)
	require.ErrorIs(t, rw.RLock(over()), context.Canceled)
	requireUnlocked(t, rw)
}

// TestLockErrorHasTheCause of the context's end.
func TestLockErrorHasTheCause(t *testing.T) {
	cause := errors.New("the cause")
	for how, prepare := range cancelable {
		eachLock(t, func(t *testing.T, l lock) {
			ctx, cancel := context.WithDeadlineCause(context.Background(), time.Now().Add(time.Hour), cause)
			defer cancel()
			ctx = prepare(ctx)
			require.True(t, l.TryLock())
			start := time.Now()
			err := l.Lock(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded, how)
			require.ErrorIs(t, err, cause, how)
			require.Equal(t, time.Hour, time.Since(start))
			l.Unlock()
		})
	}
}

// TestHazardUnlockMeetsACanceledWaiter: the lock is the waiter's, or free, or another
// waiter's; it is not lost.
func TestHazardUnlockMeetsACanceledWaiter(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		for i := range 300 {
			ctx, cancel := context.WithCancel(context.Background())
			if i%2 == 0 {
				ctx = wake.WithParker(ctx, wake.NewParker())
			}
			require.True(t, l.TryLock(), "lost")
			meets := begin(func() error { return l.Lock(ctx) })
			next := beginLock(l)
			go cancel()
			l.Unlock()
			if <-meets == nil {
				requireAsleep(t, next)
				l.Unlock()
			}
			require.NoError(t, requireReturned(t, next))
			l.Unlock()
		}
	})
}

// TestHazardHandedOverThenCanceled: what was handed over wins over the context's end.
func TestHazardHandedOverThenCanceled(t *testing.T) {
	eachSleep(t, func(t *testing.T, l lock, ctx context.Context, cancel func()) {
		require.True(t, l.TryLock())
		wait := begin(func() error { return l.Lock(ctx) })
		l.Unlock() // the waiter has the lock, and has not run
		require.False(t, l.TryLock())
		cancel()
		require.NoError(t, requireReturned(t, wait))
		l.Unlock()
	})
}

// TestHazardTryLockOvertakesTheLine: what is unlocked while waiters are in line is theirs.
func TestHazardTryLockOvertakesTheLine(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		require.True(t, l.TryLock())
		wait := beginLock(l)
		for range 10 {
			l.Unlock()
			require.False(t, l.TryLock(), "overtakes")
			require.NoError(t, requireReturned(t, wait))
			wait = beginLock(l)
		}
		l.Unlock()
		require.NoError(t, <-wait)
		l.Unlock()
	})
}

// TestHazardUnlockOfUnlocked panics, can be recovered from, and changes nothing.
func TestHazardUnlockOfUnlocked(t *testing.T) {
	texts := map[string]string{
		"Mutex":                        "await: unlock of unlocked Mutex",
		"Mutex recorded":               "await: unlock of unlocked Mutex",
		"RWMutex":                      "await: Unlock of an RWMutex that is not locked for writing",
		"Semaphore":                    "await: Release of more than is held of a Semaphore",
		"Semaphore of a changed limit": "await: Release of more than is held of a Semaphore",
	}
	for name, newLock := range locks {
		l := newLock()
		for range 3 {
			require.Equal(t, texts[name], panicOf(t, l.Unlock))
			requireUnlocked(t, l)
		}
	}
}

// TestHazardUnlockWithTheWrongMethod of an RWMutex panics and changes nothing, also while
// waiters are in line.
func TestHazardUnlockWithTheWrongMethod(t *testing.T) {
	const notReading = "await: RUnlock of an RWMutex that is not locked for reading"
	const notWriting = "await: Unlock of an RWMutex that is not locked for writing"
	synctest.Test(t, func(t *testing.T) {
		rw := new(await.RWMutex)
		require.Equal(t, notReading, panicOf(t, rw.RUnlock))
		require.NoError(t, rw.Lock(t.Context()))
		require.Equal(t, notReading, panicOf(t, rw.RUnlock))
		reader := begin(func() error { return rw.RLock(t.Context()) })
		require.Equal(t, notReading, panicOf(t, rw.RUnlock))
		requireAsleep(t, reader)
		rw.Unlock()
		require.NoError(t, requireReturned(t, reader))
		require.Equal(t, notWriting, panicOf(t, rw.Unlock))
		writer := beginLock(rw)
		require.Equal(t, notWriting, panicOf(t, rw.Unlock))
		requireAsleep(t, writer)
		rw.RUnlock()
		require.NoError(t, requireReturned(t, writer))
		rw.Unlock()
		requireUnlocked(t, rw)
	})
}

// TestHazardSelectsInCrossedOrders over two locks: a Select that is chosen, withdrawn or
// passed over leaves no other line, and takes only one lock.
func TestHazardSelectsInCrossedOrders(t *testing.T) {
	eachLock(t, func(t *testing.T, a lock) {
		b := new(await.Mutex)
		for i := range 200 {
			ctx, cancel := context.WithCancel(context.Background())
			require.True(t, a.TryLock())
			require.True(t, b.TryLock())
			type end struct {
				chosen lock
				err    error
			}
			ends := make(chan end, 2)
			for _, order := range [][]lock{{a, b}, {b, a}} {
				go func() {
					i, err := await.Select(ctx, order[0].OnLock(), order[1].OnLock())
					if err != nil {
						ends <- end{nil, err}
						return
					}
					ends <- end{order[i], nil}
				}()
			}
			synctest.Wait()
			go a.Unlock()
			go b.Unlock()
			if i%2 == 0 {
				go cancel()
			}
			for range 2 {
				e := <-ends
				if e.err != nil {
					require.ErrorIs(t, e.err, context.Canceled)
					continue
				}
				require.False(t, e.chosen.TryLock())
				e.chosen.Unlock()
			}
			cancel()
			synctest.Wait()
			requireUnlocked(t, a)
			requireUnlocked(t, b)
		}
	})
}

// TestHazardCanceledWaitsLeaveMemory: after many waits that failed the heap is as before.
func TestHazardCanceledWaitsLeaveMemory(t *testing.T) {
	n := testkit.Scale(1_000_000, 20_000)
	for name, newLock := range locks {
		l := newLock()
		require.True(t, l.TryLock())
		failed := func(n int) {
			for i := range n {
				ctx, cancel := context.WithCancel(context.Background())
				if i%2 == 0 {
					ctx = wake.WithParker(ctx, parkerOf(cancel))
				} else {
					go cancel()
				}
				switch i % 4 {
				case 3:
					_, err := await.Select(ctx, l.OnLock())
					require.ErrorIs(t, err, context.Canceled)
				default:
					require.ErrorIs(t, l.Lock(ctx), context.Canceled)
				}
			}
		}
		failed(1000)
		before := heap()
		failed(n / len(locks))
		require.Less(t, heap(), before+200_000, name)
		require.Zero(t, l.Waiters())
		l.Unlock()
		requireUnlocked(t, l)
	}
}

// A cancelingParker cancels its context when it is parked.
type cancelingParker struct {
	wake.Parker
	cancel func()
}

func parkerOf(cancel func()) wake.Parker { return cancelingParker{wake.NewParker(), cancel} }

func (p cancelingParker) Park(ctx context.Context) error {
	p.cancel()
	return p.Parker.Park(ctx)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestLockInATaskDoesNotSpin: a parker's code must not hold its thread, so it gets in line
// at once.
func TestLockInATaskDoesNotSpin(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		require.True(t, l.TryLock())
		p := &lookingParker{Parker: wake.NewParker(), look: func() {
			require.Equal(t, 1, l.Waiters())
			l.Unlock()
		}}
		require.NoError(t, l.Lock(wake.WithParker(context.Background(), p)))
		require.Equal(t, 1, p.parks)
		l.Unlock()
	})
}

// A lookingParker calls look when it is parked.
type lookingParker struct {
	wake.Parker
	look  func()
	parks int
}

func (p *lookingParker) Park(ctx context.Context) error {
	p.parks++
	p.look()
	return p.Parker.Park(ctx)
}

// TestLockAfterPermitsOfOthers: a parker may return without a wake.
func TestLockAfterPermitsOfOthers(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		p := wake.NewParker()
		p.Wake()
		require.True(t, l.TryLock())
		wait := begin(func() error { return l.Lock(wake.WithParker(context.Background(), p)) })
		p.Wake()
		requireAsleep(t, wait)
		l.Unlock()
		require.NoError(t, requireReturned(t, wait))
		l.Unlock()
	})
}

// TestSelectOfOneCaseTwice: the case is in line once, and can be used again.
func TestSelectOfOneCaseTwice(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		c := l.OnLock()
		for range 3 {
			require.True(t, l.TryLock())
			twice := begin(func() error {
				_, err := await.Select(context.Background(), c, c)
				return err
			})
			next := beginLock(l)
			require.Equal(t, 2, l.Waiters())
			l.Unlock()
			require.NoError(t, requireReturned(t, twice))
			requireAsleep(t, next)
			l.Unlock()
			require.NoError(t, requireReturned(t, next))
			l.Unlock()
		}
	})
}

// TestCaseIsReused after it was chosen at once, chosen in line, passed over and withdrawn.
func TestCaseIsReused(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		other := new(await.Mutex)
		require.True(t, other.TryLock())
		c, o := l.OnLock(), other.OnLock()
		choose := func(ctx context.Context) <-chan error {
			return begin(func() error {
				i, err := await.Select(ctx, c, o)
				if err == nil && i == 1 {
					err = errOther
				}
				return err
			})
		}
		for range 3 {
			require.NoError(t, requireReturned(t, choose(context.Background())), "at once")
			withdrawn, cancel := context.WithCancel(context.Background())
			wait := choose(withdrawn)
			cancel()
			require.ErrorIs(t, requireReturned(t, wait), context.Canceled)
			wait = choose(context.Background())
			other.Unlock()
			require.ErrorIs(t, requireReturned(t, wait), errOther)
			wait = choose(context.Background())
			require.Equal(t, 1, l.Waiters())
			l.Unlock()
			require.NoError(t, requireReturned(t, wait))
			l.Unlock()
			require.Zero(t, l.Waiters()+other.Waiters())
		}
	})
}

var errOther = errors.New("the other case")

// TestSelectInLineIsPassedOver: what a Select would have got in which another case has
// happened, but which has not run, goes to the next in line.
func TestSelectInLineIsPassedOver(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		other := new(await.Mutex)
		require.True(t, l.TryLock())
		require.True(t, other.TryLock())
		chooses := begin(func() error {
			i, err := await.Select(context.Background(), l.OnLock(), other.OnLock())
			if err == nil && i == 1 {
				err = errOther
			}
			return err
		})
		next := beginLock(l)
		other.Unlock()
		l.Unlock()
		require.NoError(t, requireReturned(t, next))
		require.ErrorIs(t, requireReturned(t, chooses), errOther)
		require.False(t, l.TryLock())
		l.Unlock()
		other.Unlock()
		requireUnlocked(t, other)
	})
}
