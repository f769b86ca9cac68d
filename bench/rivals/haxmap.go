package rivals

import "github.com/alphadose/haxmap"

type haxMap[K Key, V any] struct{ m *haxmap.Map[K, V] }

func newHaxmap[K Key, V any](int) Map[K, V] {
	return haxMap[K, V]{haxmap.New[K, V]()}
}

func (x haxMap[K, V]) Mix(w *Worker[K, V], n int) {
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
			m.Del(key)
		}
	}
}

func (x haxMap[K, V]) Fill(keys []K, vals []V) {
	for i, key := range keys {
		x.m.Set(key, vals[i&(len(vals)-1)])
	}
}

func (x haxMap[K, V]) Walk() (n int) {
	x.m.ForEach(func(K, V) bool { n++; return true })
	return n
}

func (x haxMap[K, V]) Load(key K) (V, bool) { return x.m.Get(key) }
func (x haxMap[K, V]) Store(key K, val V)   { x.m.Set(key, val) }
func (x haxMap[K, V]) Delete(key K)         { x.m.Del(key) }
