package rivals

import "testing"

// loader is the constraint of the loop that this package does not use.
type loader[K Key, V any] interface {
	Load(key K) (V, bool)
	Store(key K, val V)
	Delete(key K)
}

// mixGeneric is Mix as one generic loop over any map type: its calls use the
// dictionary of the type parameter.
func mixGeneric[M loader[K, V], K Key, V any](m M, w *Worker[K, V], n int) {
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

// BenchmarkMechanism compares the ways to call a rival from a loop: its own
// loop, one generic loop, one loop over the interface.
func BenchmarkMechanism(b *testing.B) {
	keys, vals := IntKeys(1000), IntValues()
	for _, maker := range Makers[int, int]() {
		m := maker.New(len(keys))
		m.Fill(keys, vals)
		run := func(name string, mix func(w *Worker[int, int], n int)) {
			b.Run(maker.Name+"/"+name, func(b *testing.B) { mix(NewWorker(0, keys, vals, 100), b.N) })
		}
		run("own", m.Mix)
		run("generic", genericMix(m))
		run("interface", func(w *Worker[int, int], n int) { mixGeneric(m, w, n) })
	}
}

func genericMix(m Map[int, int]) func(w *Worker[int, int], n int) {
	switch m := m.(type) {
	case vigilMap[int, int]:
		return func(w *Worker[int, int], n int) { mixGeneric(m, w, n) }
	case xsyncMap[int, int]:
		return func(w *Worker[int, int], n int) { mixGeneric(m, w, n) }
	case syncMap[int, int]:
		return func(w *Worker[int, int], n int) { mixGeneric(m, w, n) }
	case shardedMap[int, int]:
		return func(w *Worker[int, int], n int) { mixGeneric(m, w, n) }
	case haxMap[int, int]:
		return func(w *Worker[int, int], n int) { mixGeneric(m, w, n) }
	case orcamanMap[int, int]:
		return func(w *Worker[int, int], n int) { mixGeneric(m, w, n) }
	case cornelkMap[int, int]:
		return func(w *Worker[int, int], n int) { mixGeneric(m, w, n) }
	}
	panic("rivals: an unknown map")
}
