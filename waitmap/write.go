package waitmap

import (
	"context"

	"github.com/vigil-go/vigil/internal/yield"
)

// The engine's half of Store and its kin. Values are packed, and so allocated,
// before anything is locked. Each tries the fast half first, see grip.

func (e *engine[K, V]) store(key K, value V) {
	h, c := e.hash(key), pack(e.cells, value)
	g, ok := e.grab(key, h)
	if ok && e.set(g, key, h, c) || g.takers() && e.handOver(key, h, c) {
		return
	}
	e.swapSlow(key, h, c)
}

func (e *engine[K, V]) swap(key K, value V) (previous V, loaded bool) {
	h, c := e.hash(key), pack(e.cells, value)
	g, ok := e.grab(key, h)
	if ok && g.live() {
		previous, loaded = e.valueAt(g), true
	}
	if ok && e.set(g, key, h, c) || g.takers() && e.handOver(key, h, c) {
		return previous, loaded
	}
	return e.swapSlow(key, h, c)
}

func (e *engine[K, V]) swapSlow(key K, hash uint64, c cell) (previous V, loaded bool) {
	for {
		var p spot[K, V]
		e.acquire(&p, key, hash, false)
		previous, loaded = p.old(e)
		if e.publish(&p, key, c) {
			return previous, loaded
		}
		p.s.replace(e, p.t, true)
	}
}

func (e *engine[K, V]) loadOrStore(key K, value V) (actual V, loaded bool) {
	h, c := e.hash(key), pack(e.cells, value)
	g, ok := e.grab(key, h)
	if ok && g.live() {
		actual = e.valueAt(g)
		g.letGo()
		return actual, true
	}
	if ok && e.set(g, key, h, c) || g.takers() && e.handOver(key, h, c) {
		return value, false
	}
	for {
		var p spot[K, V]
		e.acquire(&p, key, h, false)
		if p.live {
			actual = p.value(e)
			p.release()
			return actual, true
		}
		if e.publish(&p, key, c) {
			return value, false
		}
		p.s.replace(e, p.t, true)
	}
}

// handOver gives the value to a taker, if one is in line: then the key is
// absent, and stays so, and the table need not be touched. Those who Wait see
// the value too.
func (e *engine[K, V]) handOver(key K, hash uint64, c cell) bool {
	ls := &e.shard(hash).lines
	yield.At(yield.MapTakers)
	ls.mu.Lock()
	l := ls.find(key, hash)
	if l == nil || l.hold != nil {
		ls.mu.Unlock()
		return false
	}
	v, _ := unpack[V](e.cells, c)
	taker := l.hand(v)
	if taker == nil {
		ls.mu.Unlock()
		return false
	}
	served := l.witnesses()
	l.note(v, nil)
	ls.tidy(&l.lineHead)
	settle(served, v, nil)
	ls.mu.Unlock()
	defer wakeList(served) // even if the taker's waker panics
	wakeAll(taker)
	return true
}

func (e *engine[K, V]) loadAndDelete(key K) (value V, loaded bool) {
	value, loaded, _ = e.loadAndDeleteBy(context.Background(), key) // which does not end
	return value, loaded
}

// loadAndDeleteBy fails if ctx ends while a computation holds the key.
func (e *engine[K, V]) loadAndDeleteBy(ctx context.Context, key K) (value V, loaded bool, err error) {
	h := e.hash(key)
	if g, ok := e.grab(key, h); ok {
		if !g.live() {
			g.letGo()
			return value, false, nil
		}
		value = e.valueAt(g)
		e.unset(g, h)
		return value, true, nil
	}
	var p spot[K, V]
	if err := e.acquireBy(ctx, &p, key, h, false); err != nil {
		return value, false, err
	}
	if !p.live {
		p.release()
		return value, false, nil
	}
	value = p.value(e)
	e.remove(&p)
	return value, true, nil
}

// acquireEqual is acquire for a key whose value is equal to old; else it
// reports false and holds nothing. To compare boxed values may panic, so that
// is done with nothing locked; what must still be there afterwards is the box.
func acquireEqual[K, V comparable](e *engine[K, V], p *spot[K, V], key K, hash uint64, old V) bool {
	var box cell // its value is equal to old
	for {
		e.acquire(p, key, hash, false)
		if !p.live {
			p.release()
			return false
		}
		c := p.cell(e)
		if e.cells != cellBoxes && equal(e, c, old) || c.ptr != nil && c == box {
			return true
		}
		p.release()
		if e.cells != cellBoxes || !equal(e, c, old) {
			return false
		}
		box = c
	}
}

func equal[K, V comparable](e *engine[K, V], c cell, old V) bool {
	v, _ := unpack[V](e.cells, c)
	return v == old
}
