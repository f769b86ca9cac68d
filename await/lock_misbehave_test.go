package await_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// lockWaits are the ways to wait for a lock.
var lockWaits = map[string]func(l lock, ctx context.Context) error{
	"Lock": func(l lock, ctx context.Context) error { return l.Lock(ctx) },
	"Select": func(l lock, ctx context.Context) error {
		_, err := await.Select(ctx, nil, l.OnLock())
		return err
	},
}

// armedOf returns the misbehaving contexts; one of them calls back.
func armedOf(l lock) map[string]*misbehave.Armed {
	return misbehave.Armables(func() { l.Waiters() })
}

// TestLockMisbehavingCompany: whatever a context and a parker do, before the waiter is
// served or after, no waiter stays in line, and the lock is held by the caller if its call
// succeeded, and otherwise by no caller or by the holder from before.
func TestLockMisbehavingCompany(t *testing.T) {
	for kind, newLock := range locks {
		for what := range armedOf(nil) {
			for park, strike := range misbehave.Parks {
				for how, wait := range lockWaits {
					for _, served := range []bool{false, true} {
						t.Run(fmt.Sprintf("%s/%s/%s/%s/%v", kind, what, park, how, served), func(t *testing.T) {
							l := newLock()
							require.True(t, l.TryLock())
							c := armedOf(l)[what]
							p := &misbehave.First{Parker: wake.NewParker(), Strike: strike, First: func() {
								if served {
									l.Unlock()
								}
								c.Armed = true
							}}
							returned, err := misbehave.Outcome(func() error { return wait(l, wake.WithParker(c, p)) })
							got := returned && err == nil
							require.False(t, got && !served, "the lock was not free")
							if served && (park == "fails" || park == "parks" && c.Orderly) {
								require.True(t, got, "the lock came first")
							}
							requireHolders(t, l, !served || got)
						})
					}
				}
			}
		}
	}
}

// requireHolders requires that l is locked, once, or is not; and unlocks it.
func requireHolders(t *testing.T, l lock, locked bool) {
	t.Helper()
	require.Zero(t, l.Waiters(), "in line")
	require.Equal(t, !locked, l.TryLock())
	l.Unlock()
	requireUnlocked(t, l)
	require.NotEmpty(t, panicOf(t, l.Unlock))
}

// TestLockOfADeadMisbehavingContext gets the lock, or fails and holds nothing.
func TestLockOfADeadMisbehavingContext(t *testing.T) {
	for kind, newLock := range locks {
		for what := range armedOf(nil) {
			for how, wait := range lockWaits {
				l := newLock()
				c := armedOf(l)[what]
				c.Armed = true
				returned, err := misbehave.Outcome(func() error { return wait(l, c) })
				if returned && err == nil {
					l.Unlock() // the context does not say that it has ended
				}
				require.Zero(t, l.Waiters(), "%s, %s, %s", kind, what, how)
				requireUnlocked(t, l)
			}
		}
	}
}

// TestLockMisbehavingParkersWake: an Unlock or a leave that wakes a parker whose Wake
// panics or exits has handed the lock over, and wakes the others.
func TestLockMisbehavingParkersWake(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		eachLock(t, func(t *testing.T, l lock) {
			require.True(t, l.TryLock())
			p := misbehave.NewParker()
			p.OnWake = strike
			bad := begin(func() error { return l.Lock(wake.WithParker(context.Background(), p)) })
			next := beginLock(l)
			returned, _ := misbehave.Outcome(func() error { l.Unlock(); return nil })
			require.False(t, returned)
			require.NoError(t, requireReturned(t, bad))
			requireAsleep(t, next)
			l.Unlock()
			require.NoError(t, requireReturned(t, next))
			l.Unlock()
		})
	}
}

// TestLeaveWakesAMisbehavingParker: a waiter that has left holds nothing, and gives nothing
// back, if the wake of a waiter that it lets in panics or exits.
func TestLeaveWakesAMisbehavingParker(t *testing.T) {
	acquires := map[string]func(s *await.Semaphore, ctx context.Context) error{
		"Acquire": func(s *await.Semaphore, ctx context.Context) error { return s.Acquire(ctx, 2) },
		"Select": func(s *await.Semaphore, ctx context.Context) error {
			_, err := await.Select(ctx, s.OnAcquire(2))
			return err
		},
	}
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		for how, acquire := range acquires {
			for sleep, prepare := range cancelable {
				bubble(t, fmt.Sprint(how, sleep, strike), func(t *testing.T) {
					testLeaveWakes(t, strike, func(s *await.Semaphore, ctx context.Context) error {
						return acquire(s, prepare(ctx))
					})
				})
			}
		}
	}
}

func testLeaveWakes(t *testing.T, strike misbehave.Strike, acquire2 func(*await.Semaphore, context.Context) error) {
	s := await.NewSemaphore(4)
	require.True(t, s.TryAcquire(3))
	ctx, cancel := context.WithCancel(t.Context())
	leaves := begin(func() error {
		returned, _ := misbehave.Outcome(func() error { return acquire2(s, ctx) })
		if returned {
			return errOther
		}
		return nil
	})
	p := misbehave.NewParker()
	p.OnWake = strike
	bad := beginAcquire(s, wake.WithParker(t.Context(), p), 1)
	next := beginAcquire(s, t.Context(), 3)
	requireAsleep(t, leaves, bad, next)
	cancel()
	require.NoError(t, requireReturned(t, leaves))
	require.NoError(t, requireReturned(t, bad))
	requireState(t, s, 4, 1)
	s.Release(4)
	require.NoError(t, requireReturned(t, next))
	s.Release(3)
	requireState(t, s, 0, 0)
}

// TestLockWakeCallsBack: no lock is held when a waker is called.
func TestLockWakeCallsBack(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		require.True(t, l.TryLock())
		p := misbehave.NewParker()
		p.Back = func() {
			require.False(t, l.TryLock(), "it is handed over")
			require.Zero(t, l.Waiters())
			l.Unlock()
			require.True(t, l.TryLock())
		}
		wait := begin(func() error { return l.Lock(wake.WithParker(context.Background(), p)) })
		l.Unlock()
		require.NoError(t, requireReturned(t, wait))
		l.Unlock()
	})
}
