package dedup

import "github.com/vigil-go/vigil/internal/schedpoint"

// sweepDue counts n stores. It reports whether as many entries were stored since the
// last sweep as that one left, so that the cost of sweeping is a few looks per store.
func (c *Cache[K, V]) sweepDue(n int) bool {
	return c.hasTTL && c.stored.Add(int64(n)) >= c.sweepAt.Load()
}

// sweep deletes expired entries, unless another goroutine is doing so.
func (c *Cache[K, V]) sweep() {
	if c.sweeping.TryLock() {
		c.onRemoveAll(c.sweepLocked())
	}
}

// sweepLocked is sweep with sweeping locked. It unlocks sweeping, and returns the entries of
// which OnRemove has to be told.
func (c *Cache[K, V]) sweepLocked() (list removals[K, V]) {
	defer c.sweeping.Unlock()
	c.stored.Store(0)
	now := clock()
	for key, e := range c.store.All() {
		if !c.expired(e, now) {
			continue
		}
		schedpoint.At(schedpoint.CacheSweep)
		if c.store.DeleteIf(key, e) {
			list.add(c.removalOf(key, e, RemoveExpired))
		}
	}
	c.sweepAt.Store(max(minSweep, int64(c.store.Len())))
	return list
}

// minSweep is the least number of stores between two sweeps.
const minSweep = 64
