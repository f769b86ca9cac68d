package rivals

import "sync"

// A syncMap asserts the type of what it loads, as every user of sync.Map does.
type syncMap[K Key, V any] struct{ m *sync.Map }

func newSyncMap[K Key, V any](int) Map[K, V] {
	return syncMap[K, V]{new(sync.Map)}
}

func (x syncMap[K, V]) Mix(w *Worker[K, V], n int) {
	m := x.m
	for range n {
		key, op := w.next()
		switch {
		case op < w.readBelow:
			if val, ok := m.Load(key); ok {
				if _, ok = val.(V); ok {
					w.Hits++
				}
			}
		case op < w.storeBelow:
			m.Store(key, w.value(op))
		default:
			m.Delete(key)
		}
	}
}

func (x syncMap[K, V]) Fill(keys []K, vals []V) {
	for i, key := range keys {
		x.m.Store(key, vals[i&(len(vals)-1)])
	}
}

func (x syncMap[K, V]) Walk() (n int) {
	x.m.Range(func(_, val any) bool {
		if _, ok := val.(V); ok {
			n++
		}
		return true
	})
	return n
}

func (x syncMap[K, V]) Load(key K) (V, bool) {
	val, ok := x.m.Load(key)
	if !ok {
		var zero V
		return zero, false
	}
	return val.(V), true
}

func (x syncMap[K, V]) Store(key K, val V) { x.m.Store(key, val) }
func (x syncMap[K, V]) Delete(key K)       { x.m.Delete(key) }
