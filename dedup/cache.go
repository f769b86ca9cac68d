package dedup

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/dedup/internal/shelf"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/waitmap"
)

// A Cache loads what is missing, once however many ask for it, and keeps it.
// Make one with [NewCache], and Close it. It must not be copied.
//
// The return of a load, and a Put, happens before the return of every call that
// sees its value.
type Cache[K comparable, V any] struct {
	shelf   shelf.Shelf[K, *entry[V]]
	closed  atomic.Bool
	epochs  atomic.Uint32 // how often InvalidateAll was called
	counts  counts
	flights flights[K, V]
	loader  Loader[K, V]
	o       CacheOptions[K, V]
	slots   *loadSlots // of MaxLoads; nil: no bound
	batches batches[K, V]

	perishable bool // entries may expire; see tidy for the rest
	tidying    sync.Mutex
	stored     atomic.Int64
	tidyAt     atomic.Int64
}

// NewCache returns an empty cache that loads with load. A nil o is the same as
// new(CacheOptions[K, V]). The error names all that is wrong.
func NewCache[K comparable, V any](load Loader[K, V], o *CacheOptions[K, V]) (*Cache[K, V], error) {
	if o == nil {
		o = new(CacheOptions[K, V])
	}
	if err := errors.Join(checkLoader(load), o.check()); err != nil {
		return nil, err
	}
	c := &Cache[K, V]{loader: load, o: *o}
	c.perishable = o.TTL > 0 || o.TTLOf != nil || o.ErrorTTL > 0 || o.ErrorTTLOf != nil
	c.tidyAt.Store(fewest)
	c.flights.host, c.flights.most = c, o.MaxWaiters
	c.slots = newLoadSlots(o.MaxLoads)
	if o.MaxEntries == 0 && o.MaxWeight == 0 {
		c.shelf = shelf.NewOpen[K, *entry[V]]()
		return c, nil
	}
	var err error
	c.shelf, err = shelf.NewBounded[K](shelf.Bounds[*entry[V]]{
		Entries: o.MaxEntries,
		Weight:  o.MaxWeight,
		Weigh:   func(e *entry[V]) uint32 { return e.weight },
	})
	if err != nil {
		return nil, errors.Join(errors.New("dedup: CacheOptions"), err)
	}
	return c, nil
}

// Get returns the value of key. If it is not there, Get loads it, or joins the
// load that is under way, and waits.
//
// A value that is there is returned whatever the state of ctx. A caller whose
// ctx ends leaves at once, with an error that matches ctx.Err() and
// context.Cause(ctx); the result wins if both came. One whose ctx has ended
// before starts and joins nothing. After Close, the error is [ErrClosed]. Under the
// context of a load that Get would wait for, it is [ErrCycle]. A nil ctx panics.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	if e, ok := c.shelf.Get(key); ok && e.fresh == never && e.gen == c.epoch() && !c.closed.Load() {
		c.counts.any().hits.Add(1)
		return e.v, nil
	}
	return c.getSlow(ctx, key)
}

func (c *Cache[K, V]) getSlow(ctx context.Context, key K) (v V, err error) {
	if a, ok := c.look(key, forValue); ok {
		return c.serve(ctx, key, a)
	}
	s, err := c.flights.board(ctx, request[K, V]{key: key})
	if err == nil && s.f == nil {
		return c.serve(ctx, key, *s.answer)
	}
	c.countMiss(s)
	if err != nil {
		return v, err
	}
	if s.made {
		start(s.f)
	}
	if err := s.wait(ctx); err != nil {
		return v, err
	}
	return s.f.v, s.f.err
}

// serve returns an answer of the shelf's, and has it renewed if that is due.
func (c *Cache[K, V]) serve(ctx context.Context, key K, a answer[V]) (V, error) {
	if a.closed {
		return a.v, a.err
	}
	n := c.counts.any()
	n.hits.Add(1)
	if a.stale {
		n.stale.Add(1)
	}
	if a.renew {
		if f := c.flights.launch(ctx, request[K, V]{key: key, why: forFreshness}); f != nil {
			start(f)
		}
	}
	return a.v, a.err
}

// countMiss counts a key that nothing was stored for.
func (c *Cache[K, V]) countMiss(s seat[K, V]) {
	n := c.counts.any()
	n.misses.Add(1)
	if s.f != nil && !s.made {
		n.coalesced.Add(1)
	}
}

// look is what the shelf says, if that will do.
func (c *Cache[K, V]) look(key K, why purpose) (a answer[V], ok bool) {
	if c.closed.Load() {
		return answer[V]{err: ErrClosed, closed: true}, true
	}
	if why == forced {
		return a, false
	}
	if e, there := c.shelf.Get(key); there {
		a, ok = c.read(e)
	}
	return a, ok && !(a.renew && why == forFreshness)
}

// load runs the loader once it has a slot.
func (c *Cache[K, V]) load(ctx *loadContext, key K) (v V, err error) {
	if err := c.slots.acquire(ctx); err != nil {
		return v, err
	}
	defer c.slots.release(ctx)
	return c.loader(ctx, key)
}

func (c *Cache[K, V]) epoch() uint32 { return c.epochs.Load() }

// asks reports whether functions of the user's say how long things are kept.
func (c *Cache[K, V]) asks() bool {
	return c.o.TTLOf != nil || c.o.ErrorTTLOf != nil || c.o.Weigh != nil
}

// old returns the entry of an epoch that is there.
func (c *Cache[K, V]) old(key K, gen uint32) *entry[V] {
	if e, ok := c.shelf.Get(key); ok && e.gen == gen {
		return e
	}
	return nil
}

// instead returns the value that may be served instead of a load's error.
func (c *Cache[K, V]) instead(key K, gen uint32) (v V, ok bool) {
	if e := c.old(key, gen); e != nil && c.excuses(e, clock()) {
		return e.v, true
	}
	return v, false
}

// publish stores what a flight gave, in the one moment in which nobody can
// detach it. After an error the old value stays, if it may be served still.
func (c *Cache[K, V]) publish(f *flight[K, V]) {
	e := f.entry
	if f.loadErr != nil {
		if e = c.after(e, c.old(f.key, f.gen), clock()); e == nil {
			return
		}
	}
	if e != nil {
		e.gen = f.gen
	}
	c.set(f.key, e)
}

// set puts an entry on the shelf. With none the key is not to be stored.
func (c *Cache[K, V]) set(key K, e *entry[V]) {
	if e == nil {
		c.shelf.Delete(key)
	} else {
		c.shelf.Set(key, e)
	}
}

// landed counts a load.
func (c *Cache[K, V]) landed(f *flight[K, V]) {
	n := c.counts.any()
	n.loads.Add(1)
	n.loadTime.Add(uint64(f.took))
	if f.loadErr != nil {
		n.loadErrors.Add(1)
	}
	if f.stale {
		n.stale.Add(uint64(f.got))
	}
}

func (c *Cache[K, V]) report(f *flight[K, V]) {
	if f.entry != nil {
		c.tidy(1)
	}
	if c.o.OnLoad != nil {
		c.o.OnLoad(LoadInfo[K]{Key: f.key, Took: f.took, Err: f.loadErr, Waiters: int(f.got)})
	}
}

// Peek returns the value of key if it is there and fresh. It loads nothing and
// counts nothing.
func (c *Cache[K, V]) Peek(key K) (v V, ok bool) {
	if a, ok := c.look(key, forValue); ok && !a.stale && a.err == nil {
		return a.v, true
	}
	return v, false
}

// Put stores v. A load of key that is under way goes on for its callers, but
// its result is not stored. After Close, Put does nothing.
//
// TTLOf and Weigh run with nothing held; if they panic, so does Put, and
// nothing has changed.
func (c *Cache[K, V]) Put(key K, v V) {
	c.replace(key, c.prepareValue(key, v))
	c.tidy(1)
}

// Invalidate removes what is stored for key. A load of key that is under way
// goes on for its callers, but its result is not stored, and later callers
// start a new one.
func (c *Cache[K, V]) Invalidate(key K) { c.replace(key, nil) }

// replace sets the key's flight adrift and changes the shelf, while the key is
// on hold: no flight can begin in between that would not see the change, or
// whose result would undo it.
func (c *Cache[K, V]) replace(key K, e *entry[V]) {
	if c.closed.Load() || key != key { // NaN: nobody could find it
		return
	}
	var idle *flight[K, V]
	c.flights.m.Compute(key, func(f *flight[K, V], there bool) (*flight[K, V], waitmap.Op) {
		if there && f.detach() {
			idle = f
		}
		c.batches.changed(key)
		if e != nil {
			e.gen = c.epoch()
		}
		yield.At(yield.CacheStores)
		c.set(key, e)
		return nil, waitmap.Remove
	})
	c.lookAgain(key, e)
	if idle != nil {
		idle.cancel(ErrAbandoned)
	}
}

// lookAgain comes after a store of e that no flight made. Its partners are Close
// and InvalidateAll, which clear the shelf after they closed the cache or began an
// epoch: one of the two removes the entry.
func (c *Cache[K, V]) lookAgain(key K, e *entry[V]) {
	if e != nil && (c.closed.Load() || e.gen != c.epoch()) {
		c.shelf.DeleteIf(key, e)
	}
}

// InvalidateAll is Invalidate for every key that is stored or being loaded when
// it is called: nothing that was stored before is seen after it.
//
// Each call begins an epoch. Entries of an older one are not seen any more, nor
// is any made of them. A flight has the epoch that it finds once it is in the
// map, so either it is found there and detached, or it began after the call.
func (c *Cache[K, V]) InvalidateAll() {
	gen := c.epochs.Add(1)
	yield.At(yield.CacheInvalid)
	c.flights.cutOffAll(gen)
	c.shelf.Clear()
}

// Refresh loads key now, even if a fresh value is there, or joins the load that
// is under way. Others go on getting the old value meanwhile. If the load
// fails, Refresh returns its error and the old value stays. Other errors are
// those of [Cache.Get].
func (c *Cache[K, V]) Refresh(ctx context.Context, key K) error {
	mustContext(ctx)
	s, err := c.flights.board(ctx, request[K, V]{key: key, why: forced})
	if err != nil {
		return err
	}
	if a := s.answer; a != nil {
		if a.loadErr != nil {
			return a.loadErr
		}
		return a.err
	}
	if s.made {
		start(s.f)
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.f.loadErr
}

// InFlight returns an iterator over the loads that are under way and can be
// joined. It is not a snapshot; nothing is held while the loop's body runs.
func (c *Cache[K, V]) InFlight() iter.Seq2[K, FlightInfo] { return c.flights.inFlight }

// Stats returns the counts.
func (c *Cache[K, V]) Stats() Stats {
	s := Stats{Evictions: c.shelf.Evictions(), Entries: c.shelf.Len(), InFlight: c.flights.len()}
	c.counts.add(&s)
	return s
}

// Close ends all loads' contexts, with the cause [ErrClosed], and gives that
// error to all callers, now and later. It does not wait for loads to return:
// their goroutines are all that is left when it does. A second Close does
// nothing. The error is always nil.
func (c *Cache[K, V]) Close() error {
	if !c.closed.Swap(true) { // its partners are look, which every flight begins with, and lookAgain
		callers := c.flights.endAll(ErrClosed)
		c.shelf.Clear()
		callers.Release() // when all is done: a waker may panic
	}
	return nil
}
