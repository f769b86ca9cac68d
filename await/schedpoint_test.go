//go:build vigil_schedpoint

package await_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/wake"
)

// TestSelectRunsOnBeforeItsGrant: a Select whose waiter is finished may return before its
// permits are counted. Whatever its caller does with the lock then has the same result as
// after.
func TestSelectRunsOnBeforeItsGrant(t *testing.T) {
	thens := map[string]func(t *testing.T, l lock){
		"Unlock": func(t *testing.T, l lock) { l.Unlock() },
		"TryLock": func(t *testing.T, l lock) {
			require.False(t, l.TryLock())
			l.Unlock()
		},
		"Lock": func(t *testing.T, l lock) {
			ctx, cancel := context.WithCancel(context.Background())
			p := &lookingParker{Parker: wake.NewParker(), look: cancel}
			require.ErrorIs(t, l.Lock(wake.WithParker(ctx, p)), context.Canceled)
			l.Unlock()
		},
		"Select": func(t *testing.T, l lock) {
			ctx, cancel := context.WithCancel(context.Background())
			p := &lookingParker{Parker: wake.NewParker(), look: cancel}
			_, err := await.Select(wake.WithParker(ctx, p), l.OnLock())
			require.ErrorIs(t, err, context.Canceled)
			l.Unlock()
		},
	}
	for name, newLock := range locks {
		for do, then := range thens {
			t.Run(name+"/"+do, func(t *testing.T) {
				l := newLock()
				require.True(t, l.TryLock())
				p := wake.NewParker()
				began, runsOn := make(chan struct{}), make(chan struct{})
				done := make(chan struct{})
				go func() {
					defer close(done)
					asleep := &lookingParker{Parker: p, look: func() { close(began) }}
					_, err := await.Select(wake.WithParker(context.Background(), asleep), l.OnLock())
					require.NoError(t, err)
					close(runsOn)
					then(t, l)
				}()
				<-began
				release := schedpoint.Hold(schedpoint.LockGrants, func() {
					p.Wake() // the Select sees that its claim is no longer open
					<-runsOn
				})
				l.Unlock()
				release()
				<-done
				requireUnlocked(t, l)
			})
		}
	}
}

// TestReaderRunsOnBeforeItsGrant: the same for a reader's RUnlock and TryRLock.
func TestReaderRunsOnBeforeItsGrant(t *testing.T) {
	rw := new(await.RWMutex)
	require.True(t, rw.TryLock())
	p := wake.NewParker()
	began, runsOn := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		asleep := &lookingParker{Parker: p, look: func() { close(began) }}
		_, err := await.Select(wake.WithParker(context.Background(), asleep), rw.OnRLock())
		require.NoError(t, err)
		close(runsOn)
		require.True(t, rw.TryRLock())
		rw.RUnlock()
		rw.RUnlock()
	}()
	<-began
	release := schedpoint.Hold(schedpoint.LockGrants, func() { p.Wake(); <-runsOn })
	rw.Unlock()
	release()
	<-done
	requireUnlocked(t, rw)
}

// TestHazardUnlockBeforeTheSecondLook: an Unlock between a waiter's two looks is not lost.
// The locks that are left out take the lock inside to unlock.
func TestHazardUnlockBeforeTheSecondLook(t *testing.T) {
	for _, name := range []string{"Mutex", "RWMutex", "Semaphore"} {
		l := locks[name]()
		require.True(t, l.TryLock())
		unlocked := false
		release := schedpoint.Hold(schedpoint.LockEnters, func() {
			if !unlocked {
				unlocked = true
				l.Unlock()
			}
		})
		require.NoError(t, l.Lock(wake.WithParker(context.Background(), wake.NewParker())))
		release()
		require.True(t, unlocked)
		l.Unlock()
		requireUnlocked(t, l)
	}
}

// TestSelectUnlocksBeforeItsSecondLook: the same for a Select.
func TestSelectUnlocksBeforeItsSecondLook(t *testing.T) {
	for name, newLock := range locks {
		l, other := newLock(), new(await.Mutex)
		require.True(t, l.TryLock())
		require.True(t, other.TryLock())
		entered := false
		release := schedpoint.Hold(schedpoint.SelectEntered, func() {
			if !entered {
				entered = true
				l.Unlock()
			}
		})
		i, err := await.Select(context.Background(), other.OnLock(), l.OnLock())
		release()
		require.NoError(t, err)
		require.Equal(t, 1, i, name)
		require.True(t, entered)
		l.Unlock()
		other.Unlock()
		requireUnlocked(t, l)
		requireUnlocked(t, other)
	}
}

// TestHazardUnlockBeforeACanceledWaiterLeaves: it was served before, so its Lock succeeds.
func TestHazardUnlockBeforeACanceledWaiterLeaves(t *testing.T) {
	eachSleep(t, func(t *testing.T, l lock, ctx context.Context, cancel func()) {
		require.True(t, l.TryLock())
		unlocked := false
		defer schedpoint.Hold(schedpoint.LockFailed, func() {
			if !unlocked {
				unlocked = true
				l.Unlock()
			}
		})()
		wait := begin(func() error { return l.Lock(ctx) })
		cancel()
		require.NoError(t, requireReturned(t, wait))
		require.True(t, unlocked)
		l.Unlock()
	})
}

// TestHazardWaiterIsReusedBeforeItsWake: a waiter that gave up when it had been served, and
// is yet to be woken, is not the waiter of another wait meanwhile, which it would wake.
func TestHazardWaiterIsReusedBeforeItsWake(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that the pools return what was put last
	for range 20 {
		eachSleep(t, func(t *testing.T, l lock, ctx context.Context, cancel func()) {
			other := new(await.Mutex)
			require.True(t, other.TryLock())
			require.True(t, l.TryLock())
			picked, wakes := make(chan struct{}), make(chan struct{})
			release := schedpoint.Hold(schedpoint.LockPicked, func() { close(picked); <-wakes })
			unlocked := false
			defer schedpoint.Hold(schedpoint.LockFailed, func() {
				if !unlocked {
					unlocked = true
					go l.Unlock()
					<-picked
				}
			})()
			wait := begin(func() error { return l.Lock(ctx) })
			cancel()
			require.NoError(t, requireReturned(t, wait))
			release()

			more, stop := context.WithCancel(t.Context())
			defer stop()
			waits := begin(func() error { return other.Lock(more) })
			waitsParked := begin(func() error { return other.Lock(cancelable["parked"](more)) })
			close(wakes)
			requireAsleep(t, waits, waitsParked)
			other.Unlock()
			require.NoError(t, requireReturned(t, waits))
			other.Unlock()
			require.NoError(t, requireReturned(t, waitsParked))
			other.Unlock()
			l.Unlock()
		})
	}
}

// TestHazardCaseIsReusedBeforeItsWake: the waiter of a case that has happened, and is yet to
// be woken, is not that of the next Select with the case.
func TestHazardCaseIsReusedBeforeItsWake(t *testing.T) {
	eachLock(t, func(t *testing.T, l lock) {
		require.True(t, l.TryLock())
		p := wake.NewParker()
		ctx := wake.WithParker(t.Context(), p)
		c := l.OnLock()
		picked, wakes := make(chan struct{}), make(chan struct{})
		release := schedpoint.Hold(schedpoint.LockPicked, func() { close(picked); <-wakes })
		twice := begin(func() error {
			if _, err := await.Select(ctx, c); err != nil {
				return err
			}
			release()
			_, err := await.Select(ctx, c)
			return err
		})
		go l.Unlock()
		<-picked
		p.Wake() // the Select sees that its claim is no longer open
		requireAsleep(t, twice)
		require.Equal(t, 1, l.Waiters())
		close(wakes)
		requireAsleep(t, twice)
		l.Unlock()
		require.NoError(t, requireReturned(t, twice))
		l.Unlock()
	})
}

// TestHazardTryLockBesideASelect: what a Select has found free stays free until it has it.
func TestHazardTryLockBesideASelect(t *testing.T) {
	for name, newLock := range locks {
		l, other := newLock(), new(await.Mutex)
		require.True(t, l.TryLock())
		require.True(t, other.TryLock())
		entered := false
		tries := make(chan bool, 1)
		release := schedpoint.Hold(schedpoint.SelectEntered, func() {
			if !entered {
				entered = true
				l.Unlock()
			}
		})
		releaseGrants := schedpoint.Hold(schedpoint.LockGrants, func() {
			go func() { tries <- l.TryLock() }()
			for range 100 {
				runtime.Gosched()
			}
		})
		i, err := await.Select(context.Background(), other.OnLock(), l.OnLock())
		release()
		releaseGrants()
		require.NoError(t, err)
		require.Equal(t, 1, i, name)
		require.False(t, <-tries, name)
		l.Unlock()
		other.Unlock()
		requireUnlocked(t, l)
	}
}

// TestTryLockMeetsAChosenSelect that sets waiting, and then finds that another case has
// happened: the lock is free, and TryLock takes it.
func TestTryLockMeetsAChosenSelect(t *testing.T) {
	for name, newLock := range locks {
		l, other := newLock(), new(await.Mutex)
		require.True(t, l.TryLock())
		require.True(t, other.TryLock())
		tries := make(chan bool, 1)
		entered, selects := 0, 0
		defer schedpoint.Hold(schedpoint.SelectEntered, func() {
			if entered++; entered == 1 {
				l.Unlock()
			}
		})()
		defer schedpoint.Hold(schedpoint.LockSelects, func() {
			if selects++; selects == 2 { // in the lock inside of l
				other.Unlock()
				go func() { tries <- l.TryLock() }()
				for range 100 {
					runtime.Gosched()
				}
			}
		})()
		i, err := await.Select(context.Background(), other.OnLock(), l.OnLock())
		require.NoError(t, err)
		require.Zero(t, i)
		require.True(t, <-tries, name)
		l.Unlock()
		other.Unlock()
		requireUnlocked(t, l)
		requireUnlocked(t, other)
	}
}
