package dedup

import (
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
)

// batches are the calls of LoadMany in progress. LoadMany may return keys that it was not
// asked for, which have no flight for Put and Invalidate to detach. So Put and Invalidate
// note in each batch which keys they change.
type batches[K comparable, V any] struct {
	n  atomic.Int32 // len(m), read with the shard of a key locked
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

// end removes a batch.
func (bs *batches[K, V]) end(b *batch[K, V]) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	delete(bs.m, b)
	bs.n.Store(int32(len(bs.m)))
}

// noteChange notes in each batch that the entry of key changes. The shard of key is
// locked.
func (bs *batches[K, V]) noteChange(key K) {
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

// noteAll notes in each batch that any entry may change. No shard is locked.
func (bs *batches[K, V]) noteAll() {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for b := range bs.m {
		b.allChanged = true
	}
}

// wasChanged reports whether the entry of key has changed since b began.
func (bs *batches[K, V]) wasChanged(b *batch[K, V], key K) bool {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	_, ok := b.changed[key]
	return ok || b.allChanged
}

// An extra is a key that LoadMany returned without being asked for it, with its entry.
type extra[K comparable, V any] struct {
	key   K
	entry *entry[V]
}

// unrequested returns the keys that LoadMany returned without being asked for them.
func (b *batch[K, V]) unrequested() (keys []K) {
	found := 0
	for _, r := range b.runs {
		if _, ok := b.vs[r.f.key]; ok {
			found++
		}
	}
	if found == len(b.vs) && !b.twice {
		return nil
	}
	asked := make(map[K]struct{}, len(b.runs))
	for _, r := range b.runs {
		asked[r.f.key] = struct{}{}
	}
	for key := range b.vs {
		if _, ok := asked[key]; !ok && key == key && b.errs[key] == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// prepareExtra makes the entry of such a key. If a callback panics, the key is dropped.
func (b *batch[K, V]) prepareExtra(key *K) {
	if e := b.c.prepareValue(*key, b.vs[*key]); e != nil {
		e.epoch = b.epoch
		b.extras = append(b.extras, extra[K, V]{*key, e})
	}
}

// storeExtras stores the keys that LoadMany was not asked for, except for those of which
// a fresh value is stored. It returns the number of entries that it stored.
func (b *batch[K, V]) storeExtras() (n int) {
	for _, x := range b.extras {
		if b.storeExtra(x) {
			n++
		}
	}
	b.c.store.Maintain(false)
	b.c.batches.end(b)
	return n
}

// storeExtra reports whether it stored x. Its partners are those of swap.
func (b *batch[K, V]) storeExtra(x extra[K, V]) bool {
	home := b.c.flights.home(x.key)
	schedpoint.At(schedpoint.CacheStores)
	home.mu.Lock()
	defer home.mu.Unlock()
	if home.find(x.key) != nil || b.c.closed.Load() || b.epoch != b.c.epoch() || b.c.batches.wasChanged(b, x.key) {
		return false
	}
	if _, fresh := b.c.Peek(x.key); fresh {
		return false
	}
	x.entry.storedAt(clock())
	b.left.add(b.c.removalOf(x.key, b.c.set(x.key, x.entry), RemoveReplaced))
	return true
}
