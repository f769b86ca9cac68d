package waitmap_test

import (
	"hash/maphash"
	"testing"

	"github.com/vigil-go/vigil/waitmap"
)

// A maker makes an empty map.
type maker[K comparable, V any] func() *waitmap.Map[K, V]

var variantSeed = maphash.MakeSeed()

// badHash is the same for all keys.
func badHash[K comparable](K, uint64) uint64 { return 0 }

// allOnes is the other value that a table may take for a mark.
func allOnes[K comparable](K, uint64) uint64 { return ^uint64(0) }

// goodHash is a good hash that ignores the map's seed.
func goodHash[K comparable](k K, _ uint64) uint64 { return maphash.Comparable(variantSeed, k) }

// lowBits and highBits keep three bits of a good hash, at either end: tables
// choose shard, bucket and tag from different ends.
func lowBits[K comparable](k K, _ uint64) uint64  { return maphash.Comparable(variantSeed, k) & 7 }
func highBits[K comparable](k K, _ uint64) uint64 { return maphash.Comparable(variantSeed, k) << 61 }

// identityHash is the key itself where the key is a number.
func identityHash[K comparable](k K, seed uint64) uint64 {
	switch k := any(k).(type) {
	case int:
		return uint64(k)
	case int64:
		return uint64(k)
	case uint64:
		return k
	case uint32:
		return uint64(k)
	case string:
		var h uint64
		for i := range min(len(k), 8) {
			h |= uint64(k[i]) << (8 * i)
		}
		return h
	}
	return goodHash(k, seed)
}

// constructions are the ways to make a map that every structure test must
// survive.
func constructions[K comparable, V any]() map[string]maker[K, V] {
	with := func(o waitmap.Options[K]) maker[K, V] {
		return func() *waitmap.Map[K, V] { return waitmap.New[K, V](&o) }
	}
	return map[string]maker[K, V]{
		"zero":             func() *waitmap.Map[K, V] { return new(waitmap.Map[K, V]) },
		"nil options":      func() *waitmap.Map[K, V] { return waitmap.New[K, V](nil) },
		"presized":         with(waitmap.Options[K]{Capacity: 1000}),
		"one shard":        with(waitmap.Options[K]{Shards: 1}),
		"five shards":      with(waitmap.Options[K]{Shards: 5}),
		"all collide":      with(waitmap.Options[K]{Hash: badHash[K]}),
		"all ones":         with(waitmap.Options[K]{Hash: allOnes[K], Shards: 2}),
		"low bits":         with(waitmap.Options[K]{Hash: lowBits[K]}),
		"high bits":        with(waitmap.Options[K]{Hash: highBits[K], Shards: 1}),
		"identity":         with(waitmap.Options[K]{Hash: identityHash[K]}),
		"one bad shard":    with(waitmap.Options[K]{Hash: badHash[K], Shards: 1, Capacity: 64}),
		"unseeded, shard1": with(waitmap.Options[K]{Hash: goodHash[K], Shards: 1}),
	}
}

// over runs a structure test on every construction.
func over[K comparable, V any](t *testing.T, f func(t *testing.T, newMap maker[K, V])) {
	for name, newMap := range constructions[K, V]() {
		t.Run(name, func(t *testing.T) { f(t, newMap) })
	}
}
