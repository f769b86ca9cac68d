package await_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

const thisPackage = "github.com/vigil-go/vigil/await_test."

// requireHolder requires that m is held by a function of this file, since the given time.
func requireHolder(t *testing.T, m *await.Mutex, function string, since time.Time) {
	t.Helper()
	h, ok := m.Holder()
	require.True(t, ok, "no holder")
	require.Truef(t, strings.HasPrefix(h.Func, thisPackage+function), "%s is not %s", h.Func, function)
	require.Equal(t, "holder_test.go", filepath.Base(h.File))
	require.NotZero(t, h.Line)
	require.WithinDuration(t, since, h.Since, 0)
}

func requireNoHolder(t *testing.T, m *await.Mutex) {
	t.Helper()
	h, ok := m.Holder()
	require.False(t, ok)
	require.Zero(t, h)
}

func locksForever(m *await.Mutex) error { return m.Lock(context.Background()) }

func locksWithParker(m *await.Mutex) error {
	return m.Lock(wake.WithParker(context.Background(), wake.NewParker()))
}

func locksSelecting(m *await.Mutex) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return m.Lock(ctx)
}

func selects(m *await.Mutex) error {
	_, err := await.Select(context.Background(), nil, m.OnLock())
	return err
}

func tries(m *await.Mutex) error {
	if !m.TryLock() {
		return errOther
	}
	return nil
}

var lockers = map[string]func(*await.Mutex) error{
	"locksForever": locksForever, "locksWithParker": locksWithParker,
	"locksSelecting": locksSelecting, "selects": selects, "tries": tries,
}

// TestHolderAtOnce: whoever gets a free Mutex is its holder until Unlock.
func TestHolderAtOnce(t *testing.T) {
	for name, take := range lockers {
		bubble(t, name, func(t *testing.T) {
			m := new(await.Mutex)
			m.RecordHolder(true)
			for range 3 {
				requireNoHolder(t, m)
				start := time.Now()
				require.NoError(t, take(m))
				require.True(t, m.Locked())
				time.Sleep(time.Minute)
				requireHolder(t, m, name, start)
				m.Unlock()
				require.False(t, m.Locked())
			}
			requireNoHolder(t, m)
		})
	}
}

// TestHolderHandedOver: a waiter is the holder from the moment of the Unlock that serves
// it on.
func TestHolderHandedOver(t *testing.T) {
	for name, take := range lockers {
		if name == "tries" {
			continue
		}
		bubble(t, name, func(t *testing.T) {
			m := new(await.Mutex)
			m.RecordHolder(true)
			start := time.Now()
			require.NoError(t, tries(m))
			wait := begin(func() error { return take(m) })
			next := begin(func() error { return locksForever(m) })
			time.Sleep(time.Minute)
			requireHolder(t, m, "tries", start)
			m.Unlock()
			requireHolder(t, m, name, start.Add(time.Minute))
			require.NoError(t, requireReturned(t, wait))
			time.Sleep(time.Minute)
			m.Unlock()
			requireHolder(t, m, "locksForever", start.Add(2*time.Minute))
			require.NoError(t, requireReturned(t, next))
			m.Unlock()
			requireNoHolder(t, m)
		})
	}
}

// TestHolderOfACanceledSelect: a Select that another case has happened in holds nothing.
func TestHolderOfACanceledSelect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, other := new(await.Mutex), new(await.Mutex)
		m.RecordHolder(true)
		other.RecordHolder(true)
		require.NoError(t, tries(m))
		require.NoError(t, tries(other))
		wait := begin(func() error {
			_, err := await.Select(t.Context(), m.OnLock(), other.OnLock())
			return err
		})
		other.Unlock()
		require.NoError(t, requireReturned(t, wait))
		m.Unlock()
		requireNoHolder(t, m)
		requireHolder(t, other, "TestHolderOfACanceledSelect", time.Now())
		other.Unlock()
		requireUnlocked(t, m)
	})
}

// TestRecordHolderWhileLocked: a holder from before is not known, a waiter from before only
// by the time. Holders are not recorded any more when it is turned off.
func TestRecordHolderWhileLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(await.Mutex)
		require.True(t, m.TryLock())
		wait := beginLock(m)
		for range 2 {
			m.RecordHolder(true)
			requireNoHolder(t, m)
		}
		next := begin(func() error { return locksForever(m) })
		time.Sleep(time.Minute)
		m.Unlock()
		require.NoError(t, requireReturned(t, wait))
		h, ok := m.Holder()
		require.True(t, ok)
		require.Equal(t, await.Holder{Since: time.Now()}, h)
		m.RecordHolder(true)
		m.Unlock()
		require.NoError(t, requireReturned(t, next))
		requireHolder(t, m, "locksForever", time.Now())
		m.RecordHolder(false)
		requireNoHolder(t, m)
		require.False(t, m.TryLock())
		wait = beginLock(m)
		m.RecordHolder(false)
		m.Unlock()
		require.NoError(t, requireReturned(t, wait))
		m.Unlock()
		require.Zero(t, testing.AllocsPerRun(10, func() { require.NoError(t, locksForever(m)); m.Unlock() }))
		requireUnlocked(t, m)
	})
}
