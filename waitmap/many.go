package waitmap

import (
	"context"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// WaitAny waits until one of the keys has a value, and returns that key and its value. If
// several have one, it returns the earliest of them in keys, even if ctx has ended. Without
// keys it waits for the end of ctx. The errors are those of [Map.Wait]; Cancel of one of
// the keys ends the wait.
func (m *Map[K, V]) WaitAny(ctx context.Context, keys ...K) (K, V, error) {
	mustContext(ctx)
	if k, v, ok := m.loadAny(keys); ok {
		return k, v, nil
	}
	var found V
	cases, refs := make([]keyCase[K, V], len(keys)), make([]*keyCase[K, V], len(keys))
	for i, key := range keys {
		refs[i] = cases[i].init(m, key, &found, false)
	}
	i, err := waitq.Select(ctx, refs)
	if err == nil {
		return cases[i].key, found, nil
	}
	if i >= 0 && err == ErrClosed { // another key may have come before Close
		if k, v, ok := m.loadAny(keys); ok {
			return k, v, nil
		}
	}
	var key K
	var zero V
	return key, zero, err
}

// loadAny returns the first of the keys that has a value.
func (m *Map[K, V]) loadAny(keys []K) (key K, v V, ok bool) {
	for _, k := range keys {
		if v, ok = m.load(k); ok {
			return k, v, true
		}
	}
	return key, v, false
}

// WaitAll waits until it has seen a value for each of the keys, and returns the values. A
// value counts even if it is deleted or overwritten while WaitAll waits for another key,
// so the map may never have had all of them at the same time. If all keys have a value,
// WaitAll returns at once, even if ctx has ended.
//
// If the wait for one of the keys fails, WaitAll fails: it returns a nil map, and leaves
// nothing in line. The errors are those of [Map.Wait].
func (m *Map[K, V]) WaitAll(ctx context.Context, keys ...K) (map[K]V, error) {
	mustContext(ctx)
	values := make(map[K]V, len(keys))
	var missing []K
	for _, key := range keys {
		if _, twice := values[key]; twice {
			continue
		}
		v, ok := m.load(key)
		if values[key] = v; !ok {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return values, nil
	}
	if err := m.waitAll(ctx, missing, values); err != nil {
		return nil, err
	}
	return values, nil
}

// waitAll puts the values of the missing keys into values.
func (m *Map[K, V]) waitAll(ctx context.Context, missing []K, values map[K]V) error {
	a := &allWait[K, V]{e: m.init(), parker: wake.ParkerFrom(ctx), waits: make([]oneWait[K, V], len(missing))}
	a.left.Store(int64(len(missing)))
	parkErr := a.wait(ctx, missing)
	pending := false
	for i := range a.waits {
		w := &a.waits[i].w
		if !w.Done() {
			pending = true
			continue
		}
		v, err := w.Value.result()
		if err != nil {
			return err
		}
		values[missing[i]] = v
	}
	if pending {
		return waitq.ParkError(ctx, parkErr)
	}
	return nil
}

// An allWait is a WaitAll that is in line for several keys.
type allWait[K comparable, V any] struct {
	e      *engine[K, V]
	parker wake.Parker
	left   atomic.Int64 // waits that have got no value
	over   atomic.Bool  // none is left, or one has failed
	waits  []oneWait[K, V]
}

// A oneWait is the wait for one of the keys, and the waker of its waiter.
type oneWait[K comparable, V any] struct {
	waitNode[K, V]
	all  *allWait[K, V]
	hash uint64
}

// Wake wakes the WaitAll if no wait is left, or if this one has failed.
func (w *oneWait[K, V]) Wake() {
	if w.w.Value.err != nil || w.all.left.Add(-1) == 0 {
		w.all.over.Store(true)
		w.all.parker.Wake()
	}
}

// wait gets in line for all keys and sleeps until the wait is over, or returns Park's
// error. Then no waiter is in line, even if Park panics or ends the goroutine.
func (a *allWait[K, V]) wait(ctx context.Context, keys []K) error {
	defer a.leave()
	for i, key := range keys {
		w := &a.waits[i]
		w.all, w.hash, w.w.Waker = a, a.e.hash(key), w
		a.e.register(key, w.hash, &w.waitNode)
	}
	for !a.over.Load() {
		if err := a.parker.Park(ctx); err != nil {
			return err
		}
	}
	return nil
}

// leave takes the waiters that are not done out of line.
func (a *allWait[K, V]) leave() {
	for i := range a.waits {
		if w := &a.waits[i]; !w.w.Done() {
			a.e.shard(w.hash).lines.leave(&w.w)
		}
	}
}
