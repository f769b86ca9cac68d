package waitmap

import (
	"context"
	"fmt"
)

// An Op is what a computation wants done with its key.
type Op int

const (
	Keep   Op = iota // leave the key as it is
	Set              // store the value returned
	Remove           // delete the key
)

// Compute calls f with the value under key, if any, and does what f says, as
// one step. It returns what is under key after that: for Keep what was there,
// for Set the new value and true, for Remove the old value and false.
//
// f runs once. While it does, other changes of this key wait, those of other
// keys, all loads and all waits do not. So f may use the map for other keys,
// but must not block for long, nor change, take or compute this key: that
// deadlocks, and panics in builds with the race detector or the tag
// vigil_debug. If f panics or calls runtime.Goexit, the key stays as it was.
func (m *Map[K, V]) Compute(key K, f func(old V, loaded bool) (V, Op)) (value V, ok bool) {
	e := m.init()
	var p spot[K, V]
	e.acquire(&p, key, e.hash(key), true)
	return e.compute(&p, key, f)
}

// LoadOrCompute returns the value under key, and true, if there is one. Else
// it calls f and, if f returns no error, stores and returns its value. Of
// callers at the same time one runs f and the others wait for it; after an
// error the next one runs its own. What is held while f runs is as for
// [Map.Compute].
func (m *Map[K, V]) LoadOrCompute(key K, f func() (V, error)) (value V, loaded bool, err error) {
	if v, ok := m.Load(key); ok {
		return v, true, nil
	}
	e := m.init()
	var p spot[K, V]
	e.acquire(&p, key, e.hash(key), true)
	if p.live {
		value = p.value(e)
		p.release()
		return value, true, nil
	}
	value, _ = e.compute(&p, key, func(V, bool) (V, Op) {
		v, fail := f()
		if err = fail; err != nil {
			return v, Keep
		}
		return v, Set
	})
	return value, false, err
}

// WaitCompute waits until there is a value under key and then calls f with it
// and does what f says, as one step: for Keep it returns the value, for Set
// the new one, for Remove the old one. A value that is deleted before
// WaitCompute's turn does not count. What is held while f runs is as for
// [Map.Compute], and errors are as for [Map.Wait], also while another
// computation holds the key.
func (m *Map[K, V]) WaitCompute(ctx context.Context, key K, f func(old V) (V, Op)) (V, error) {
	mustContext(ctx)
	e := m.init()
	h := e.hash(key)
	for {
		var p spot[K, V]
		if err := e.acquireBy(ctx, &p, key, h, true); err != nil {
			var zero V
			return zero, err
		}
		if p.live {
			v, _ := e.compute(&p, key, func(old V, _ bool) (V, Op) { return f(old) })
			return v, nil
		}
		p.release()
		if v, err := m.waitSlow(ctx, key); err != nil {
			return v, err
		}
	}
}

// compute runs f while the key at p, which it releases, is on hold.
func (e *engine[K, V]) compute(p *spot[K, V], key K, f func(V, bool) (V, Op)) (V, bool) {
	old, loaded := p.old(e)
	hash, l := p.hash, p.hold(key)
	h := l.hold
	p.release()
	settled := false
	defer func() {
		if !settled { // a panic or Goexit in f, a Hash or a waker
			e.settle(key, hash, l, h, old, Keep)
		}
	}()
	v, op := f(old, loaded)
	if op != Keep && op != Set && op != Remove {
		panic(fmt.Sprintf("waitmap: unknown Op %d", op))
	}
	e.settle(key, hash, l, h, v, op)
	settled = true
	switch op {
	case Set:
		return v, true
	case Remove:
		return old, false
	default:
		return old, loaded
	}
}

// hold puts the key on hold and returns its line, which stays for as long.
func (p *spot[K, V]) hold(key K) *line[K, V] {
	h := newHold()
	if p.line == nil {
		p.open(new(line[K, V]), key)
	}
	p.line.hold = h
	return p.line
}

// settle ends the hold h on l, if it has not ended yet, and does what the
// computation said.
func (e *engine[K, V]) settle(key K, hash uint64, l *line[K, V], h *hold, v V, op Op) {
	defer h.wake() // also if the waker of somebody in line panics
	var c cell
	if op == Set {
		c = pack(e.cells, v)
	}
	for {
		var p spot[K, V]
		e.visit(&p, key, hash, true)
		if l.hold != h {
			p.release()
			return
		}
		p.line, p.over = l, h // a NaN's line cannot be found
		switch {
		case op == Set:
			if !e.publish(&p, key, c) {
				p.s.replace(e, p.t, true)
				continue
			}
		case op == Remove && p.live:
			e.remove(&p)
		default:
			p.release()
		}
		return
	}
}
