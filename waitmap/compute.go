package waitmap

import (
	"context"
	"fmt"
)

// An Op tells Compute and WaitCompute what to do with the key.
type Op int

const (
	KeepOp   Op = iota // leave the key as it is
	StoreOp            // store the value returned
	DeleteOp           // delete the key
)

// Compute calls f with the value for key, if there is one, and applies the Op that f
// returns, as one atomic step. For KeepOp it returns the old value and whether there is one,
// for StoreOp the new value and true, for DeleteOp the deleted value and false. If f returns
// another Op, Compute panics.
//
// f runs once. While it runs, other changes of this key wait, and so do Take, OnTake and
// WaitCompute. Loads, other waits and changes of other keys proceed. So f may use the map
// for other keys, but it must not block for long, and must not change, take or compute this
// key, or call [Map.Clear]. That deadlocks, except in builds with the race detector or the
// tag vigil_debug, where it panics. If f panics or calls runtime.Goexit, the key stays as it
// was.
func (m *Map[K, V]) Compute(key K, f func(old V, loaded bool) (V, Op)) (value V, ok bool) {
	e := m.init()
	var kl keyLock[K, V]
	e.lockFree(&kl, key, e.hash(key), true)
	return e.compute(&kl, key, f)
}

// LoadOrCompute returns the existing value for key if there is one. Otherwise it calls f,
// and stores and returns the value that f returned. The loaded result is true if the value
// was loaded, false if f was called. If f returns an error, LoadOrCompute stores nothing and
// returns the zero value of V and the error.
//
// If several goroutines call LoadOrCompute for a key at the same time, one runs f and the
// others wait for it. If f fails, the next of them runs its own f. What is held while f runs
// is as for [Map.Compute].
func (m *Map[K, V]) LoadOrCompute(key K, f func() (V, error)) (value V, loaded bool, err error) {
	if v, ok := m.Load(key); ok {
		return v, true, nil
	}
	e := m.init()
	var kl keyLock[K, V]
	e.lockFree(&kl, key, e.hash(key), true)
	if kl.live {
		value = kl.value(e)
		kl.release()
		return value, true, nil
	}
	value, _ = e.compute(&kl, key, func(V, bool) (V, Op) {
		v, fail := f()
		if err = fail; err != nil {
			return v, KeepOp
		}
		return v, StoreOp
	})
	return value, false, err
}

// WaitCompute waits until there is a value for key, calls f with it and applies the Op that
// f returns, as one atomic step. It returns the old value for KeepOp, the new value for
// StoreOp and the deleted value for DeleteOp. If the value is deleted before f can run,
// WaitCompute waits for the next one. What is held while f runs is as for [Map.Compute].
// The errors are those of [Map.Wait]. If ctx ends while another computation holds the key,
// WaitCompute fails, too.
func (m *Map[K, V]) WaitCompute(ctx context.Context, key K, f func(old V) (V, Op)) (V, error) {
	mustContext(ctx)
	e := m.init()
	h := e.hash(key)
	for {
		var kl keyLock[K, V]
		if err := e.lockFreeContext(ctx, &kl, key, h, true); err != nil {
			var zero V
			return zero, err
		}
		if kl.live {
			v, _ := e.compute(&kl, key, func(old V, _ bool) (V, Op) { return f(old) })
			return v, nil
		}
		kl.release()
		if v, err := m.waitSlow(ctx, key); err != nil {
			return v, err
		}
	}
}

// compute holds the key while f runs. It releases kl.
func (e *engine[K, V]) compute(kl *keyLock[K, V], key K, f func(V, bool) (V, Op)) (V, bool) {
	old, loaded := kl.old(e)
	hash, l := kl.hash, kl.hold(key)
	h := l.hold
	kl.release()
	ended := false
	defer func() {
		if !ended { // f, a Hash or a waker panicked, or ended the goroutine
			e.endCompute(key, hash, l, h, old, KeepOp)
		}
	}()
	v, op := f(old, loaded)
	if op != KeepOp && op != StoreOp && op != DeleteOp {
		panic(fmt.Sprintf("waitmap: unknown Op %d", op))
	}
	e.endCompute(key, hash, l, h, v, op)
	ended = true
	switch op {
	case StoreOp:
		return v, true
	case DeleteOp:
		return old, false
	default:
		return old, loaded
	}
}

// hold starts a hold on the key and returns the key's line, which stays as long as the
// hold does.
func (kl *keyLock[K, V]) hold(key K) *line[K, V] {
	h := newHold(kl.live)
	if kl.line == nil {
		kl.open(new(line[K, V]), key)
	}
	kl.line.hold = h
	return kl.line
}

// endCompute ends the hold h on l, unless it has ended already, and does op. If that
// leaves a value and there are takers in line, the first of them gets it.
func (e *engine[K, V]) endCompute(key K, hash uint64, l *line[K, V], h *hold, v V, op Op) {
	defer e.wakeAfterHold(key, hash, h) // also if the waker of a waiter panics
	var c cell
	if op == StoreOp {
		c = pack(e.cells, v)
	}
	for {
		var kl keyLock[K, V]
		e.lockKey(&kl, key, hash, true)
		if h.ended {
			kl.release()
			return
		}
		kl.line, kl.endHold = l, h // a NaN's line cannot be found
		switch {
		case kl.live && op != DeleteOp && e.leaveToTaker(&kl, v, op):
		case op == StoreOp:
			if !e.publish(&kl, key, c) {
				kl.s.replace(e, kl.t, true)
				continue
			}
		case op == DeleteOp && kl.live:
			e.remove(&kl)
		default:
			kl.release()
		}
		return
	}
}

// leaveToTaker hands the value that a computation leaves to the first taker that has not
// given up, deletes the entry and releases kl. It returns false if there is no such
// taker.
func (e *engine[K, V]) leaveToTaker(kl *keyLock[K, V], v V, op Op) bool {
	if op == KeepOp {
		v = kl.value(e)
	}
	taker := kl.line.handOff(v)
	if taker == nil {
		return false
	}
	if kl.taker = taker; op == StoreOp {
		kl.observers, kl.v = kl.line.detachObservers(), v
		kl.line.record(v, nil)
	}
	defer wakeTaker(taker, kl.observers) // also if a Hash panics
	e.remove(kl)
	return true
}

// wakeAfterHold wakes those that waited for the end of h. If the map is closed, it first
// ends the waits of takers to which the computation has left nothing.
func (e *engine[K, V]) wakeAfterHold(key K, hash uint64, h *hold) {
	defer h.wake()
	if e.closed.Load() {
		e.cancelKey(key, hash, closed)
	}
}
