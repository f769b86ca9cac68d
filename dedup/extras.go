package dedup

import (
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/waitmap"
)

// batches are the calls of LoadMany that are under way. LoadMany may return keys
// that it was not asked for, which have no flight for Put and Invalidate to detach.
// So Put and Invalidate note in each batch which keys they change.
type batches[K comparable, V any] struct {
	n  atomic.Int32 // len(m), to be read with a key on hold
	mu sync.Mutex
	m  map[*batch[K, V]]struct{}
}

// begin registers a batch before its load, which sees all earlier changes.
func (bs *batches[K, V]) begin(b *batch[K, V]) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.m == nil {
		bs.m = make(map[*batch[K, V]]struct{})
	}
	bs.m[b] = struct{}{}
	bs.n.Store(int32(len(bs.m)))
}

func (bs *batches[K, V]) end(b *batch[K, V]) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	delete(bs.m, b)
	bs.n.Store(int32(len(bs.m)))
}

// changed notes a change of what is stored for key, which the caller holds.
func (bs *batches[K, V]) changed(key K) {
	if bs.n.Load() == 0 {
		return
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for b := range bs.m {
		if b.changed == nil {
			b.changed = make(map[K]struct{})
		}
		b.changed[key] = struct{}{}
	}
}

func (bs *batches[K, V]) has(b *batch[K, V], key K) bool {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	_, ok := b.changed[key]
	return ok
}

// An extra is a key that LoadMany returned without being asked for it.
type extra[K comparable, V any] struct {
	key   K
	entry *entry[V]
}

// unasked returns the keys that LoadMany returned beyond those of the flights.
func (b *batch[K, V]) unasked() (keys []K) {
	found := 0
	for _, f := range b.flights {
		if _, ok := b.vs[f.key]; ok {
			found++
		}
	}
	if found == len(b.vs) {
		return nil
	}
	asked := make(map[K]struct{}, len(b.flights))
	for _, f := range b.flights {
		asked[f.key] = struct{}{}
	}
	for key := range b.vs {
		if _, ok := asked[key]; !ok && key == key {
			keys = append(keys, key)
		}
	}
	return keys
}

// prepareExtra makes the entry of such a key. If that panics, it is not kept.
func (b *batch[K, V]) prepareExtra(key K) {
	if e := b.c.prepareValue(key, b.vs[key]); e != nil {
		e.gen = b.gen
		b.extras = append(b.extras, extra[K, V]{key, e})
	}
}

// storeExtras stores the keys that LoadMany was not asked for, unless a fresh value
// is there, and returns how many it stored.
func (b *batch[K, V]) storeExtras() (n int) {
	for _, x := range b.extras {
		if b.gen != b.c.epoch() {
			break // nobody would see them
		}
		b.c.flights.m.Compute(x.key, func(f *flight[K, V], there bool) (*flight[K, V], waitmap.Op) {
			if !there && !b.c.batches.has(b, x.key) && !b.c.fresh(x.key) {
				yield.At(yield.CacheStores)
				b.c.set(x.key, x.entry)
				n++
			}
			return f, waitmap.Keep
		})
		b.c.lookAgain(x.key, x.entry)
	}
	b.c.batches.end(b)
	return n
}
