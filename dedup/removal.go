package dedup

import "fmt"

// A RemoveCause is the reason why a value was removed; see [CacheOptions].OnRemove.
type RemoveCause uint8

const (
	RemoveExpired     RemoveCause = iota + 1 // its time was over, whatever then removed it
	RemoveEvicted                            // MaxEntries or MaxWeight was exceeded
	RemoveInvalidated                        // by Invalidate, InvalidateFunc, InvalidateAll, Close or ErrGone
	RemoveReplaced                           // by a newer value of a Put or a load, even if that is not kept
)

// String returns "expired", "evicted", "invalidated" or "replaced".
func (c RemoveCause) String() string {
	switch c {
	case RemoveExpired:
		return "expired"
	case RemoveEvicted:
		return "evicted"
	case RemoveInvalidated:
		return "invalidated"
	case RemoveReplaced:
		return "replaced"
	}
	return fmt.Sprintf("RemoveCause(%d)", uint8(c))
}

// A removal is a value that was removed from the store, as an argument of OnRemove.
type removal[K comparable, V any] struct {
	key   K
	v     V
	cause RemoveCause
}

// removals are the removals that onRemoveAll has to report.
type removals[K comparable, V any] []*removal[K, V]

// add adds r, which may be nil.
func (l *removals[K, V]) add(r *removal[K, V]) {
	if r != nil {
		*l = append(*l, r)
	}
}

// removalOf returns the removal of an entry that leaves the store, or nil if OnRemove need
// not be called. e may be nil. The store may be locked.
func (c *Cache[K, V]) removalOf(key K, e *entry[V], cause RemoveCause) *removal[K, V] {
	if c.o.OnRemove == nil || e == nil || !e.hasValue() {
		return nil
	}
	switch {
	case c.hasTTL && !c.mayServeStale(e, clock()):
		cause = RemoveExpired
	case e.epoch != c.epoch():
		cause = RemoveInvalidated
	}
	return &removal[K, V]{key, e.v, cause}
}

// onRemove calls OnRemove, with nothing locked. r may be nil. It drops a panic, because a
// value may be removed by a goroutine in which no user code could recover it.
func (c *Cache[K, V]) onRemove(r *removal[K, V]) {
	if r != nil {
		defer func() { _ = recover() }()
		c.o.OnRemove(r.key, r.v, r.cause)
	}
}

// onRemoveAll calls OnRemove for each removal of list. If OnRemove ends the goroutine, the
// other calls are made in another goroutine.
func (c *Cache[K, V]) onRemoveAll(list removals[K, V]) {
	defer func() {
		if len(list) > 0 {
			go c.onRemoveAll(list)
		}
	}()
	for len(list) > 0 {
		r := list[0]
		list = list[1:] // before the call, so that each is reported once
		c.onRemove(r)
	}
}

// evicted notes that the store evicts an entry. The store is locked, and the entry is still in
// it.
func (c *Cache[K, V]) evicted(key K, e *entry[V]) {
	r := c.removalOf(key, e, RemoveEvicted)
	if r == nil {
		return
	}
	c.evictedMu.Lock()
	defer c.evictedMu.Unlock()
	if c.evictions == nil {
		go c.reportEvictions()
	}
	c.evictions = append(c.evictions, r)
}

// reportEvictions calls OnRemove for the entries that were evicted since the last call, after
// they have been removed from the store. evicted starts it.
func (c *Cache[K, V]) reportEvictions() {
	c.evictedMu.Lock()
	list := c.evictions
	c.evictions = nil
	c.evictedMu.Unlock()
	c.store.Flush()
	c.onRemoveAll(list)
}

// clear removes all entries, and returns the removals to report.
func (c *Cache[K, V]) clear() (list removals[K, V]) {
	if c.o.OnRemove == nil {
		c.store.Clear()
		return nil
	}
	for key, e := range c.store.All() {
		if c.store.DeleteIf(key, e) {
			list.add(c.removalOf(key, e, RemoveInvalidated))
		}
	}
	return list
}
