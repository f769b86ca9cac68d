package dedup

import (
	"context"
	"errors"
	"sync/atomic"
)

// GetMany returns the values of keys; a key that comes twice counts once. What
// is not there is loaded: with [CacheOptions].LoadMany in one call for all keys
// that nobody is loading yet, else with a load for each, at the same time.
//
// The map has the keys that succeeded. The error joins a *[KeyError] for each
// of the others, in the order of keys; it is nil if there are none. When ctx
// ends, the keys that are still missing fail with its error. A nil ctx panics.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K) (map[K]V, error) {
	mustContext(ctx)
	m := many[K, V]{c: c, ctx: ctx, got: make(map[K]V, len(keys))}
	keys = unique(keys) // panics here if one is unhashable, with nothing begun
	places := make([]place[K, V], len(keys))
	defer m.leave(places) // those whose turn to wait never came
	m.board(keys, places)
	var errs []error
	for i, key := range keys {
		if err := m.collect(key, places[i]); err != nil {
			errs = append(errs, &KeyError[K]{key, err})
		}
	}
	return m.got, errors.Join(errs...)
}

// unique returns keys in their order, without repetitions.
func unique[K comparable](keys []K) []K {
	seen := make(map[K]struct{}, len(keys))
	once := make([]K, 0, len(keys))
	for _, key := range keys {
		if _, ok := seen[key]; !ok {
			seen[key] = struct{}{}
			once = append(once, key)
		}
	}
	return once
}

// many is a call of GetMany.
type many[K comparable, V any] struct {
	c   *Cache[K, V]
	ctx context.Context
	got map[K]V
}

// A place is a seat, or why there is none.
type place[K comparable, V any] struct {
	seat[K, V]
	err error
}

// board gets into line for all keys before it starts what it has to: one batch,
// or a flight each. It starts that even if a method of the context's panics:
// others may have joined.
func (m *many[K, V]) board(keys []K, places []place[K, V]) {
	b := m.newBatch()
	defer b.start()
	for i, key := range keys {
		p := &places[i]
		p.seat, p.err = m.boardOne(key, b)
		if p.made && b != nil {
			b.flights = append(b.flights, p.f)
		} else if p.made {
			start(p.f)
		}
	}
}

func (m *many[K, V]) boardOne(key K, b *batch[K, V]) (s seat[K, V], err error) {
	if a, ok := m.c.look(key, forValue); ok {
		return seat[K, V]{answer: a}, nil
	}
	s, err = m.c.flights.board(m.ctx, request[K, V]{key: key, batch: b})
	if err != nil || s.f != nil {
		m.c.countMiss(s)
	}
	return s, err
}

// collect waits for one key.
func (m *many[K, V]) collect(key K, p place[K, V]) (err error) {
	if p.err != nil {
		return p.err
	}
	var v V
	if p.f == nil {
		v, err = m.c.serve(m.ctx, key, p.answer)
	} else if err = p.f.wait(m.ctx, p.c); err == nil {
		v, err = p.f.v, p.f.err
	}
	if err == nil {
		m.got[key] = v
	}
	return err
}

// leave gets out of all lines. It matters if the context or a wait panicked or
// ended the goroutine.
func (m *many[K, V]) leave(places []place[K, V]) {
	for _, p := range places {
		if p.f != nil {
			p.f.abandon(p.c)
		}
	}
}

// A batch is a call of LoadMany: the load of several flights. Its context ends
// when all of them are canceled.
type batch[K comparable, V any] struct {
	c       *Cache[K, V]
	ctx     loadContext
	flights []*flight[K, V]
	alive   atomic.Int64 // flights that are not canceled, and 1 until it starts
}

// newBatch returns nil if there is no LoadMany.
func (m *many[K, V]) newBatch() *batch[K, V] {
	if m.c.o.LoadMany == nil {
		return nil
	}
	b := &batch[K, V]{c: m.c}
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

// start is called while who made the batch is in line for all its flights. So
// only Close can have canceled them.
func (b *batch[K, V]) start() {
	if b != nil && len(b.flights) > 0 {
		b.leave(ErrClosed)
		start(b)
	}
}

// fly runs the load and lands every flight, whatever the load does.
func (b *batch[K, V]) fly() {
	rest := b.flights
	defer func() {
		if len(rest) > 0 {
			err := panicked(recover())
			for _, f := range rest {
				var none V
				f.land(none, err)
			}
		}
		b.ctx.finish()
	}()
	vs, err := b.load()
	for len(rest) > 0 {
		f := rest[0]
		rest = rest[1:] // before it lands: that is certain, and so is once
		f.do = func(context.Context) (V, error) { return answerOf(vs, err, f.key) }
		f.fly()
	}
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

func (b *batch[K, V]) load() (map[K]V, error) {
	if err := b.c.takeTurn(&b.ctx); err != nil {
		return nil, err
	}
	defer b.c.endTurn()
	keys := make([]K, len(b.flights))
	for i, f := range b.flights {
		keys[i] = f.key
	}
	return b.c.o.LoadMany(&b.ctx, keys)
}
