package vigildebug

import (
	"iter"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// kinds of things, in the order in which they are shown.
var kinds = []string{"cache", "group", "map", "notify", "waitgroup", "loop"}

func counter[N uint64 | float64](name string, value N, help string) Metric {
	return Metric{name, help, true, float64(value)}
}

func gauge[N int | float64](name string, value N, help string) Metric {
	return Metric{name, help, false, float64(value)}
}

// Map registers m, and keeps it alive, until unregister is called, which may be
// called more than once. If a map of that name is registered already, this one
// is called name#2, and so on. A nil m panics.
func Map[K comparable, V any](name string, m *waitmap.Map[K, V], opts ...Option) (unregister func()) {
	return watch("map", name, m, opts, func(m *waitmap.Map[K, V], showKeys bool) reading {
		var l longest[K]
		for key, info := range m.Waiting() {
			l.add(key, info.Waiters, info.Oldest)
		}
		return l.reading(Metrics{
			gauge("entries", m.Len(), "Entries in the map."),
			gauge("awaited_keys", l.keys, "Keys that somebody waits for."),
			gauge("waiters", l.waiters, "Waits of all keys."),
			gauge("oldest_wait_seconds", l.age(), "How long the oldest wait has lasted."),
		}, showKeys)
	})
}

// flights is a pointer to a T that tells which calls are under way.
type flights[K comparable, T any] interface {
	*T
	InFlight() iter.Seq2[K, dedup.FlightInfo]
}

// Group registers g, as [Map] does a map: a *dedup.Group, a *vigilotel.Group, or
// a pointer to whatever else has that InFlight. The types follow from g.
func Group[K comparable, T any, G flights[K, T]](name string, g G, opts ...Option) (unregister func()) {
	return watch("group", name, (*T)(g), opts, func(g *T, showKeys bool) reading {
		var l longest[K]
		for key, info := range G(g).InFlight() {
			l.add(key, info.Waiters, info.Started)
		}
		return l.reading(Metrics{
			gauge("flights", l.keys, "Calls under way."),
			gauge("waiters", l.waiters, "Callers that wait for them."),
			gauge("oldest_flight_seconds", l.age(), "How long the oldest call has lasted."),
		}, showKeys)
	})
}

// Cache registers c, as [Map] does a map.
func Cache[K comparable, V any](name string, c *dedup.Cache[K, V], opts ...Option) (unregister func()) {
	return watch("cache", name, c, opts, func(c *dedup.Cache[K, V], showKeys bool) reading {
		var l longest[K]
		for key, info := range c.InFlight() {
			l.add(key, info.Waiters, info.Started)
		}
		s := c.Stats()
		return l.reading(Metrics{
			counter("hits", s.Hits, "Calls answered by what is stored."),
			counter("misses", s.Misses, "Calls that had to load or to join a load."),
			counter("coalesced", s.Coalesced, "Misses that joined a load."),
			counter("loads", s.Loads, "Loads that are over."),
			counter("load_errors", s.LoadErrors, "Loads that failed."),
			counter("load_seconds", s.LoadTime.Seconds(), "Time that loads took, added up."),
			counter("stale", s.Stale, "Stale values returned."),
			counter("evictions", s.Evictions, "Entries that had to go for others."),
			gauge("entries", s.Entries, "Entries in the cache."),
			gauge("in_flight", s.InFlight, "Loads under way."),
			gauge("waiters", l.waiters, "Callers that wait for them."),
			gauge("oldest_flight_seconds", l.age(), "How long the oldest load has lasted."),
		}, showKeys)
	})
}

// Notify registers n, as [Map] does a map.
func Notify(name string, n *notify.Notify, opts ...Option) (unregister func()) {
	return watch("notify", name, n, opts, func(n *notify.Notify, _ bool) reading {
		return reading{metrics: Metrics{gauge("waiters", n.Waiters(), "Waits in line.")}}
	})
}

// WaitGroup registers g, as [Map] does a map.
func WaitGroup(name string, g *waitgroup.Group, opts ...Option) (unregister func()) {
	return watch("waitgroup", name, g, opts, func(g *waitgroup.Group, _ bool) reading {
		return reading{metrics: Metrics{gauge("pending", g.Count(), "What the count is above zero.")}}
	})
}

// Loop registers l, as [Map] does a map.
func Loop(name string, l *uringwake.Loop, opts ...Option) (unregister func()) {
	return watch("loop", name, l, opts, func(l *uringwake.Loop, _ bool) reading {
		s := l.Stats()
		return reading{metrics: Metrics{
			gauge("tasks", s.Tasks, "Tasks that live."),
			gauge("in_flight", s.InFlight, "Operations that the kernel has."),
			counter("turns", s.Turns, "Rounds of the loop."),
			counter("resumes", s.Resumes, "Times that a task was given the thread."),
			counter("mail", s.Mail, "Wakes and posts from outside."),
			counter("sleeps", s.Sleeps, "Times that the loop blocked in the kernel."),
			counter("spins", s.Spins, "Times that it looked for mail before."),
			counter("spin_hits", s.SpinHits, "Spins that found some."),
			counter("enters", s.Enters, "System calls made by the loop."),
			counter("rings", s.Rings, "System calls made to wake it."),
			counter("submitted", s.Submitted, "Entries of the submission queue."),
			counter("completed", s.Completed, "Entries of the completion queue."),
		}}
	})
}
