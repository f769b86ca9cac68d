package waitmap

// The engine's half of Store and its kin. Values are packed, and so allocated,
// before anything is locked. Each tries the fast half first, see grip.

func (e *engine[K, V]) store(key K, value V) {
	h, c := e.hash(key), pack(e.cells, value)
	if g, ok := e.grab(key, h); ok && e.set(g, key, h, c) {
		return
	}
	e.swapSlow(key, h, c)
}

func (e *engine[K, V]) swap(key K, value V) (previous V, loaded bool) {
	h, c := e.hash(key), pack(e.cells, value)
	if g, ok := e.grab(key, h); ok {
		if loaded = g.live(); loaded {
			previous = e.valueAt(g)
		}
		if e.set(g, key, h, c) {
			return previous, loaded
		}
	}
	return e.swapSlow(key, h, c)
}

func (e *engine[K, V]) swapSlow(key K, hash uint64, c cell) (previous V, loaded bool) {
	for {
		var p spot[K, V]
		e.acquire(&p, key, hash, false)
		if loaded = p.live; loaded {
			previous = p.value(e)
		}
		if e.publish(&p, key, c) {
			return previous, loaded
		}
		p.s.replace(e, p.t, true)
	}
}

func (e *engine[K, V]) loadOrStore(key K, value V) (actual V, loaded bool) {
	h, c := e.hash(key), pack(e.cells, value)
	if g, ok := e.grab(key, h); ok {
		if g.live() {
			actual = e.valueAt(g)
			g.letGo()
			return actual, true
		}
		if e.set(g, key, h, c) {
			return value, false
		}
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

func (e *engine[K, V]) loadAndDelete(key K) (value V, loaded bool) {
	h := e.hash(key)
	if g, ok := e.grab(key, h); ok {
		if !g.live() {
			g.letGo()
			return value, false
		}
		value = e.valueAt(g)
		e.unset(g, h)
		return value, true
	}
	var p spot[K, V]
	e.acquire(&p, key, h, false)
	if !p.live {
		p.release()
		return value, false
	}
	value = p.value(e)
	e.remove(&p)
	return value, true
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
