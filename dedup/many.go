package dedup

import (
	"context"
	"errors"
)

// GetMany returns the values of keys; a key that comes twice counts once. What
// is not there is loaded: with [CacheOptions].LoadMany in one call for all keys
// that nobody is loading yet, else with a load for each, at the same time. Stale
// values are returned at once; the loads that replace them are part of that call.
//
// The map has the keys that succeeded. The error joins a *[KeyError] for each
// of the others, in the order of keys; it is nil if there are none. When ctx
// ends, the keys that are still missing fail with its error. A nil ctx panics.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K) (map[K]V, error) {
	mustContext(ctx)
	m := many[K, V]{c: c, ctx: ctx, got: make(map[K]V, len(keys))}
	keys = unique(keys) // panics here if one is unhashable, with nothing begun
	list := make([]manyKey[K, V], len(keys))
	defer m.leave(list) // those whose turn to wait never came
	m.board(keys, list)
	var errs []error
	for i, key := range keys {
		if err := m.collect(key, list[i]); err != nil {
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

// A manyKey is a key of GetMany: its seat, or why it has none.
type manyKey[K comparable, V any] struct {
	seat[K, V]
	hit answer[V] // what was there, for seat.answer to point to
	err error
}

// board gets into line for all keys before it starts what it has to: one batch,
// or a flight each. It starts that even if a method of the context's panics:
// others may have joined.
func (m *many[K, V]) board(keys []K, list []manyKey[K, V]) {
	b := m.newBatch()
	defer b.start()
	for i, key := range keys {
		p := &list[i]
		p.seat, p.err = m.boardOne(key, b, &p.hit)
		if p.made {
			m.begin(p.f, b)
		}
	}
}

// begin starts a flight, or has the batch do so.
func (m *many[K, V]) begin(f *flight[K, V], b *batch[K, V]) {
	if b != nil {
		b.flights = append(b.flights, f)
	} else {
		start(f)
	}
}

func (m *many[K, V]) boardOne(key K, b *batch[K, V], hit *answer[V]) (s seat[K, V], err error) {
	if a, ok := m.c.look(key, forValue); ok {
		if *hit = a; a.renew {
			m.renew(key, b)
			hit.renew = false
		}
		return seat[K, V]{answer: hit}, nil
	}
	s, err = m.c.flights.board(m.ctx, request[K, V]{key: key, batch: b})
	if err != nil || s.f != nil {
		m.c.countMiss(s)
	}
	return s, err
}

// renew begins a load in the background.
func (m *many[K, V]) renew(key K, b *batch[K, V]) {
	if f := m.c.flights.launch(m.ctx, request[K, V]{key: key, why: forFreshness, batch: b}); f != nil {
		m.begin(f, b)
	}
}

// collect waits for one key.
func (m *many[K, V]) collect(key K, p manyKey[K, V]) (err error) {
	if p.err != nil {
		return p.err
	}
	var v V
	if p.f == nil {
		v, err = m.c.serve(m.ctx, key, *p.answer)
	} else if err = p.wait(m.ctx); err == nil {
		v, err = p.f.v, p.f.err
	}
	if err == nil {
		m.got[key] = v
	}
	return err
}

// leave gets out of all lines. It matters if the context or a wait panicked or
// ended the goroutine.
func (m *many[K, V]) leave(list []manyKey[K, V]) {
	for _, p := range list {
		if p.f != nil {
			p.abandon()
		}
	}
}
