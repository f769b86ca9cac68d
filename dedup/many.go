package dedup

import (
	"cmp"
	"context"
	"errors"

	"github.com/vigil-go/vigil/internal/load"
)

// GetMany returns the values of keys. Repeated keys count once. GetMany joins the loads of
// missing keys that are in flight, and loads the other missing keys: with one call of
// [CacheOptions].LoadMany if that is set, or with several if there are more keys than
// MaxBatch, otherwise with one load per key, all at the same time. The loads do not run in
// the caller's goroutine. During StaleWhileRevalidate stale values are returned at once, and
// loads in the background, or the same calls of LoadMany, replace them.
//
// The map contains the keys that succeeded. The error joins a *[KeyError] for each of the
// other keys, in the order of keys, and is nil if there are none. When ctx ends, the keys
// that are still missing fail with its error. GetMany panics if ctx is nil.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K) (map[K]V, error) {
	mustContext(ctx)
	m := many[K, V]{c: c, ctx: ctx, got: make(map[K]V, len(keys))}
	err := m.run(keys)
	return m.got, err
}

// RefreshMany does what [Cache.Refresh] does, for several keys: it loads keys even if
// fresh values are stored, or joins their loads in flight, and waits for the results. The
// keys are loaded like those that [Cache.GetMany] does not find. The error joins a
// *[KeyError] for each key whose load failed, in the order of keys. RefreshMany panics if
// ctx is nil.
func (c *Cache[K, V]) RefreshMany(ctx context.Context, keys []K) error {
	mustContext(ctx)
	m := many[K, V]{c: c, ctx: ctx, why: forced}
	return m.run(keys)
}

// run gets or refreshes keys.
func (m *many[K, V]) run(keys []K) error {
	keys = unique(keys) // panics if a key is unhashable, before any load begins
	list := make([]manyKey[K, V], len(keys))
	defer m.leave(list) // for keys that were not waited for
	m.joinAll(keys, list)
	var errs []error
	for i, key := range keys {
		if err := m.collect(key, &list[i]); err != nil {
			errs = append(errs, &KeyError[K]{key, err})
		}
	}
	return errors.Join(errs...)
}

// unique returns keys in their order without repetitions.
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

// many is one call of GetMany or RefreshMany.
type many[K comparable, V any] struct {
	c   *Cache[K, V]
	ctx context.Context
	why purpose // forValue or forced
	got map[K]V // by GetMany
}

// A manyKey is a key of such a call with the result of joining its flight, or the error.
type manyKey[K comparable, V any] struct {
	joinResult[K, V]
	hit answer[V] // the stored value; answer points to it
	err error
}

// joinAll joins the line of all keys of a batch before it starts the batch. The batch starts
// even if a method of the context panics, because other callers may have joined its flights.
func (m *many[K, V]) joinAll(keys []K, list []manyKey[K, V]) {
	values := load.ValuesOf(m.ctx)
	b := m.c.newBatch(values)
	defer func() { b.start() }()
	for i, key := range keys {
		if b.isFull() {
			b.start()
			b = m.c.newBatch(values)
		}
		b := b
		if key != key { // a NaN, for which LoadMany could return no value
			b = nil
		}
		p := &list[i]
		p.err = m.joinOne(key, b, p)
		if p.created != nil {
			m.begin(p.created, b)
		}
	}
}

// begin starts a flight, or adds it to the batch.
func (m *many[K, V]) begin(t *backgroundFlight[K, V], b *batch[K, V]) {
	if b != nil {
		b.runs = append(b.runs, run[K, V]{f: &t.flight})
	} else {
		start(t)
	}
}

// joinOne looks a key up, or joins its line.
func (m *many[K, V]) joinOne(key K, b *batch[K, V], p *manyKey[K, V]) error {
	if a, ok := m.c.lookup(key, m.why); ok {
		p.hit, p.answer = a, &p.hit
		if a.renew {
			m.renew(key, b)
			p.hit.renew = false
		}
		return nil
	}
	err := m.c.flights.join(m.ctx, &request[K, V]{key: key, why: m.why, batch: b}, &p.joinResult)
	if m.why == forValue && (err != nil || p.f != nil) {
		m.c.countMiss(&p.joinResult)
	}
	return err
}

// renew starts a load in the background.
func (m *many[K, V]) renew(key K, b *batch[K, V]) {
	if t := m.c.flights.createBackground(m.ctx, request[K, V]{key: key, why: forFreshness, batch: b}); t != nil {
		m.begin(t, b)
	}
}

// collect waits for one key. It must not copy the joinResult, whose edge must end only
// once.
func (m *many[K, V]) collect(key K, p *manyKey[K, V]) (err error) {
	if p.err != nil {
		return p.err
	}
	if m.why == forced {
		return p.refreshed(m.ctx)
	}
	var v V
	if p.f == nil {
		v, err = m.c.serve(m.ctx, key, *p.answer)
	} else if err = p.wait(m.ctx); err == nil {
		v, err = p.f.v, p.f.err()
	}
	if err == nil {
		m.got[key] = v
	}
	return err
}

// refreshed waits for a key that is refreshed, and returns the error of its load.
func (j *joinResult[K, V]) refreshed(ctx context.Context) error {
	if a := j.answer; a != nil {
		return cmp.Or(a.loadErr, a.err)
	}
	if err := j.wait(ctx); err != nil {
		return err
	}
	return j.f.loadErr
}

// leave leaves all lines. It is needed if the context or a wait panicked or ended the
// goroutine.
func (m *many[K, V]) leave(list []manyKey[K, V]) {
	for i := range list {
		if p := &list[i]; p.f != nil {
			p.endWait()
		}
	}
}
