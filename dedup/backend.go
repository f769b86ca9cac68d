package dedup

import (
	"time"

	"github.com/vigil-go/vigil/internal/load"
)

// A backend is a Cache as its flights see it.
type backend[K comparable, V any] interface {
	// lookup answers for a key from the store, if it can. The key's shard is locked.
	lookup(key K, why purpose) (answer[V], bool)
	// load calls the loader.
	load(ctx *load.Context, key K) (V, error)
	// gathers reports whether the load of key is to be part of a batch.
	gathers(key K) bool
	// gather adds a new flight to the batch that gathers. The flight's shard is locked.
	gather(f *flight[K, V])
	// epoch returns the number of calls of InvalidateAll.
	epoch() uint32
	// staleValue returns an old value of that epoch that may be served instead of a
	// load's error. The key's flight is joinable and its shard is locked.
	staleValue(key K, epoch uint32) (V, bool)
	// hasCallbacks reports whether prepare calls user code.
	hasCallbacks() bool
	// prepare makes the entry of a load's result, or nil if it is not to be kept.
	// With callbacks it may panic or exit, like load.
	prepare(key K, v V, err error) *entry[V]
	// publish stores the entry of a flight that is joinable and whose shard is locked. It
	// returns what has left the store and has to be reported, or nil.
	publish(f *flight[K, V], e *entry[V]) *removal[K, V]
	// loadDone counts a load that has ended, and the stale values that it served. It
	// comes after publish, with nothing locked. deepStack says that the caller's stack
	// has room for the maintenance of the store.
	loadDone(took time.Duration, failed bool, stale int32, deepStack bool)
	// needsDeepStack reports whether publish needs a larger stack than that of a new
	// goroutine, and there are no callbacks.
	needsDeepStack() bool
	// sweepDue counts n stores and reports whether it is time to sweep.
	sweepDue(n int) bool
	// hasOnLoad reports whether report calls user code.
	hasOnLoad() bool
	// sweep removes entries that have expired.
	sweep()
	// report calls OnLoad. It may panic or exit.
	report(info LoadInfo[K])
	// onRemove calls OnRemove, unless r is nil. It may exit.
	onRemove(r *removal[K, V])
}

// A purpose is what a flight is made for.
type purpose uint8

const (
	forValue     purpose = iota // the value is missing
	forFreshness                // a stale value was served
	forced                      // Refresh, whatever is stored
)

// An answer is what a caller gets without a load.
type answer[V any] struct {
	v       V
	err     error
	loadErr error // of the load, which may have failed though err is nil
	stale   bool
	renew   bool  // a load in the background is due
	closed  bool  // err is ErrClosed, of this cache
	at      int64 // when the load returned v; zero if v comes from the store
}

// lookup answers from the store, if that will do for the purpose.
func (c *Cache[K, V]) lookup(key K, why purpose) (a answer[V], ok bool) {
	if c.closed.Load() {
		return answer[V]{err: ErrClosed, closed: true}, true
	}
	if why == forced {
		return a, false
	}
	if e, there := c.store.Get(key); there {
		a, ok = c.read(e)
	}
	return a, ok && !(a.renew && why == forFreshness)
}

// load calls the loader, or ReloadWith, when it has a slot.
func (c *Cache[K, V]) load(ctx *load.Context, key K) (v V, err error) {
	if err := c.slots.Acquire(ctx); err != nil {
		return v, err
	}
	defer c.slots.Release(ctx)
	if c.o.ReloadWith != nil {
		if old := c.old(key, c.epoch()); old != nil && old.hasValue() {
			return c.o.ReloadWith(ctx, key, old.v)
		}
	}
	return c.loader(ctx, key)
}

// epoch returns the number of calls of InvalidateAll. An entry of another epoch is not
// served.
func (c *Cache[K, V]) epoch() uint32 { return c.epochs.Load() }

// hasCallbacks reports whether user code decides how long to keep a result.
func (c *Cache[K, V]) hasCallbacks() bool {
	return c.o.TTLOf != nil || c.o.ErrorTTLOf != nil || c.o.Weigh != nil
}

// old returns the entry of key if it is of that epoch, or nil.
func (c *Cache[K, V]) old(key K, epoch uint32) *entry[V] {
	if e, ok := c.store.Get(key); ok && e.epoch == epoch {
		return e
	}
	return nil
}

// staleValue returns the value that may be served instead of a load's error.
func (c *Cache[K, V]) staleValue(key K, epoch uint32) (v V, ok bool) {
	if e := c.old(key, epoch); e != nil && c.mayServeStale(e, clock()) {
		return e.v, true
	}
	return v, false
}

// publish stores the result of a flight, which cannot be detached meanwhile. After an
// error the old value stays if it may still be served.
func (c *Cache[K, V]) publish(f *flight[K, V], e *entry[V]) *removal[K, V] {
	switch {
	case f.gone:
		if e != nil {
			e.epoch = f.epoch
		}
		return c.removalOf(f.key, c.set(f.key, e), RemoveInvalidated)
	case f.loadErr != nil:
		return c.publishError(f, e)
	}
	var old *entry[V]
	if e == nil { // not by set: that would need more of a load's stack
		old, _ = c.store.Delete(f.key)
	} else {
		e.epoch = f.epoch
		e.storedAt(f.started + int64(f.took))
		old, _ = c.store.Set(f.key, e)
	}
	return c.removalOf(f.key, old, RemoveReplaced)
}

// publishError is publish after an error. The old value may be evicted or swept meanwhile,
// and must not come back then. So an entry that has it replaces only the entry that had it.
func (c *Cache[K, V]) publishError(f *flight[K, V], e *entry[V]) *removal[K, V] {
	old := c.old(f.key, f.epoch)
	next := c.entryAfterError(e, old, clock())
	if next == nil {
		return nil
	}
	next.epoch = f.epoch
	if next.hasValue() {
		if next.used != nil && f.callers() > 0 {
			next.used.Store(clock())
		}
		if c.store.Replace(f.key, old, next) || e == nil {
			return nil
		}
		next = next.withoutValue()
	}
	before, _ := c.store.Set(f.key, next)
	return c.removalOf(f.key, before, RemoveReplaced)
}

// loadDone counts a load that has ended.
func (c *Cache[K, V]) loadDone(took time.Duration, failed bool, stale int32, deepStack bool) {
	c.store.Maintain(deepStack)
	n := c.counts.any()
	n.loads.Add(1)
	n.loadTime.Add(uint64(took))
	if failed {
		n.loadErrors.Add(1)
	}
	if stale > 0 {
		n.stale.Add(uint64(stale))
	}
}

func (c *Cache[K, V]) hasOnLoad() bool { return c.o.OnLoad != nil }

func (c *Cache[K, V]) report(info LoadInfo[K]) { c.o.OnLoad(info) }

func (c *Cache[K, V]) needsDeepStack() bool {
	return c.bounded && !c.hasCallbacks() && !c.hasOnLoad() && c.o.OnRemove == nil
}
