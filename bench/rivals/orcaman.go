package rivals

import cmap "github.com/orcaman/concurrent-map/v2"

type orcamanMap[K Key, V any] struct{ m cmap.ConcurrentMap[K, V] }

// newOrcaman uses the map's own hash for strings; it has none for ints.
func newOrcaman[K Key, V any](int) Map[K, V] {
	var m any = cmap.New[V]()
	if own, ok := m.(cmap.ConcurrentMap[K, V]); ok {
		return orcamanMap[K, V]{own}
	}
	m = cmap.NewWithCustomShardingFunction[int, V](indexed)
	return orcamanMap[K, V]{m.(cmap.ConcurrentMap[K, V])}
}

func (x orcamanMap[K, V]) Mix(w *Worker[K, V], n int) {
	m := x.m
	for range n {
		key, op := w.next()
		switch {
		case op < w.readBelow:
			if _, ok := m.Get(key); ok {
				w.Hits++
			}
		case op < w.storeBelow:
			m.Set(key, w.value(op))
		default:
			m.Remove(key)
		}
	}
}

func (x orcamanMap[K, V]) Fill(keys []K, vals []V) {
	for i, key := range keys {
		x.m.Set(key, vals[i&(len(vals)-1)])
	}
}

func (x orcamanMap[K, V]) Walk() (n int) {
	x.m.IterCb(func(K, V) { n++ })
	return n
}

func (x orcamanMap[K, V]) Load(key K) (V, bool) { return x.m.Get(key) }
func (x orcamanMap[K, V]) Store(key K, val V)   { x.m.Set(key, val) }
func (x orcamanMap[K, V]) Delete(key K)         { x.m.Remove(key) }
