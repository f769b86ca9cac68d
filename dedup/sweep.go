package dedup

import "github.com/vigil-go/vigil/internal/schedpoint"

// sweepDue counts n stores. It reports whether as many entries were stored since the
// last sweep as that one left, so that the cost of sweeping is a few looks per store.
func (c *Cache[K, V]) sweepDue(n int) bool {
	return c.hasTTL && c.stored.Add(int64(n)) >= c.sweepAt.Load()
}

// sweep deletes expired entries, unless another goroutine is doing so.
func (c *Cache[K, V]) sweep() {
	if !c.sweeping.TryLock() {
		return
	}
	defer c.sweeping.Unlock()
	c.stored.Store(0)
	now := clock()
	for key, e := range c.store.All() {
		if c.expired(e, now) {
			schedpoint.At(schedpoint.CacheSweep)
			c.store.DeleteIf(key, e)
		}
	}
	c.sweepAt.Store(max(minSweep, int64(c.store.Len())))
}

// minSweep is the least number of stores between two sweeps.
const minSweep = 64
