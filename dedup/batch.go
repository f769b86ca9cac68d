package dedup

import (
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
)

// A batch is a call of LoadMany: the load of several flights. Its context ends
// when all of them are canceled.
type batch[K comparable, V any] struct {
	c       *Cache[K, V]
	ctx     loadContext
	flights []*flight[K, V]
	alive   atomic.Int64 // flights that are not canceled, and 1 until it starts

	gen     uint32  // the cache's epoch when it was made
	broken  bool    // LoadMany did not return
	vs      map[K]V // what it gave; the user's
	extras  []extra[K, V]
	changed map[K]struct{} // put or invalidated since it began; guarded by batches
}

// newBatch returns nil if there is no LoadMany.
func (m *many[K, V]) newBatch() *batch[K, V] {
	if m.c.o.LoadMany == nil {
		return nil
	}
	b := &batch[K, V]{c: m.c, gen: m.c.epoch()}
	b.ctx.values = valuesOf(m.ctx)
	b.alive.Store(1)
	return b
}

func (b *batch[K, V]) join() { b.alive.Add(1) }

func (b *batch[K, V]) leave(cause error) {
	if b.alive.Add(-1) == 0 {
		b.ctx.cancel(cause)
	}
}

// start is called while whoever made the batch is in line for all its flights,
// but for those that nobody waits for. So if all are canceled by now, it was by
// Close, or they were for nothing.
func (b *batch[K, V]) start() {
	if b == nil || len(b.flights) == 0 {
		return
	}
	cause := ErrAbandoned
	if b.c.closed.Load() {
		cause = ErrClosed
	}
	b.leave(cause)
	start(b)
}

// fly runs the load and lands every flight, whatever the load does.
func (b *batch[K, V]) fly() {
	var err error
	b.broken = true
	defer func() {
		if b.broken {
			b.vs, err = nil, panicked(recover())
		}
		b.land(err)
	}()
	b.vs, err = b.load()
	b.broken = false
}

func (b *batch[K, V]) load() (map[K]V, error) {
	if err := b.c.slots.acquire(&b.ctx); err != nil {
		return nil, err
	}
	defer b.c.slots.release(&b.ctx)
	keys := make([]K, len(b.flights))
	for i, f := range b.flights {
		keys[i] = f.key
	}
	b.c.batches.begin(b)
	return b.c.o.LoadMany(&b.ctx, keys)
}

// land is the end of the load, for all its keys: see land.go. It runs as the last
// of its goroutine.
func (b *batch[K, V]) land(err error) {
	for _, f := range b.flights {
		if !b.broken {
			f.stage = returned
		}
		f.settle(answerOf(b.vs, err, f.key))
	}
	defer each(b.flights, (*flight[K, V]).report)
	defer b.finish()
	defer each(b.unasked(), b.prepareExtra)
	each(b.flights, (*flight[K, V]).prepare)
}

// answerOf is what LoadMany gave for a key.
func answerOf[K comparable, V any](vs map[K]V, err error, key K) (V, error) {
	v, ok := vs[key]
	switch {
	case ok:
		return v, nil
	case err != nil:
		return v, err
	default:
		return v, ErrNotLoaded
	}
}

// finish publishes the results and wakes all callers.
func (b *batch[K, V]) finish() {
	var lines waitq.List[struct{}]
	for _, f := range b.flights {
		lines.Join(f.publish())
		f.ctx.finish()
	}
	defer b.c.tidy(b.storeExtras())
	b.ctx.finish()
	release(lines)
}
