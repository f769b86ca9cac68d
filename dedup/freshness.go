package dedup

import (
	"time"
)

// read returns what the entry answers now, if anything. While StaleWhileRevalidate lasts
// that is its value, even if a load has failed.
func (c *Cache[K, V]) read(e *entry[V]) (a answer[V], ok bool) {
	if e.epoch != c.epoch() {
		return a, false
	}
	if e.fresh == never {
		return answer[V]{v: e.v}, true
	}
	now := clock()
	has := e.hasValue() && !c.idle(e, now)
	switch failed := e.waits(now); {
	case has && now < e.fresh:
		return answer[V]{v: e.v}, true
	case has && now-e.fresh < int64(c.o.StaleWhileRevalidate):
		return answer[V]{v: e.v, stale: true, renew: !failed}, true
	case failed && c.mayServeStale(e, now):
		return answer[V]{v: e.v, stale: true}, true
	}
	if err := e.keptErr(now); err != nil {
		return answer[V]{err: err}, true
	}
	return a, false
}

// idle reports whether nobody has asked for the entry for IdleTTL.
func (c *Cache[K, V]) idle(e *entry[V], now int64) bool {
	return c.o.IdleTTL > 0 && now-e.used.Load() >= int64(c.o.IdleTTL)
}

// touch notes that somebody has asked for the value of key. A value that was idle too long
// does not come back.
func (c *Cache[K, V]) touch(key K) {
	if e, ok := c.store.Get(key); ok {
		if now := clock(); !c.idle(e, now) {
			e.used.Store(now)
		}
	}
}

// mayServeStale reports whether the entry's value may be served instead of an error.
func (c *Cache[K, V]) mayServeStale(e *entry[V], now int64) bool {
	return e.hasValue() && !c.idle(e, now) && (now < e.fresh || now-e.fresh < int64(c.maxStale()))
}

// maxStale returns the time after its TTL for which a value may be served.
func (c *Cache[K, V]) maxStale() time.Duration {
	return max(c.o.StaleWhileRevalidate, c.o.StaleIfError)
}

// expired reports whether the entry cannot be served any more, neither its value nor its
// error.
func (c *Cache[K, V]) expired(e *entry[V], now int64) bool {
	return e.epoch != c.epoch() || e.keptErr(now) == nil && !c.mayServeStale(e, now)
}
