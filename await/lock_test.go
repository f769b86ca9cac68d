package await_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

// A lock is any of the types that one caller holds at a time.
type lock interface {
	Lock(ctx context.Context) error
	TryLock() bool
	Unlock()
	OnLock() wake.Case
	Waiters() int
}

// A permit is a Semaphore that is used as a lock.
type permit struct{ *await.Semaphore }

func (p permit) Lock(ctx context.Context) error { return p.Acquire(ctx, 1) }
func (p permit) TryLock() bool                  { return p.TryAcquire(1) }
func (p permit) Unlock()                        { p.Release(1) }
func (p permit) OnLock() wake.Case              { return p.OnAcquire(1) }

// locks makes an unlocked lock of each kind.
var locks = map[string]func() lock{
	"Mutex": func() lock { return new(await.Mutex) },
	"Mutex recorded": func() lock {
		m := new(await.Mutex)
		m.RecordHolder(true)
		return m
	},
	"RWMutex":   func() lock { return new(await.RWMutex) },
	"Semaphore": func() lock { return permit{await.NewSemaphore(1)} },
	"Semaphore of a changed limit": func() lock {
		s := await.NewSemaphore(7)
		s.SetLimit(1)
		return permit{s}
	},
}

// eachLock runs a test in a bubble, with an unlocked lock of each kind. At the end the
// lock must be unlocked and its line empty.
func eachLock(t *testing.T, test func(t *testing.T, l lock)) {
	t.Helper()
	for name, newLock := range locks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLock()
				test(t, l)
				synctest.Wait()
				requireUnlocked(t, l)
			})
		})
	}
}

// eachSleep runs eachLock with a context of each way to sleep that can be canceled.
func eachSleep(t *testing.T, test func(t *testing.T, l lock, ctx context.Context, cancel func())) {
	t.Helper()
	for how, prepare := range cancelable {
		t.Run(how, func(t *testing.T) {
			eachLock(t, func(t *testing.T, l lock) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				test(t, l, prepare(ctx), cancel)
			})
		})
	}
}

// cancelable are the ways to sleep under a context that can end.
var cancelable = map[string]func(ctx context.Context) context.Context{
	"selecting": func(ctx context.Context) context.Context { return ctx },
	"parked":    func(ctx context.Context) context.Context { return wake.WithParker(ctx, wake.NewParker()) },
}

func requireUnlocked(t require.TestingT, l lock) {
	require.Zero(t, l.Waiters(), "in line")
	require.True(t, l.TryLock(), "is locked")
	l.Unlock()
}

// begin runs a wait in a goroutine of its own, and waits until it has ended or sleeps.
// Its error arrives on the channel. It is for bubbles.
func begin(wait func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- wait() }()
	synctest.Wait()
	return c
}

// beginLock is begin of a Lock that nothing cancels.
func beginLock(l lock) <-chan error {
	return begin(func() error { return l.Lock(context.Background()) })
}

// requireAsleep requires that a wait has not returned. It is for bubbles.
func requireAsleep(t testing.TB, waits ...<-chan error) {
	t.Helper()
	synctest.Wait()
	for i, c := range waits {
		select {
		case err := <-c:
			require.Failf(t, "a wait has returned", "%d: %v", i, err)
		default:
		}
	}
}

// requireReturned requires that a wait has returned, and returns its error.
func requireReturned(t testing.TB, c <-chan error) error {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-c:
		return err
	default:
		require.Fail(t, "a wait has not returned")
		return nil
	}
}

// over returns a context that has ended.
func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// panicOf runs f, which must panic, and returns the text of the panic.
func panicOf(t testing.TB, f func()) (text string) {
	t.Helper()
	defer func() {
		t.Helper()
		v := recover()
		require.NotNil(t, v, "no panic")
		text = fmt.Sprint(v)
	}()
	f()
	return ""
}

// TestLockServesInOrder: whatever the way to sleep, the line is served from its front.
func TestLockServesInOrder(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		require.NoError(t, l.Lock(ctx))
		var line []<-chan error
		for i := range 12 {
			line = append(line, begin(func() error {
				switch i % 4 {
				case 0:
					return l.Lock(context.Background())
				case 1:
					return l.Lock(ctx)
				case 2:
					return l.Lock(wake.WithParker(ctx, wake.NewParker()))
				default:
					_, err := await.Select(ctx, l.OnLock())
					return err
				}
			}))
			require.Equal(t, i+1, l.Waiters())
		}
		for i, c := range line {
			requireAsleep(t, line[i:]...)
			l.Unlock()
			require.NoError(t, requireReturned(t, c))
			require.Equal(t, len(line)-i-1, l.Waiters())
			require.False(t, l.TryLock())
		}
		l.Unlock()
	})
}

// TestLockAllocatesNothing, in the calls that do not wait.
func TestLockAllocatesNothing(t *testing.T) {
	for name, newLock := range locks {
		if name == "Mutex recorded" {
			continue
		}
		l := newLock()
		require.Zero(t, testing.AllocsPerRun(100, func() {
			_ = l.Lock(context.Background())
			l.Unlock()
			if l.TryLock() {
				l.Unlock()
			}
		}), name)
	}
}

// TestLockOfANilContext panics, whether it would have to wait or not.
func TestLockOfANilContext(t *testing.T) {
	var none context.Context
	eachLock(t, func(t *testing.T, l lock) {
		require.Equal(t, "await: nil context", panicOf(t, func() { _ = l.Lock(none) }))
		require.NoError(t, l.Lock(context.Background()))
		require.Equal(t, "await: nil context", panicOf(t, func() { _ = l.Lock(none) }))
		l.Unlock()
	})
	rw := new(await.RWMutex)
	require.Equal(t, "await: nil context", panicOf(t, func() { _ = rw.RLock(none) }))
	s := new(await.Semaphore)
	require.Equal(t, "await: nil context", panicOf(t, func() { _ = s.Acquire(none, 0) }))
}
