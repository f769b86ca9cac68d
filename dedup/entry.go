package dedup

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// An entry is what is stored for a key: a value, an error, or a value and the failure of the
// load that should have replaced it. It does not change once it is stored.
type entry[V any] struct {
	v      V
	weight uint32
	epoch  uint32   // see Cache.InvalidateAll
	stored int64    // the time at which v, or the error if there is no value, was stored
	fresh  int64    // the time until which v is fresh; zero if there is no value
	failed *failure // nil if the last load has not failed

	// used is the last time at which a caller asked for v, or nil if there is no IdleTTL. All
	// entries of one v share it, so that a Get renews the one that replaces what it has found.
	used *atomic.Int64
}

// A failure is a load that failed.
type failure struct {
	err   error // returned when no value is served; nil if it is not kept
	until int64 // the time until which err is kept
	retry int64 // the time before which no load is due
	inRow uint8 // the number of loads that failed in a row, at most 62
}

// hasValue reports whether there is a value.
func (e *entry[V]) hasValue() bool { return e.fresh != 0 }

// storedAt notes the time at which the entry is stored.
func (e *entry[V]) storedAt(now int64) {
	e.stored = now
	if e.used != nil {
		e.used.Store(now)
	}
}

// waits reports whether the next load is not due yet, after a load that failed.
func (e *entry[V]) waits(now int64) bool { return e.failed != nil && now < e.failed.retry }

// keptErr returns the error that is kept, or nil.
func (e *entry[V]) keptErr(now int64) error {
	if e.failed != nil && now < e.failed.until {
		return e.failed.err
	}
	return nil
}

// coolDown is the time for which a failed load is not repeated while an old value can be
// served, unless its error is kept.
const coolDown = time.Second

// never is the time at which an entry without a TTL expires. With an IdleTTL that is
// beyondIdle, so that a hit reads the clock.
const (
	never      = math.MaxInt64
	beyondIdle = never - 1
)

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
	now := clock()
	until := expiresAt(now, c.jitter(ttl))
	return &entry[V]{failed: &failure{err: err, until: until, retry: until}, stored: now, weight: 1}
}

// entryAfterError returns the entry to store after a load that failed, or nil. e has the error
// if that is to be kept, and old is the entry before the load. Both may be nil.
func (c *Cache[K, V]) entryAfterError(e, old *entry[V], now int64) *entry[V] {
	if old == nil || !c.mayServeStale(old, now) {
		return e
	}
	wait := coolDown
	if e != nil {
		wait = time.Duration(e.failed.retry - e.stored)
	} else if old.fresh >= beyondIdle || c.maxStale() == 0 {
		return nil
	} else {
		e = &entry[V]{failed: new(failure)}
	}
	e.v, e.fresh, e.stored, e.weight = old.v, old.fresh, old.stored, max(old.weight, e.weight)
	e.used = old.used
	c.backOff(e.failed, old.failed, now, wait)
	return e
}

// backOff sets the time of the next load: after wait, doubled for each earlier failure, up to
// MaxBackoff.
func (c *Cache[K, V]) backOff(f, before *failure, now int64, wait time.Duration) {
	f.inRow = 1
	if before != nil {
		f.inRow = min(before.inRow+1, 62)
	}
	most := c.o.MaxBackoff
	for n := f.inRow; n > 1 && wait < most; n-- {
		wait += min(wait, most-wait) // 2*wait may be too long for a Duration
	}
	if most > 0 && (f.inRow > 1 || f.err == nil) { // an ErrorTTL has its jitter
		wait = c.jitter(wait)
	}
	f.retry = expiresAt(now, wait)
}

// withoutValue returns the entry of the error alone.
func (e *entry[V]) withoutValue() *entry[V] {
	return &entry[V]{failed: e.failed, stored: e.stored, epoch: e.epoch, weight: 1}
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
	if c.o.IdleTTL > 0 {
		e.fresh, e.used = min(e.fresh, beyondIdle), new(atomic.Int64)
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
