package waitmap

import "sync/atomic"

// A Map is a concurrent map whose keys can be awaited. The zero value is an empty map,
// ready to use. A Map must not be copied after first use.
//
// It has the methods of sync.Map, with their meaning. In the terminology of the Go memory
// model, a write happens before any read that observes its effect, and a store happens
// before the return of every wait that it releases.
//
// Load and a Wait that finds its key take no lock and write no shared memory. Writes lock
// a few neighboring entries.
//
// The map does not keep a deleted value. It may keep the deleted key until a later write
// replaces the table of that part of the map; [Map.Clear] drops all deleted keys.
type Map[K comparable, V any] struct {
	e atomic.Pointer[engine[K, V]]
}

// New returns an empty map with the given options. A nil o is the same as
// new(Options[K]).
func New[K comparable, V any](o *Options[K]) *Map[K, V] {
	if o == nil {
		o = new(Options[K])
	}
	o.check()
	m := new(Map[K, V])
	m.e.Store(newEngine[K, V](o))
	return m
}

// init returns the engine, and makes it on first use.
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

// Load returns the value for key, or the zero value of V and false if there is none. A
// key that only has waiters has no value.
func (m *Map[K, V]) Load(key K) (value V, ok bool) { return m.load(key) }

// Store sets the value for key and hands it to every waiter of key. If there are waiters
// in [Map.Take], the first of them takes the value, and the map does not keep it.
func (m *Map[K, V]) Store(key K, value V) { m.init().store(key, value) }

// LoadOrStore returns the existing value for key if there is one. Otherwise it stores
// value and returns it. The loaded result is true if the value was loaded, false if it
// was stored.
func (m *Map[K, V]) LoadOrStore(key K, value V) (actual V, loaded bool) {
	if v, ok := m.Load(key); ok {
		return v, true
	}
	return m.init().loadOrStore(key, value)
}

// LoadAndDelete deletes the value for key and returns it, if there was one. The loaded
// result reports whether there was.
func (m *Map[K, V]) LoadAndDelete(key K) (value V, loaded bool) {
	e := m.init()
	return e.loadAndDelete(key, e.hash(key), true)
}

// Delete deletes the value for key, if there is one.
func (m *Map[K, V]) Delete(key K) { m.LoadAndDelete(key) }

// Swap stores value for key and returns the previous value, if there was one. The loaded
// result reports whether there was.
func (m *Map[K, V]) Swap(key K, value V) (previous V, loaded bool) {
	return m.init().swap(key, value)
}

// CompareAndSwap stores new for key if the value for key is equal to old, and reports
// whether it did. If V is an interface type and both values have the same incomparable
// type, it panics.
func CompareAndSwap[K, V comparable](m *Map[K, V], key K, old, new V) (swapped bool) {
	if v, ok := m.Load(key); !ok || v != old {
		return false
	}
	e := m.init()
	c := pack(e.cells, new)
	var kl keyLock[K, V]
	return lockEqual(e, &kl, key, e.hash(key), old) && e.publish(&kl, key, c)
}

// CompareAndDelete deletes the value for key if it is equal to old, and reports whether it
// did. If V is an interface type and both values have the same incomparable type, it
// panics.
func CompareAndDelete[K, V comparable](m *Map[K, V], key K, old V) (deleted bool) {
	e := m.init()
	var kl keyLock[K, V]
	if !lockEqual(e, &kl, key, e.hash(key), old) {
		return false
	}
	e.remove(&kl)
	return true
}

// Len returns the number of entries. It is exact if there are no concurrent writes.
func (m *Map[K, V]) Len() int { return int(m.init().len()) }

// Clear deletes all entries. Waiters stay in line. An entry that is stored while Clear
// runs may be deleted or stay. Clear waits for computations that hold a key, see
// [Map.Compute].
func (m *Map[K, V]) Clear() {
	e := m.init()
	for i := range e.shards {
		for _, key := range e.shards[i].clear(e) {
			m.Delete(key) // it was on hold
		}
	}
}
