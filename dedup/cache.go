package dedup

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/dedup/internal/shelf"
	"github.com/vigil-go/vigil/internal/waitq"
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
	counts  counts
	flights flights[K, V]
	loader  Loader[K, V]
	o       CacheOptions[K, V]
	turns   chan struct{} // of loads that run, MaxLoads at most; nil: no bound

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
	if o.MaxLoads > 0 {
		c.turns = make(chan struct{}, o.MaxLoads)
	}
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
// before starts and joins nothing. After Close, the error is [ErrClosed]. A nil
// ctx panics.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	if e, ok := c.shelf.Get(key); ok && e.fresh == never && !c.closed.Load() {
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
		return c.serve(ctx, key, s.answer)
	}
	c.countMiss(s)
	if err != nil {
		return v, err
	}
	if s.made {
		start(s.f)
	}
	if err := s.f.wait(ctx, s.c); err != nil {
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
		c.flights.launch(ctx, request[K, V]{key: key, why: forFreshness})
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

// load runs the loader when it is its turn.
func (c *Cache[K, V]) load(ctx context.Context, key K) (v V, err error) {
	if err := c.takeTurn(ctx); err != nil {
		return v, err
	}
	defer c.endTurn()
	if v, err = c.loader(ctx, key); err != nil {
		var none V
		return none, err
	}
	return v, nil
}

// takeTurn waits until one more load may run. Those who wait on a channel are
// served in their order.
func (c *Cache[K, V]) takeTurn(ctx context.Context) error {
	if c.turns == nil {
		return nil
	}
	select {
	case c.turns <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return waitq.ContextError(ctx)
	}
}

func (c *Cache[K, V]) endTurn() {
	if c.turns != nil {
		<-c.turns
	}
}

// publish stores what a flight gave, in the one moment in which nobody can
// detach it. After an error the old value stays, and is the result if it is
// not too old.
func (c *Cache[K, V]) publish(f *flight[K, V]) {
	if f.err == nil {
		c.set(f.key, f.entry)
		return
	}
	now := clock()
	old, _ := c.shelf.Get(f.key)
	if old == nil || c.dead(old, now) {
		old = new(entry[V])
	}
	if e := f.entry; e != nil {
		e.v, e.has, e.fresh, e.weight = old.v, old.has, old.fresh, max(old.weight, e.weight)
		c.shelf.Set(f.key, e)
	}
	if c.excuses(old, now) {
		f.v, f.err = old.v, nil
		c.counts.any().stale.Add(uint64(f.line.Len()))
	}
}

// set puts an entry on the shelf. With none the key is not to be stored.
func (c *Cache[K, V]) set(key K, e *entry[V]) {
	if e == nil {
		c.shelf.Delete(key)
	} else {
		c.shelf.Set(key, e)
	}
}

// landed counts a load and tells of it.
func (c *Cache[K, V]) landed(f *flight[K, V]) {
	n := c.counts.any()
	n.loads.Add(1)
	n.loadTime.Add(uint64(f.took))
	if f.loadErr != nil {
		n.loadErrors.Add(1)
	}
	if f.entry != nil {
		c.tidy()
	}
	if c.o.OnLoad != nil {
		defer func() { _ = recover() }() // nobody could, and the load is over
		c.o.OnLoad(LoadInfo[K]{Key: f.key, Took: f.took, Err: f.loadErr, Waiters: f.got})
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
	c.tidy()
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
		c.set(key, e)
		return nil, waitmap.Remove
	})
	if idle != nil {
		idle.cancel(ErrAbandoned)
	}
}

// InvalidateAll is Invalidate for every key that is stored or being loaded when
// it is called.
//
// First the flights, then the shelf: a flight that began before the call either
// landed before it was detached, and then what it stored is on the shelf to be
// cleared, or it never stores anything. One that began after that loads what
// is new.
func (c *Cache[K, V]) InvalidateAll() {
	for f := range c.flights.m.Values() {
		c.flights.cutOff(f)
	}
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
	if s.f == nil {
		return s.answer.err
	}
	if s.made {
		start(s.f)
	}
	if err := s.f.wait(ctx, s.c); err != nil {
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
	if !c.closed.Swap(true) { // its partner is look, which every flight begins with
		c.flights.endAll(ErrClosed)
		c.shelf.Clear()
	}
	return nil
}
