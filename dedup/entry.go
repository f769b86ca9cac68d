package dedup

import (
	"math"
	"math/rand/v2"
	"time"
)

// An entry is what is stored for a key: a value, an error, or a value and the error of
// the load that should have replaced it. It does not change once it is stored.
type entry[V any] struct {
	v      V
	weight uint32
	epoch  uint32 // see Cache.InvalidateAll
	fresh  int64  // the time until which v is fresh; zero if there is no value
	err    error  // returned when v is not served
	retry  int64  // the time before which no load is due, after one that failed
}

// hasValue reports whether there is a value.
func (e *entry[V]) hasValue() bool { return e.fresh != 0 }

// coolDown is the time for which a failed load is not repeated while an old value can be
// served, unless its error is kept.
const coolDown = time.Second

// never is the time at which an entry without a TTL expires.
const never = math.MaxInt64

// expiresAt returns the time d after now.
func expiresAt(now int64, d time.Duration) int64 {
	if int64(d) > never-now {
		return never
	}
	return now + int64(d)
}

// prepare makes the entry of a load's result, or nil if it is not to be kept.
func (c *Cache[K, V]) prepare(key K, v V, err error) *entry[V] {
	if err == nil {
		return c.prepareValue(key, v)
	}
	ttl := c.o.ErrorTTL
	if c.o.ErrorTTLOf != nil {
		ttl = c.o.ErrorTTLOf(key, err)
	}
	if ttl <= 0 {
		return nil
	}
	return &entry[V]{err: err, retry: expiresAt(clock(), c.jitter(ttl)), weight: 1}
}

// entryAfterError returns the entry to store after a load that failed, or nil: e has the
// error if that is to be kept, old is the entry before it, and either may be nil.
func (c *Cache[K, V]) entryAfterError(e, old *entry[V], now int64) *entry[V] {
	if old == nil || !c.mayServeStale(old, now) {
		return e
	}
	if e == nil {
		if old.fresh == never || c.maxStale() == 0 {
			return nil
		}
		e = &entry[V]{retry: expiresAt(now, coolDown)}
	}
	e.v, e.fresh, e.weight = old.v, old.fresh, max(old.weight, e.weight)
	return e
}

// prepareValue makes the entry of a value, or nil if it is not to be kept.
func (c *Cache[K, V]) prepareValue(key K, v V) *entry[V] {
	e := &entry[V]{v: v, fresh: never}
	switch {
	case c.o.TTLOf != nil:
		ttl := c.o.TTLOf(key, v)
		if ttl <= 0 {
			return nil
		}
		e.fresh = expiresAt(clock(), c.jitter(ttl))
	case c.o.TTL > 0:
		e.fresh = expiresAt(clock(), c.jitter(c.o.TTL))
	}
	if c.o.Weigh != nil {
		e.weight = c.o.Weigh(key, v)
	}
	return e
}

// jitter shortens a TTL, but not to zero.
func (c *Cache[K, V]) jitter(ttl time.Duration) time.Duration {
	if c.o.Jitter == 0 {
		return ttl
	}
	return max(1, ttl-time.Duration(float64(ttl)*c.o.Jitter*rand.Float64()))
}
