package waitmap

import "sync/atomic"

// A Map is a concurrent map whose keys can be awaited. The zero value is an
// empty map, ready to use. It must not be copied after first use.
//
// It has sync.Map's methods, with their meaning, and its happens-before edges:
// a write happens before any read that observes its effect. And a store
// happens before the return of every wait that it releases.
//
// Reads (Load, Range, a Wait that finds its key) take no lock and write no
// shared memory. Writes lock a few neighboring entries.
//
// A deleted value is let go at once. What its key refers to may be kept until
// later writes rebuild that part of the table; [Map.Clear] lets go of all.
type Map[K comparable, V any] struct {
	e atomic.Pointer[engine[K, V]]
}

// New returns an empty map. A nil o is the same as new(Options[K]).
func New[K comparable, V any](o *Options[K]) *Map[K, V] {
	if o == nil {
		o = new(Options[K])
	}
	o.check()
	m := new(Map[K, V])
	m.e.Store(newEngine[K, V](o))
	return m
}

// init returns the engine and makes it on first use.
func (m *Map[K, V]) init() *engine[K, V] {
	if e := m.e.Load(); e != nil {
		return e
	}
	return m.initSlow()
}

func (m *Map[K, V]) initSlow() *engine[K, V] {
	m.e.CompareAndSwap(nil, newEngine[K, V](new(Options[K])))
	return m.e.Load()
}

// Store sets the value under key. It wakes all who wait for key with value.
func (m *Map[K, V]) Store(key K, value V) { m.init().store(key, value) }

// LoadOrStore returns the value that is there, and true; else it stores value
// and returns it, and false.
func (m *Map[K, V]) LoadOrStore(key K, value V) (actual V, loaded bool) {
	if v, ok := m.Load(key); ok {
		return v, true
	}
	return m.init().loadOrStore(key, value)
}

// LoadAndDelete deletes key and returns the value that it had, if any.
func (m *Map[K, V]) LoadAndDelete(key K) (value V, loaded bool) {
	if _, ok := m.Load(key); !ok {
		return value, false
	}
	return m.init().loadAndDelete(key)
}

// Delete deletes key, if it is there.
func (m *Map[K, V]) Delete(key K) { m.LoadAndDelete(key) }

// Swap stores value and returns the one that was there before, if any.
func (m *Map[K, V]) Swap(key K, value V) (previous V, loaded bool) {
	return m.init().swap(key, value)
}

// CompareAndSwap stores new under key if the value there is equal to old.
func CompareAndSwap[K, V comparable](m *Map[K, V], key K, old, new V) (swapped bool) {
	if v, ok := m.Load(key); !ok || v != old {
		return false
	}
	e := m.init()
	c := pack(e.cells, new)
	var p spot[K, V]
	return acquireEqual(e, &p, key, e.hash(key), old) && e.publish(&p, key, c)
}

// CompareAndDelete deletes key if the value there is equal to old.
func CompareAndDelete[K, V comparable](m *Map[K, V], key K, old V) (deleted bool) {
	e := m.init()
	var p spot[K, V]
	if !acquireEqual(e, &p, key, e.hash(key), old) {
		return false
	}
	e.remove(&p)
	return true
}

// Len is the number of entries: exact while nobody writes, close otherwise.
func (m *Map[K, V]) Len() int { return int(m.init().len()) }

// Clear deletes all entries. Waits stay.
func (m *Map[K, V]) Clear() {
	e := m.init()
	for i := range e.shards {
		for _, key := range e.shards[i].clear(e) {
			m.Delete(key) // it was on hold
		}
	}
}
