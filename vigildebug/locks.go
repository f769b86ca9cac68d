package vigildebug

import (
	"path/filepath"
	"time"

	"github.com/vigil-go/vigil/await"
)

// Mutex registers m as [Map] registers a map. If m records its holders, the holder is shown.
func Mutex(name string, m *await.Mutex, opts ...Option) (unregister func()) {
	return watch("mutex", name, m, opts, func(m *await.Mutex, _ bool) reading {
		h, known := m.Holder()
		r := reading{metrics: Metrics{
			gauge("locked", count(m.Locked()), "1 if it is locked, else 0."),
			gauge("waiters", m.Waiters(), "Waiters in line."),
			gauge("held_seconds", heldFor(h, known), "How long the holder has had it, if holders are recorded."),
		}}
		if known {
			r.holder = &Holder{valid(h.Func), valid(filepath.Base(h.File)), h.Line, presentable(h.Since)}
		}
		return r
	})
}

// RWMutex registers rw as [Map] registers a map.
func RWMutex(name string, rw *await.RWMutex, opts ...Option) (unregister func()) {
	return watch("rwmutex", name, rw, opts, func(rw *await.RWMutex, _ bool) reading {
		return reading{metrics: Metrics{
			gauge("locked", count(rw.Locked()), "1 if it is locked for writing, else 0."),
			gauge("readers", rw.Readers(), "Readers that have it."),
			gauge("waiters", rw.Waiters(), "Waiters in line."),
		}}
	})
}

// Semaphore registers s as [Map] registers a map.
func Semaphore(name string, s *await.Semaphore, opts ...Option) (unregister func()) {
	return watch("semaphore", name, s, opts, func(s *await.Semaphore, _ bool) reading {
		return reading{metrics: Metrics{
			gauge("limit", float64(s.Limit()), "Permits in all."),
			gauge("held", float64(s.Held()), "Permits that are held."),
			gauge("waiters", s.Waiters(), "Waiters in line."),
		}}
	})
}

// Queue registers q as [Map] registers a map.
func Queue[T any](name string, q *await.Queue[T], opts ...Option) (unregister func()) {
	return watch("queue", name, q, opts, func(q *await.Queue[T], _ bool) reading {
		putters, takers := q.Waiters()
		return reading{metrics: Metrics{
			gauge("entries", q.Len(), "Values in the queue."),
			gauge("capacity", q.Cap(), "Values that it has room for."),
			gauge("putters", putters, "Waiters in Put."),
			gauge("takers", takers, "Waiters in Take."),
		}}
	})
}

// count returns 1 for true.
func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func heldFor(h await.Holder, known bool) float64 {
	if !known {
		return 0
	}
	return max(0, time.Since(h.Since).Seconds())
}
