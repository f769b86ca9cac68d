package dedup

import (
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
)

// How a load ends, in this order, and in this order for all keys of a batch:
//
//	settle    the result is known, to those who come from here on too
//	prepare   the user's functions say how long it is kept, and what it weighs
//	publish   it is stored, the key is free, the line is detached, the load counts
//	wake      those that were in line
//	report    OnLoad
//
// Each step is taken for each key whatever the user's functions do in the steps
// before: panic, exit, or call the Cache.

// finish publishes the result, wakes the callers and tells of the load.
func (f *flight[K, V]) finish() {
	line := f.publish()
	f.ctx.finish()
	defer f.report()
	release(line)
}

// release wakes callers. A panic of a waker's is dropped: nobody could recover
// it in a load's goroutine.
func release(line waitq.List[struct{}]) {
	yield.At(yield.FlightLanded)
	defer func() { _ = recover() }()
	line.Release()
}

// settle decides what the callers get, unless Close has done so.
func (f *flight[K, V]) settle(v V, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = time.Duration(clock() - f.started)
	if f.settled {
		return
	}
	f.settled = true
	f.result(v, err)
	if h := f.all.host; h != nil && f.phase == flying && h.asks() {
		early := f.answer // a copy: if prepare fails, the result changes
		f.early = &early
	}
}

// result writes what the load gave: an error comes without a value, but for an
// old one that may be served instead. mu is locked.
func (f *flight[K, V]) result(v V, err error) {
	if err == nil {
		f.answer = answer[V]{v: v}
		return
	}
	f.answer = answer[V]{err: err, loadErr: err}
	if h := f.all.host; h != nil && f.phase == flying {
		if v, ok := h.instead(f.key, f.gen); ok {
			f.answer = answer[V]{v: v, loadErr: err, stale: true}
		}
	}
}

// prepare makes the entry, unless it is not to be stored. If that fails, so has
// the load.
func (f *flight[K, V]) prepare() {
	h := f.all.host
	if h == nil || f.broken || !f.joinable() {
		return
	}
	returned := false
	defer func() {
		if !returned {
			f.fail(panicked(recover()))
		}
	}()
	f.entry = h.prepare(f.key, f.v, f.loadErr)
	returned = true
}

func (f *flight[K, V]) joinable() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.phase == flying
}

// fail replaces the result, unless the callers have it.
func (f *flight[K, V]) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.done {
		f.result(f.v, err)
	}
}

// publish stores the result in the one moment in which nobody can detach the
// flight, frees the key, detaches the line and counts the load.
func (f *flight[K, V]) publish() (line waitq.List[struct{}]) {
	f.mu.Lock()
	if !f.done {
		if f.phase == flying && f.all.host != nil {
			yield.At(yield.FlightPublish)
			f.all.host.publish(f)
		}
		f.done = true
		line = f.detachLine()
	}
	f.phase = landed
	f.mu.Unlock()
	f.all.forget(f)
	if h := f.all.host; h != nil {
		h.landed(f)
	}
	return line
}

// report tells of the load. A panic is dropped.
func (f *flight[K, V]) report() {
	if h := f.all.host; h != nil {
		defer func() { _ = recover() }()
		h.report(f)
	}
}

// each calls f with every element, also if f ends the goroutine, or panics,
// which is dropped.
func each[E any](list []E, f func(E)) {
	defer func() {
		_ = recover()
		if len(list) > 0 {
			each(list, f)
		}
	}()
	for len(list) > 0 {
		e := list[0]
		list = list[1:] // before f is called: that is certain, and so is once
		f(e)
	}
}
