package dedup

import (
	"slices"
	"sync"
	"time"
)

// A gathering has the batch that new flights of single keys join; see
// [CacheOptions].MaxBatch. Its mutex may be locked while a shard is locked.
type gathering[K comparable, V any] struct {
	mu   sync.Mutex
	open *batch[K, V] // nil if the next flight makes one
}

// gathers reports whether the load of key is to be part of a batch. A NaN is not, because
// LoadMany could return no value for it.
func (c *Cache[K, V]) gathers(key K) bool { return c.o.MaxBatch > 0 && key == key }

// gather adds a new flight to the open batch. The shard is locked. If the batch is full, it is
// started, unless its timer has done so.
func (c *Cache[K, V]) gather(f *flight[K, V]) {
	g := &c.gathering
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		b := c.newBatch(f.ctx.Values)
		b.timer = time.AfterFunc(c.o.BatchDelay, b.run)
		g.open = b
	}
	b := g.open
	b.join()
	f.batch = b
	b.runs = append(b.runs, run[K, V]{f: f})
	if !b.isFull() {
		return
	}
	g.open = nil
	b.alive.Add(-1) // f is not canceled
	if b.timer.Stop() {
		start(b)
	}
}

// take closes the open batch and returns it, or nil if there is none. If b is not nil, it does
// so only if b is the open batch.
func (g *gathering[K, V]) take(b *batch[K, V]) *batch[K, V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil || b != nil && b != g.open {
		return nil
	}
	b, g.open = g.open, nil
	return b
}

// takeEmpty closes b if it is open and all its flights are canceled, and reports whether it
// did. Flights join with the mutex locked, so none has joined meanwhile.
func (g *gathering[K, V]) takeEmpty(b *batch[K, V]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != b || b.alive.Load() > 1 {
		return false
	}
	g.open = nil
	return true
}

// close cancels the open batch. Its flights have been closed.
func (g *gathering[K, V]) close() {
	if b := g.take(nil); b != nil {
		b.drop(ErrClosed)
	}
}

// drop cancels a batch that is no longer open and has not been loaded.
func (b *batch[K, V]) drop(cause error) {
	b.timer.Stop()
	b.leave(cause)
}

// complete closes b, which has a slot or is canceled, and drops the flights that all callers
// have left. No other code refers to these flights.
func (b *batch[K, V]) complete() {
	if b.c.gathering.take(b) != nil {
		b.leave(ErrAbandoned)
	}
	if b.timer != nil {
		b.runs = slices.DeleteFunc(b.runs, func(r run[K, V]) bool { return r.f.isCanceled() })
	}
}
