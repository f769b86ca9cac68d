package dedup

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/dedup/internal/store"
	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/schedpoint"
)

// A Cache stores values by key and loads those that are missing. Callers that ask for a
// key at the same time share one load. [NewCache] makes a Cache, and Close ends it. A
// Cache must not be copied.
//
// In the terminology of the Go memory model, the return of a load, and a call of Put,
// synchronizes before the return of every call that returns its value.
type Cache[K comparable, V any] struct {
	store   store.Store[K, *entry[V]]
	closed  atomic.Bool
	epochs  atomic.Uint32 // the number of calls of InvalidateAll
	counts  counts
	flights flights[K, V]
	loader  Loader[K, V]
	o       CacheOptions[K, V]
	slots   *load.Slots // of MaxLoads; nil means no limit
	batches batches[K, V]

	gathering gathering[K, V]

	bounded  bool // entries may be evicted
	hasTTL   bool // entries may expire, and the rest is for sweep
	sweeping sync.Mutex
	stored   atomic.Int64
	sweepAt  atomic.Int64

	evictedMu sync.Mutex
	evictions removals[K, V] // to be reported; nil if nobody is about to do so
}

// NewCache returns an empty Cache that loads missing values with load. A nil o means the
// zero CacheOptions. NewCache returns an error if load is nil or options are invalid; the
// error reports each invalid option.
func NewCache[K comparable, V any](load Loader[K, V], o *CacheOptions[K, V]) (*Cache[K, V], error) {
	if o == nil {
		o = new(CacheOptions[K, V])
	}
	if err := errors.Join(checkLoader(load), o.check()); err != nil {
		return nil, err
	}
	c := &Cache[K, V]{loader: load, o: *o}
	c.hasTTL = o.TTL > 0 || o.TTLOf != nil || o.ErrorTTL > 0 || o.ErrorTTLOf != nil || o.IdleTTL > 0
	c.sweepAt.Store(minSweep)
	c.flights.backend, c.flights.maxWaiters = c, o.MaxWaiters
	c.slots = o.slots()
	if o.MaxEntries == 0 && o.MaxWeight == 0 {
		c.store = store.NewUnbounded[K, *entry[V]]()
		return c, nil
	}
	c.bounded = true
	var err error
	b := store.Bounds[K, *entry[V]]{
		Entries: o.MaxEntries,
		Weight:  o.MaxWeight,
		Weigh:   func(e *entry[V]) uint32 { return e.weight },
	}
	if o.OnRemove != nil {
		b.OnEvict = c.evicted
	}
	c.store, err = store.NewBounded(b)
	if err != nil {
		return nil, errors.Join(errors.New("dedup: CacheOptions"), err)
	}
	return c, nil
}

// Get returns the value of key. If none is stored, Get loads it, or joins a load in
// flight, and waits for the result. The load runs in the goroutine of the caller if ctx
// cannot end and has no parker, like context.Background(); see [Loader].
//
// A stored value is returned even if ctx has ended. When ctx ends while Get waits, Get
// returns at once with an error that matches ctx.Err() and context.Cause(ctx), unless
// there is a result. If ctx has ended before, Get neither starts nor joins a load. Get
// returns [ErrClosed] after Close, and [ErrCycle] if ctx is the context of a load for
// which this call would wait, directly or through other loads. It panics if ctx is nil.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	if e, ok := c.store.Get(key); ok && e.fresh == never && e.epoch == c.epoch() && !c.closed.Load() {
		c.counts.any().hits.Add(1)
		return e.v, nil
	}
	return c.getSlow(ctx, key)
}

// getSlow is Get for entries that expire and for keys that are not stored.
func (c *Cache[K, V]) getSlow(ctx context.Context, key K) (v V, err error) {
	if a, ok := c.lookup(key, forValue); ok {
		return c.serve(ctx, key, a)
	}
	var j joinResult[K, V]
	err = c.flights.join(ctx, &request[K, V]{key: key, mayRun: true}, &j)
	if err == nil && j.f == nil {
		return c.serve(ctx, key, *j.answer)
	}
	c.countMiss(&j)
	if err != nil {
		return v, err
	}
	r, err := j.fetch(ctx, nil)
	if err != nil {
		return v, err
	}
	return r.v, r.err()
}

// serve returns an answer of the store, and starts a load to renew it if that is due.
func (c *Cache[K, V]) serve(ctx context.Context, key K, a answer[V]) (V, error) {
	if a.closed {
		return a.v, a.err
	}
	if c.o.IdleTTL > 0 && a.err == nil {
		c.touch(key)
	}
	n := c.counts.any()
	n.hits.Add(1)
	if a.stale {
		n.stale.Add(1)
	}
	if a.renew {
		if t := c.flights.createBackground(ctx, request[K, V]{key: key, why: forFreshness}); t != nil && t.batch == nil {
			start(t)
		}
	}
	return a.v, a.err
}

// countMiss counts a key for which nothing was stored.
func (c *Cache[K, V]) countMiss(j *joinResult[K, V]) {
	n := c.counts.any()
	n.misses.Add(1)
	if j.coalesced() {
		n.coalesced.Add(1)
	}
}

// set stores an entry and returns the one that was there, or nil. A nil entry means that
// nothing is to be stored for the key.
func (c *Cache[K, V]) set(key K, e *entry[V]) (old *entry[V]) {
	if e == nil {
		old, _ = c.store.Delete(key)
	} else {
		old, _ = c.store.Set(key, e)
	}
	return old
}

// Peek returns the value of key if a fresh one is stored. It does not load, and does not
// change the counts of [Stats].
func (c *Cache[K, V]) Peek(key K) (v V, ok bool) {
	if a, ok := c.lookup(key, forValue); ok && !a.stale && a.err == nil {
		return a.v, true
	}
	return v, false
}

// Put stores v for key. A load of key in flight continues for its callers, but its result
// is not stored. After Close, Put does nothing.
//
// TTLOf and Weigh are called with nothing locked. If one of them panics, Put panics and
// has changed nothing. OnRemove is called for the value that was kept before Put returns.
func (c *Cache[K, V]) Put(key K, v V) {
	e := c.prepareValue(key, v)
	if e != nil {
		e.storedAt(clock())
	}
	defer c.onRemove(c.replace(key, e, RemoveReplaced))
	if c.sweepDue(1) {
		c.sweep()
	}
}

// Invalidate removes the entry of key. A load of key in flight continues for its callers,
// but its result is not stored, and later callers start a new load.
func (c *Cache[K, V]) Invalidate(key K) { c.onRemove(c.replace(key, nil, RemoveInvalidated)) }

// replace detaches the flight of key and changes the store with the key's shard locked.
// So no flight can begin in between that would not see the change, or whose result would
// undo it. It returns what it has removed.
func (c *Cache[K, V]) replace(key K, e *entry[V], cause RemoveCause) *removal[K, V] {
	if key != key { // a NaN, which nobody could find
		return nil
	}
	f, old := c.swap(c.flights.home(key), key, e)
	removed := c.removalOf(key, old, cause)
	c.store.Maintain(false)
	if f != nil {
		f.cancel(ErrAbandoned)
	}
	return removed
}

// swap is replace without canceling the flight, which it returns if that is to be done. It
// also returns the entry that was stored, or nil.
//
// Its partners are Close and InvalidateAll, which close the cache or begin an epoch, then
// lock each shard, then clear the store. Either they remove e, or swap sees that the
// cache is closed, or e is of the new epoch.
func (c *Cache[K, V]) swap(home *shard[K, V], key K, e *entry[V]) (idle *flight[K, V], old *entry[V]) {
	schedpoint.At(schedpoint.CacheStores)
	home.mu.Lock()
	defer home.mu.Unlock()
	if c.closed.Load() {
		return nil, nil
	}
	if f := home.find(key); f != nil && f.detach() {
		idle = f
	}
	c.batches.noteChange(key)
	if e != nil {
		e.epoch = c.epoch()
	}
	return idle, c.set(key, e)
}

// InvalidateAll does what Invalidate does, for every key that is stored or being loaded
// when it is called. Nothing that was stored before the call is returned after it.
func (c *Cache[K, V]) InvalidateAll() {
	// Entries of an older epoch are not served any more, and no new ones are made of
	// them. A flight reads its epoch with the shard locked in which it will be found. So
	// forgetOlder finds and detaches it, or it began after the call.
	epoch := c.epochs.Add(1)
	schedpoint.At(schedpoint.CacheInvalid)
	c.flights.forgetOlder(epoch)
	c.onRemoveAll(c.clear())
}

// Refresh loads key even if a fresh value is stored, or joins a load in flight, and waits
// for the result. Meanwhile other callers still get the stored value. If the load fails,
// Refresh returns its error, and the stored value stays. Refresh returns the other errors
// that [Cache.Get] returns, and the load runs in the same goroutine as for Get.
func (c *Cache[K, V]) Refresh(ctx context.Context, key K) error {
	mustContext(ctx)
	var j joinResult[K, V]
	if err := c.flights.join(ctx, &request[K, V]{key: key, why: forced, mayRun: true}, &j); err != nil {
		return err
	}
	if a := j.answer; a != nil {
		return cmp.Or(a.loadErr, a.err)
	}
	r, err := j.fetch(ctx, nil)
	return cmp.Or(err, r.loadErr)
}

// InFlight returns an iterator over the loads in flight that can be joined. The iterator
// is not a snapshot, and nothing is locked while the body of the loop runs.
func (c *Cache[K, V]) InFlight() iter.Seq2[K, FlightInfo] { return c.flights.inFlight }

// Stats returns the counts and the size of the Cache.
func (c *Cache[K, V]) Stats() Stats {
	s := Stats{Evictions: c.store.Evictions(), Entries: c.store.Len(), InFlight: c.flights.len()}
	c.counts.add(&s)
	return s
}

// Close cancels the contexts of all loads, with the cause [ErrClosed], and removes all
// entries. All present and later callers get ErrClosed. A caller whose goroutine runs a
// load gets it when the load has returned. Close does not wait for loads to return; only
// the goroutines that run them remain after Close. OnRemove is called for each value that
// Close removes before it returns. A second Close does nothing. The error is always nil.
func (c *Cache[K, V]) Close() error {
	if !c.closed.Swap(true) { // its partners are lookup, with which every flight begins, and swap
		callers := c.flights.closeAll(ErrClosed)
		c.gathering.close()
		defer c.onRemoveAll(c.clear()) // when all are woken, even if a waker panics
		callers.Release()
	}
	return nil
}
