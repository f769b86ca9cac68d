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
	switch failed := now < e.retry; {
	case e.hasValue() && now < e.fresh:
		return answer[V]{v: e.v}, true
	case e.hasValue() && now-e.fresh < int64(c.o.StaleWhileRevalidate):
		return answer[V]{v: e.v, stale: true, renew: !failed}, true
	case failed && c.mayServeStale(e, now):
		return answer[V]{v: e.v, stale: true}, true
	case failed && e.err != nil:
		return answer[V]{err: e.err}, true
	}
	return a, false
}

// hasFresh reports whether a fresh value of key is stored.
func (c *Cache[K, V]) hasFresh(key K) bool {
	a, ok := c.lookup(key, forValue)
	return ok && !a.stale && a.err == nil
}

// mayServeStale reports whether the entry's value may be served instead of an error.
func (c *Cache[K, V]) mayServeStale(e *entry[V], now int64) bool {
	return e.hasValue() && (now < e.fresh || now-e.fresh < int64(c.maxStale()))
}

// maxStale returns the time after its TTL for which a value may be served.
func (c *Cache[K, V]) maxStale() time.Duration {
	return max(c.o.StaleWhileRevalidate, c.o.StaleIfError)
}

// expired reports whether the entry cannot be served any more, neither its value nor its
// error.
func (c *Cache[K, V]) expired(e *entry[V], now int64) bool {
	return e.epoch != c.epoch() || (now >= e.retry || e.err == nil) && !c.mayServeStale(e, now)
}
