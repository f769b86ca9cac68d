package waitmap

import "iter"

// Range calls f for each entry of the map. If f returns false, Range stops.
//
// Range does not iterate over a snapshot: it visits no key twice, and the value that f
// receives was the key's value at some moment of the call. f may use the map; no lock is
// held while it runs.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	e := m.init()
	for i := range e.shards {
		if s := &e.shards[i]; !scan(s.currentTable(), e.cells, f) {
			return
		}
	}
}

// All returns an iterator over the keys and values of the map. It iterates as [Map.Range]
// does.
func (m *Map[K, V]) All() iter.Seq2[K, V] { return m.Range }

// Keys returns an iterator over the keys of the map. It iterates as [Map.Range] does.
func (m *Map[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		m.Range(func(k K, _ V) bool { return yield(k) })
	}
}

// Values returns an iterator over the values of the map. It iterates as [Map.Range] does.
func (m *Map[K, V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		m.Range(func(_ K, v V) bool { return yield(v) })
	}
}
