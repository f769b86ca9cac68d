package rivals

import (
	"hash/maphash"
	"sync"
)

// shardCount is the usual choice: a power of two, well above the number of cores.
const shardCount = 64

// shardedMap is the usual hand-written version: a built-in map and a mutex per
// shard, each shard on cache lines of its own.
type shardedMap[K Key, V any] struct {
	hash   func(K) uint32
	shards *[shardCount]mutexMap[K, V]
}

type mutexMap[K Key, V any] struct {
	mu sync.Mutex
	m  map[K]V
	_  [112]byte // 128 bytes in all: the prefetcher fetches lines in pairs
}

func newSharded[K Key, V any](int) Map[K, V] {
	x := shardedMap[K, V]{hash: shardHash[K](), shards: new([shardCount]mutexMap[K, V])}
	for i := range x.shards {
		x.shards[i].m = make(map[K]V)
	}
	return x
}

func shardHash[K Key]() func(K) uint32 {
	var hash any = indexed
	if _, ok := hash.(func(K) uint32); !ok {
		seed := maphash.MakeSeed()
		hash = func(key string) uint32 { return uint32(maphash.String(seed, key)) }
	}
	return hash.(func(K) uint32)
}

func (x shardedMap[K, V]) shard(key K) *mutexMap[K, V] {
	return &x.shards[x.hash(key)%shardCount]
}

func (x shardedMap[K, V]) Load(key K) (V, bool) {
	s := x.shard(key)
	s.mu.Lock()
	val, ok := s.m[key]
	s.mu.Unlock()
	return val, ok
}

func (x shardedMap[K, V]) Store(key K, val V) {
	s := x.shard(key)
	s.mu.Lock()
	s.m[key] = val
	s.mu.Unlock()
}

func (x shardedMap[K, V]) Delete(key K) {
	s := x.shard(key)
	s.mu.Lock()
	delete(s.m, key)
	s.mu.Unlock()
}

func (x shardedMap[K, V]) Mix(w *Worker[K, V], n int) {
	for range n {
		key, op := w.next()
		switch {
		case op < w.readBelow:
			if _, ok := x.Load(key); ok {
				w.Hits++
			}
		case op < w.storeBelow:
			x.Store(key, w.value(op))
		default:
			x.Delete(key)
		}
	}
}

func (x shardedMap[K, V]) Fill(keys []K, vals []V) {
	for i, key := range keys {
		x.Store(key, vals[i&(len(vals)-1)])
	}
}

func (x shardedMap[K, V]) Walk() (n int) {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		for range s.m {
			n++
		}
		s.mu.Unlock()
	}
	return n
}
