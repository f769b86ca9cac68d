package dedup

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A batch is a call of LoadMany, which is the load of several flights. Its context ends
// when all of them are canceled.
type batch[K comparable, V any] struct {
	c     *Cache[K, V]
	ctx   load.Context
	timer *time.Timer  // starts the batch, if flights of other calls may join it; see gather.go
	runs  []run[K, V]  // one for each flight; guarded by gathering.mu while the batch is open
	alive atomic.Int64 // the number of flights that are not canceled, and one more until the start

	twice  bool         // two flights have the same key
	epoch  uint32       // the cache's epoch when LoadMany was called
	broken bool         // LoadMany did not return
	vs     map[K]V      // what LoadMany returned; the user may have kept it, so it is not changed
	errs   KeyErrors[K] // what LoadMany returned as its error, if that is a KeyErrors
	byKey  bool         // it is a KeyErrors, maybe nil
	extras []extra[K, V]
	left   removals[K, V] // the values that the extras replaced

	changed    map[K]struct{} // keys put or invalidated since the start; guarded by batches
	allChanged bool           // InvalidateFunc was called since the start; guarded by batches
}

// newBatch returns a batch without flights whose context has values, or nil if there is no
// LoadMany.
func (c *Cache[K, V]) newBatch(values context.Context) *batch[K, V] {
	if c.o.LoadMany == nil {
		return nil
	}
	b := &batch[K, V]{c: c}
	b.ctx.Values = values
	b.alive.Store(1)
	return b
}

// isFull reports whether the batch has as many flights as MaxBatch allows.
func (b *batch[K, V]) isFull() bool {
	return b != nil && b.c.o.MaxBatch > 0 && len(b.runs) >= b.c.o.MaxBatch
}

// join counts a flight.
func (b *batch[K, V]) join() { b.alive.Add(1) }

// leave removes a canceled flight from the count. The last one cancels the load. If the
// batch gathers, it ends that too: the next flight begins another one. Nothing is locked.
func (b *batch[K, V]) leave(cause error) {
	switch left := b.alive.Add(-1); {
	case left == 0:
		b.ctx.Cancel(cause)
	case left == 1 && b.timer != nil && b.c.gathering.takeEmpty(b):
		b.drop(cause)
	}
}

// start starts the load, if there are flights. The caller is in line for all of them, except
// for those in the background. So if all are canceled by now, the reason is Close, or a Put or
// an Invalidate of keys that were loaded in the background.
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
			b.vs, b.errs, b.byKey, err = nil, nil, false, load.Panicked(recover())
		}
		b.finish(err)
	}()
	b.vs, err = b.load()
	b.readErrors(err)
	b.broken = false
}

// load waits for a slot, and calls LoadMany.
func (b *batch[K, V]) load() (map[K]V, error) {
	err := b.c.slots.Acquire(&b.ctx)
	b.complete()
	if err != nil {
		return nil, err
	}
	defer b.c.slots.Release(&b.ctx)
	if len(b.runs) == 0 {
		return nil, nil
	}
	keys := make([]K, len(b.runs))
	for i := range b.runs {
		keys[i] = b.runs[i].f.key
	}
	if b.timer != nil { // a key may have been invalidated and asked for again
		keys = unique(keys)
		b.twice = len(keys) < len(b.runs)
	}
	b.epoch = b.c.epoch()
	b.c.batches.begin(b)
	return b.c.o.LoadMany(&b.ctx, keys)
}

// readErrors sets errs and gone by the error of LoadMany. It may run user code, in methods of
// the error, so it is a part of the load.
func (b *batch[K, V]) readErrors(err error) {
	if err == nil {
		return
	}
	b.errs, b.byKey = errors.AsType[KeyErrors[K]](err)
	for i := range b.runs {
		if _, err := b.answer(b.runs[i].f.key, err); err != nil {
			b.runs[i].gone = errors.Is(err, ErrGone)
		}
	}
}

// finish ends the load for all its keys; see finish.go. Nothing runs after it in its
// goroutine.
func (b *batch[K, V]) finish(err error) {
	for i := range b.runs {
		r := &b.runs[i]
		if b.broken {
			r.gone = false
		} else {
			r.stage = returned
		}
		r.settle(b.answer(r.f.key, err))
	}
	defer func() { b.c.onRemoveAll(b.left) }()
	defer each(b.runs, (*run[K, V]).report)
	defer b.publish()
	defer each(b.unrequested(), b.prepareExtra)
	each(b.runs, (*run[K, V]).prepare)
}

// answer returns what LoadMany returned for key.
func (b *batch[K, V]) answer(key K, err error) (v V, _ error) {
	if err := b.errs[key]; err != nil {
		return v, err
	}
	v, ok := b.vs[key]
	switch {
	case ok:
		return v, nil
	case err != nil && !b.byKey:
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
