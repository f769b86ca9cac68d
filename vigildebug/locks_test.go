package vigildebug_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/vigildebug"
)

// metricsOf returns the metrics of the one thing.
func metricsOf(t *testing.T, r *vigildebug.Registry) map[string]float64 {
	t.Helper()
	things := jsonOf(t, r).Things
	require.Len(t, things, 1)
	return things[0].Metrics
}

func TestMutexShowsItsHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		var m await.Mutex
		defer vigildebug.Mutex("m", &m, vigildebug.In(&r))()
		require.True(t, m.TryLock())
		require.Equal(t, map[string]float64{"locked": 1, "waiters": 0, "held_seconds": 0}, metricsOf(t, &r))
		require.Nil(t, jsonOf(t, &r).Things[0].Holder)
		require.NotContains(t, page(t, &r), "Held since")

		m.RecordHolder(true)
		require.Nil(t, jsonOf(t, &r).Things[0].Holder, "it got it before")
		go locksMutex(&m)
		synctest.Wait()
		go locksMutex(&m)
		synctest.Wait()
		start := time.Now()
		m.Unlock()
		synctest.Wait()
		time.Sleep(90 * time.Second)
		require.Equal(t, map[string]float64{"locked": 1, "waiters": 1, "held_seconds": 90}, metricsOf(t, &r))
		h := jsonOf(t, &r).Things[0].Holder
		require.NotNil(t, h)
		require.Equal(t, "github.com/vigil-go/vigil/vigildebug_test.locksMutex", h.Func)
		require.Equal(t, "locks_test.go", h.File)
		require.NotZero(t, h.Line)
		require.Equal(t, start.UTC().Format(time.RFC3339Nano), inUTC(t, h.Since))
		html := page(t, &r)
		require.Contains(t, html, "vigildebug_test.locksMutex")
		require.Contains(t, html, "00:00:00.000")
		require.Contains(t, html, "for 1m30s, by")
		m.Unlock()
		m.Unlock()
		require.Equal(t, map[string]float64{"locked": 0, "waiters": 0, "held_seconds": 0}, metricsOf(t, &r))
		require.Nil(t, jsonOf(t, &r).Things[0].Holder)
	})
}

func locksMutex(m *await.Mutex) { _ = m.Lock(context.Background()) }

func inUTC(t *testing.T, text string) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return at.UTC().Format(time.RFC3339Nano)
}

// TestHolderOfUnknownFunction: the time alone is shown.
func TestHolderOfUnknownFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		var m await.Mutex
		defer vigildebug.Mutex("m", &m, vigildebug.In(&r))()
		require.True(t, m.TryLock())
		go locksMutex(&m)
		synctest.Wait()
		m.RecordHolder(true)
		m.Unlock()
		html := page(t, &r)
		require.Contains(t, html, "Held since")
		require.NotContains(t, html, ", by")
		require.Empty(t, jsonOf(t, &r).Things[0].Holder.Func)
		m.Unlock()
	})
}

func TestCountsOfLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		rw := new(await.RWMutex)
		unregister := vigildebug.RWMutex("rw", rw, vigildebug.In(&r))
		require.True(t, rw.TryRLock())
		require.True(t, rw.TryRLock())
		go rw.Lock(t.Context())
		synctest.Wait()
		require.Equal(t, map[string]float64{"locked": 0, "readers": 2, "waiters": 1}, metricsOf(t, &r))
		rw.RUnlock()
		rw.RUnlock()
		require.Equal(t, map[string]float64{"locked": 1, "readers": 0, "waiters": 0}, metricsOf(t, &r))
		unregister()

		s := await.NewSemaphore(5)
		unregister = vigildebug.Semaphore("s", s, vigildebug.In(&r))
		require.True(t, s.TryAcquire(4))
		go s.Acquire(t.Context(), 2)
		synctest.Wait()
		require.Equal(t, map[string]float64{"limit": 5, "held": 4, "waiters": 1}, metricsOf(t, &r))
		s.SetLimit(3)
		require.Equal(t, map[string]float64{"limit": 3, "held": 4, "waiters": 1}, metricsOf(t, &r))
		s.Release(4)
		unregister()

		q := await.NewQueue[string](2)
		defer vigildebug.Queue("q", q, vigildebug.In(&r))()
		for range 3 {
			go q.Put(t.Context(), "v")
			synctest.Wait()
		}
		require.Equal(t, map[string]float64{"entries": 2, "capacity": 2, "putters": 1, "takers": 0}, metricsOf(t, &r))
		for range 4 {
			go q.Take(t.Context())
			synctest.Wait()
		}
		require.Equal(t, map[string]float64{"entries": 0, "capacity": 2, "putters": 0, "takers": 1}, metricsOf(t, &r))
		require.NoError(t, q.Close())
	})
}
