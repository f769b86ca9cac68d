package dedup

import (
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A batch is a call of LoadMany, which is the load of several flights. Its context ends
// when all of them are canceled.
type batch[K comparable, V any] struct {
	c     *Cache[K, V]
	ctx   load.Context
	runs  []run[K, V]  // of its flights
	alive atomic.Int64 // the number of flights that are not canceled, and one more until the start

	epoch   uint32  // the cache's epoch when the batch was made
	broken  bool    // LoadMany did not return
	vs      map[K]V // what LoadMany returned, which belongs to the user
	extras  []extra[K, V]
	changed map[K]struct{} // keys put or invalidated since the start; guarded by batches
}

// newBatch returns a batch without flights, or nil if there is no LoadMany.
func (m *many[K, V]) newBatch() *batch[K, V] {
	if m.c.o.LoadMany == nil {
		return nil
	}
	b := &batch[K, V]{c: m.c, epoch: m.c.epoch()}
	b.ctx.Values = load.ValuesOf(m.ctx)
	b.alive.Store(1)
	return b
}

// join counts a flight.
func (b *batch[K, V]) join() { b.alive.Add(1) }

// leave removes a canceled flight from the count. The last one cancels the load.
func (b *batch[K, V]) leave(cause error) {
	if b.alive.Add(-1) == 0 {
		b.ctx.Cancel(cause)
	}
}

// start starts the load, if there are flights. The caller is in line for all of them,
// except for those in the background. So if all are canceled by now, it was by Close, or
// because a Put or an Invalidate made loads in the background useless.
func (b *batch[K, V]) start() {
	if b == nil || len(b.runs) == 0 {
		return
	}
	cause := ErrAbandoned
	if b.c.closed.Load() {
		cause = ErrClosed
	}
	b.leave(cause)
	start(b)
}

// run runs the load and finishes every flight, whatever the load does.
func (b *batch[K, V]) run() {
	var err error
	b.broken = true
	defer func() {
		if b.broken {
			b.vs, err = nil, load.Panicked(recover())
		}
		b.finish(err)
	}()
	b.vs, err = b.load()
	b.broken = false
}

// load calls LoadMany when it has a slot.
func (b *batch[K, V]) load() (map[K]V, error) {
	if err := b.c.slots.Acquire(&b.ctx); err != nil {
		return nil, err
	}
	defer b.c.slots.Release(&b.ctx)
	keys := make([]K, len(b.runs))
	for i := range b.runs {
		keys[i] = b.runs[i].f.key
	}
	b.c.batches.begin(b)
	return b.c.o.LoadMany(&b.ctx, keys)
}

// finish ends the load for all its keys; see finish.go. Nothing runs after it in its
// goroutine.
func (b *batch[K, V]) finish(err error) {
	for i := range b.runs {
		r := &b.runs[i]
		if !b.broken {
			r.stage = returned
		}
		r.settle(answerOf(b.vs, err, r.f.key))
	}
	defer each(b.runs, (*run[K, V]).report)
	defer b.publish()
	defer each(b.unrequested(), b.prepareExtra)
	each(b.runs, (*run[K, V]).prepare)
}

// answerOf returns what LoadMany returned for key.
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

// publish publishes the results and wakes all callers.
func (b *batch[K, V]) publish() {
	var lines waitq.List[struct{}]
	for i := range b.runs {
		lines.Join(b.runs[i].publish())
		b.runs[i].f.ctx.End()
	}
	if b.c.sweepDue(b.storeExtras()) {
		defer b.c.sweep()
	}
	b.ctx.End()
	release(lines)
}
