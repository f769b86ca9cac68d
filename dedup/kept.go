package dedup

import (
	"context"
	"iter"
	"time"

	"github.com/vigil-go/vigil/internal/schedpoint"
)

// An Entry is what a [Cache] keeps for a key: a value, the error of a load, or a value and
// the error of the load that should have replaced it. FreshUntil and KeptUntil are the zero
// time if there is no limit.
type Entry[V any] struct {
	Value    V
	HasValue bool  // whether there is a value; if not, Value is the zero value and Err is not nil
	Stale    bool  // whether there is a value whose TTL is over
	Err      error // of the last load, if that failed and its error is kept

	Stored     time.Time // when the value was stored, or the error if there is no value
	FreshUntil time.Time // when the value becomes stale; the zero time if there is no value
	KeptUntil  time.Time // when neither the value nor the error is returned any more
}

// All returns an iterator over the keys and values that [Cache.Peek] would return. It is
// not a snapshot, and nothing is locked while the body of the loop runs. It loads nothing,
// and does not change the counts of [Stats].
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, e := range c.store.All() {
			if a, ok := c.read(e); ok && !a.stale && a.err == nil && !c.closed.Load() && !yield(key, a.v) {
				return
			}
		}
	}
}

// Entry returns what is kept for key, even if it is stale or an error, and whether there is
// anything. It does not load, and does not change the counts of [Stats].
func (c *Cache[K, V]) Entry(key K) (Entry[V], bool) {
	now := clock()
	if e, ok := c.store.Get(key); ok && !c.closed.Load() && !c.expired(e, now) {
		return c.describe(e, now), true
	}
	return Entry[V]{}, false
}

// GetEntry is [Cache.Get] with more of the result: whether the value is stale, and when it
// was stored. If a stale value is returned because the load that should have replaced it
// failed, Err is the error of that load. If the value is not kept, Stored, FreshUntil and
// KeptUntil are the time of its load. If the returned error is not nil, the Entry is the
// zero Entry.
func (c *Cache[K, V]) GetEntry(ctx context.Context, key K) (d Entry[V], err error) {
	mustContext(ctx)
	now := clock() // before Get, so that the times are those of the value that it finds
	if e, ok := c.store.Get(key); ok && !c.closed.Load() {
		if a, ok := c.read(e); ok {
			if _, err = c.serve(ctx, key, a); err == nil {
				d = c.describe(e, now)
				d.Stale = a.stale
			}
			return d, err
		}
	}
	a, err := c.getAnswer(ctx, key)
	if err != nil {
		return d, err
	}
	return c.describeAnswer(key, a), nil
}

// getAnswer is getSlow with more of the result.
func (c *Cache[K, V]) getAnswer(ctx context.Context, key K) (a answer[V], err error) {
	var j joinResult[K, V]
	err = c.flights.join(ctx, &request[K, V]{key: key, mayRun: true}, &j)
	if err == nil && j.f == nil {
		_, err = c.serve(ctx, key, *j.answer)
		return *j.answer, err
	}
	c.countMiss(&j)
	if err != nil {
		return a, err
	}
	started := j.f.started // before the load ends and the flight is used again
	r, err := j.fetch(ctx, nil)
	if err != nil {
		return a, err
	}
	return answer[V]{v: r.v, loadErr: r.loadErr, stale: r.stale, at: started + int64(r.took)}, r.err()
}

// describeAnswer returns the Entry of a value. Its entry may have been removed or replaced
// since, or may never have been stored.
func (c *Cache[K, V]) describeAnswer(key K, a answer[V]) (d Entry[V]) {
	now := clock()
	if e := c.old(key, c.epoch()); e != nil && e.hasValue() && (a.at == 0 || a.stale || e.stored == a.at) {
		d = c.describe(e, now)
	} else {
		if d.Stored = timeOf(now); a.at != 0 {
			d.Stored = timeOf(a.at)
		}
		d.FreshUntil, d.KeptUntil = d.Stored, d.Stored
	}
	d.Value, d.HasValue, d.Stale = a.v, true, a.stale
	if a.loadErr != nil {
		d.Err = a.loadErr
	}
	return d
}

// describe returns the Entry of e.
func (c *Cache[K, V]) describe(e *entry[V], now int64) (d Entry[V]) {
	wall := timeOf(now)
	at := func(ns int64) (t time.Time) {
		if ns < beyondIdle {
			t = wall.Add(time.Duration(ns - now))
		}
		return t
	}
	d.Err, d.Stored = e.keptErr(now), at(e.stored)
	until := now
	if c.mayServeStale(e, now) {
		d.Value, d.HasValue, d.Stale = e.v, true, now >= e.fresh
		d.FreshUntil = at(e.fresh)
		until = expiresAt(e.fresh, c.maxStale())
		if c.o.IdleTTL > 0 {
			until = min(until, expiresAt(e.used.Load(), c.o.IdleTTL))
		}
	}
	if d.Err != nil {
		until = max(until, e.failed.until)
	}
	d.KeptUntil = at(until)
	return d
}

// InvalidateFunc removes the values for which f returns true, even if they are stale, and
// returns their number. If f returns true for a value that was kept when InvalidateFunc was
// called, no call returns that value after InvalidateFunc has returned. Loads in flight
// continue for their callers, but because f cannot be asked about their values, these are
// not stored. The error of a key without a value is not removed.
//
// f is called with nothing locked, and may call the Cache. It is called again for a key
// whose entry changes meanwhile. If f panics, the values for which it returned true before
// are removed. InvalidateFunc panics if f is nil.
func (c *Cache[K, V]) InvalidateFunc(f func(key K, v V) bool) (n int) {
	if f == nil {
		panic("dedup: InvalidateFunc of a nil function")
	}
	var left removals[K, V]
	defer func() { c.onRemoveAll(left) }()
	c.batches.noteAll()   // before the shards are locked: their extras are stored with these locked
	c.flights.forgetAll() // before the entries are read: a flight stores nothing from now on
	for key, e := range c.store.All() {
		for ok := true; ok && e.hasValue() && e.epoch == c.epoch() && f(key, e.v); e, ok = c.store.Get(key) {
			if c.invalidateIf(key, e) {
				n++
				left.add(c.removalOf(key, e, RemoveInvalidated))
				break
			}
		}
	}
	return n
}

// invalidateIf is Invalidate if e is stored for key. It reports whether e was.
func (c *Cache[K, V]) invalidateIf(key K, e *entry[V]) bool {
	f, ok := c.swapOut(c.flights.home(key), key, e)
	if f != nil {
		f.cancel(ErrAbandoned)
	}
	return ok
}

// swapOut is swap with nothing to store, if e is stored. A flight that began since forgetAll
// may have e's value as its result, if its load failed, so it is detached too.
func (c *Cache[K, V]) swapOut(home *shard[K, V], key K, e *entry[V]) (idle *flight[K, V], ok bool) {
	schedpoint.At(schedpoint.CacheStores)
	home.mu.Lock()
	defer home.mu.Unlock()
	if !c.store.DeleteIf(key, e) {
		return nil, false
	}
	if f := home.find(key); f != nil && f.detach() {
		idle = f
	}
	c.batches.noteChange(key)
	return idle, true
}
