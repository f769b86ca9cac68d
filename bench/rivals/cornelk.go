package rivals

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/cornelk/hashmap"
)

type cornelkMap[K Key, V any] struct{ m *hashmap.Map[K, V] }

// newCornelk makes room for twice n, so that the map never grows: it loses entries
// when it grows.
func newCornelk[K Key, V any](n int) Map[K, V] {
	return cornelkMap[K, V]{hashmap.NewSized[K, V](uintptr(2*n + 16))}
}

func (x cornelkMap[K, V]) Mix(w *Worker[K, V], n int) {
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

// Fill stores the keys from the largest hash to the smallest. The map is one sorted
// list, and it searches for a key that is the first of its slot from the head of
// the list. In any other order a million inserts take most of an hour.
func (x cornelkMap[K, V]) Fill(keys []K, vals []V) {
	type hashed struct {
		hash uint64
		key  K
	}
	sorted := make([]hashed, len(keys))
	for i, key := range keys {
		sorted[i] = hashed{cornelkHash(key), key}
	}
	slices.SortFunc(sorted, func(a, b hashed) int {
		if a.hash > b.hash {
			return -1
		}
		return 1
	})
	for i, h := range sorted {
		x.m.Set(h.key, vals[i&(len(vals)-1)])
	}
}

// cornelkHash is the map's own hash, which is not exported: xxHash of the string or
// of the int's bytes, without a seed.
func cornelkHash[K Key](key K) uint64 {
	switch key := any(key).(type) {
	case string:
		return xxhash.Sum64String(key)
	case int:
		return xxhash.Sum64(binary.LittleEndian.AppendUint64(nil, uint64(key)))
	}
	panic("rivals: a key of no known kind")
}

func (x cornelkMap[K, V]) Walk() (n int) {
	x.m.Range(func(K, V) bool { n++; return true })
	return n
}

func (x cornelkMap[K, V]) Load(key K) (V, bool) { return x.m.Get(key) }
func (x cornelkMap[K, V]) Store(key K, val V)   { x.m.Set(key, val) }
func (x cornelkMap[K, V]) Delete(key K)         { x.m.Del(key) }
