package dedup

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/vigil-go/vigil/internal/yield"
)

// An entry is what is stored for a key: a value, an error, or a value and the
// error of the load that should have replaced it. It does not change.
type entry[V any] struct {
	v      V
	weight uint32
	gen    uint32 // the epoch; see InvalidateAll
	fresh  int64  // v is fresh until then; 0 without v
	err    error  // instead of a fresh v, or nil
	retry  int64  // after a load that failed: no other one is due before then
}

// has reports whether there is a value.
func (e *entry[V]) has() bool { return e.fresh != 0 }

// coolDown is how long a load that failed is not repeated while an old value can
// be served, unless its error is kept for longer or shorter.
const coolDown = time.Second

// never is when an entry without a TTL expires.
const never = math.MaxInt64

// until is when something ends that begins now.
func until(now int64, d time.Duration) int64 {
	if int64(d) > never-now {
		return never
	}
	return now + int64(d)
}

// prepare makes the entry of a load's result, nil if it is not to be kept.
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
	return &entry[V]{err: err, retry: until(clock(), c.jitter(ttl)), weight: 1}
}

// after is the entry that a load leaves behind that failed, if any: e is what is
// to be kept of its error, old the entry before it, or nil.
func (c *Cache[K, V]) after(e, old *entry[V], now int64) *entry[V] {
	if old == nil || !c.excuses(old, now) {
		return e
	}
	if e == nil {
		if old.fresh == never || c.staleFor() == 0 {
			return nil
		}
		e = &entry[V]{retry: until(now, coolDown)}
	}
	e.v, e.fresh, e.weight = old.v, old.fresh, max(old.weight, e.weight)
	return e
}

func (c *Cache[K, V]) prepareValue(key K, v V) *entry[V] {
	e := &entry[V]{v: v, fresh: never}
	switch {
	case c.o.TTLOf != nil:
		ttl := c.o.TTLOf(key, v)
		if ttl <= 0 {
			return nil
		}
		e.fresh = until(clock(), c.jitter(ttl))
	case c.o.TTL > 0:
		e.fresh = until(clock(), c.jitter(c.o.TTL))
	}
	if c.o.Weigh != nil {
		e.weight = c.o.Weigh(key, v)
	}
	return e
}

// jitter shortens a TTL, but not to nothing.
func (c *Cache[K, V]) jitter(ttl time.Duration) time.Duration {
	if c.o.Jitter == 0 {
		return ttl
	}
	return max(1, ttl-time.Duration(float64(ttl)*c.o.Jitter*rand.Float64()))
}

// read tells what the entry is good for now. While StaleWhileRevalidate lasts
// that is its value, whatever became of a load.
func (c *Cache[K, V]) read(e *entry[V]) (a answer[V], ok bool) {
	if e.gen != c.epoch() {
		return a, false
	}
	if e.fresh == never {
		return answer[V]{v: e.v}, true
	}
	now := clock()
	switch failed := now < e.retry; {
	case e.has() && now < e.fresh:
		return answer[V]{v: e.v}, true
	case e.has() && now-e.fresh < int64(c.o.StaleWhileRevalidate):
		return answer[V]{v: e.v, stale: true, renew: !failed}, true
	case failed && c.excuses(e, now):
		return answer[V]{v: e.v, stale: true}, true
	case failed && e.err != nil:
		return answer[V]{err: e.err}, true
	}
	return a, false
}

// fresh reports whether there is a value that need not be loaded.
func (c *Cache[K, V]) fresh(key K) bool {
	a, ok := c.look(key, forValue)
	return ok && !a.stale && a.err == nil
}

// excuses reports whether the entry's value may be served instead of an error.
func (c *Cache[K, V]) excuses(e *entry[V], now int64) bool {
	return e.has() && (now < e.fresh || now-e.fresh < int64(c.staleFor()))
}

// staleFor is for how long after its TTL a value may be of use.
func (c *Cache[K, V]) staleFor() time.Duration {
	return max(c.o.StaleWhileRevalidate, c.o.StaleIfError)
}

// dead reports whether the entry is good for nothing any more.
func (c *Cache[K, V]) dead(e *entry[V], now int64) bool {
	return e.gen != c.epoch() || (now >= e.retry || e.err == nil) && !c.excuses(e, now)
}

// tidy comes after n stores. It deletes dead entries now and then: each time that
// as many were stored as there were left, so that it costs a store no more than a
// few looks.
func (c *Cache[K, V]) tidy(n int) {
	if !c.perishable || c.stored.Add(int64(n)) < c.tidyAt.Load() || !c.tidying.TryLock() {
		return
	}
	defer c.tidying.Unlock()
	c.stored.Store(0)
	now := clock()
	for key, e := range c.shelf.All() {
		if c.dead(e, now) {
			yield.At(yield.CacheSweep)
			c.shelf.DeleteIf(key, e)
		}
	}
	c.tidyAt.Store(max(fewest, int64(c.shelf.Len())))
}

// fewest is how many entries are stored at least before a look at all.
const fewest = 64
