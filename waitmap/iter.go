package waitmap

import "iter"

// Range calls f for each entry until f returns false. It is not a snapshot: no
// key comes twice, and what f sees of a key was true at some point during the
// Range. f may call the map; nothing is held while it runs.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	e := m.init()
	for i := range e.shards {
		if s := &e.shards[i]; !scan(s.settled(), e.cells, f) {
			return
		}
	}
}

// All returns an iterator over the entries, with the meaning of [Map.Range].
func (m *Map[K, V]) All() iter.Seq2[K, V] { return m.Range }

// Keys returns an iterator over the keys.
func (m *Map[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		m.Range(func(k K, _ V) bool { return yield(k) })
	}
}

// Values returns an iterator over the values.
func (m *Map[K, V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		m.Range(func(_ K, v V) bool { return yield(v) })
	}
}
