package rivals

import "github.com/puzpuzpuz/xsync/v4"

type xsyncMap[K Key, V any] struct{ m *xsync.Map[K, V] }

func newXsync[K Key, V any](int) Map[K, V] {
	return xsyncMap[K, V]{xsync.NewMap[K, V]()}
}

func (x xsyncMap[K, V]) Mix(w *Worker[K, V], n int) {
	m := x.m
	for range n {
		key, op := w.next()
		switch {
		case op < w.readBelow:
			if _, ok := m.Load(key); ok {
				w.Hits++
			}
		case op < w.storeBelow:
			m.Store(key, w.value(op))
		default:
			m.Delete(key)
		}
	}
}

func (x xsyncMap[K, V]) Fill(keys []K, vals []V) {
	for i, key := range keys {
		x.m.Store(key, vals[i&(len(vals)-1)])
	}
}

func (x xsyncMap[K, V]) Walk() (n int) {
	x.m.Range(func(K, V) bool { n++; return true })
	return n
}

func (x xsyncMap[K, V]) Load(key K) (V, bool) { return x.m.Load(key) }
func (x xsyncMap[K, V]) Store(key K, val V)   { x.m.Store(key, val) }
func (x xsyncMap[K, V]) Delete(key K)         { x.m.Delete(key) }
