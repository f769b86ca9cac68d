package vigildebug

import (
	"iter"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// kinds are the kinds of objects, in the order in which they are shown.
var kinds = []string{"cache", "group", "map", "notify", "waitgroup", "mutex", "rwmutex", "semaphore", "queue", "loop"}

func counter[N uint64 | float64](name string, value N, help string) Metric {
	return Metric{name, help, true, float64(value)}
}

func gauge[N int | float64](name string, value N, help string) Metric {
	return Metric{name, help, false, float64(value)}
}

// Map registers m under the name, until unregister is called. Until then the registry
// keeps m alive. If another map has this name, m is registered as name#2, and so on.
// unregister may be called more than once. A nil m panics.
func Map[K comparable, V any](name string, m *waitmap.Map[K, V], opts ...Option) (unregister func()) {
	return watch("map", name, m, opts, func(m *waitmap.Map[K, V], showKeys bool) reading {
		var l longest[K]
		for key, info := range m.Waiting() {
			l.add(key, info.Waiters, info.Oldest)
		}
		return l.reading(Metrics{
			gauge("entries", m.Len(), "Entries in the map."),
			gauge("awaited_keys", l.keys, "Keys that have waiters."),
			gauge("waiters", l.waiters, "Waiters of all keys."),
			gauge("oldest_wait_seconds", l.age(), "Duration of the oldest wait."),
		}, showKeys)
	})
}

// flights is the constraint for a pointer to a T that knows its calls in flight.
type flights[K comparable, T any] interface {
	*T
	InFlight() iter.Seq2[K, dedup.FlightInfo]
}

// Group registers g as [Map] registers a map. g is a *dedup.Group, a *vigilotel.Group, or
// another pointer with such an InFlight method. The type parameters are inferred from g.
func Group[K comparable, T any, G flights[K, T]](name string, g G, opts ...Option) (unregister func()) {
	return watch("group", name, (*T)(g), opts, func(g *T, showKeys bool) reading {
		var l longest[K]
		for key, info := range G(g).InFlight() {
			l.add(key, info.Waiters, info.Started)
		}
		return l.reading(Metrics{
			gauge("flights", l.keys, "Calls in flight."),
			gauge("waiters", l.waiters, "Callers that wait for a call in flight."),
			gauge("oldest_flight_seconds", l.age(), "Duration of the oldest call in flight."),
		}, showKeys)
	})
}

// Cache registers c as [Map] registers a map.
func Cache[K comparable, V any](name string, c *dedup.Cache[K, V], opts ...Option) (unregister func()) {
	return watch("cache", name, c, opts, func(c *dedup.Cache[K, V], showKeys bool) reading {
		var l longest[K]
		for key, info := range c.InFlight() {
			l.add(key, info.Waiters, info.Started)
		}
		s := c.Stats()
		return l.reading(Metrics{
			counter("hits", s.Hits, "Keys answered by a stored value or error."),
			counter("misses", s.Misses, "Keys that were loaded, or whose load was joined."),
			counter("coalesced", s.Coalesced, "Misses that joined a load."),
			counter("loads", s.Loads, "Loads that have ended."),
			counter("load_errors", s.LoadErrors, "Loads that failed."),
			counter("load_seconds", s.LoadTime.Seconds(), "Sum of the durations of loads."),
			counter("stale", s.Stale, "Stale values returned."),
			counter("evictions", s.Evictions, "Entries removed to make room for others."),
			gauge("entries", s.Entries, "Entries in the cache."),
			gauge("in_flight", s.InFlight, "Loads in flight."),
			gauge("waiters", l.waiters, "Callers that wait for a load."),
			gauge("oldest_flight_seconds", l.age(), "Duration of the oldest load in flight."),
		}, showKeys)
	})
}

// Notify registers n as [Map] registers a map.
func Notify(name string, n *notify.Notify, opts ...Option) (unregister func()) {
	return watch("notify", name, n, opts, func(n *notify.Notify, _ bool) reading {
		return reading{metrics: Metrics{gauge("waiters", n.Waiters(), "Waiters in line.")}}
	})
}

// WaitGroup registers g as [Map] registers a map.
func WaitGroup(name string, g *waitgroup.Group, opts ...Option) (unregister func()) {
	return watch("waitgroup", name, g, opts, func(g *waitgroup.Group, _ bool) reading {
		return reading{metrics: Metrics{gauge("pending", g.Count(), "The count.")}}
	})
}

// Loop registers l as [Map] registers a map.
func Loop(name string, l *uringwake.Loop, opts ...Option) (unregister func()) {
	return watch("loop", name, l, opts, func(l *uringwake.Loop, _ bool) reading {
		s := l.Stats()
		return reading{metrics: Metrics{
			gauge("tasks", s.Tasks, "Tasks that have not returned."),
			gauge("in_flight", s.InFlight, "Operations that have not completed."),
			counter("turns", s.Turns, "Rounds of the loop."),
			counter("resumes", s.Resumes, "Times that the loop ran a task."),
			counter("mail", s.Mail, "Wakes and posts that came through the mailbox."),
			counter("sleeps", s.Sleeps, "Times that the loop blocked in the kernel."),
			counter("spins", s.Spins, "Times that the loop polled for mail before it blocked."),
			counter("spin_hits", s.SpinHits, "Spins that found mail."),
			counter("enters", s.Enters, "System calls made by the loop."),
			counter("doorbells", s.Doorbells, "System calls made to wake the loop."),
			counter("submitted", s.Submitted, "Entries of the submission queue."),
			counter("completed", s.Completed, "Entries of the completion queue."),
		}}
	})
}
