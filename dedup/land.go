package dedup

import (
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
)

// A load ends in five steps. Those of a batch are taken for all its keys, one step
// after the other:
//
//	settle    the result is known; callers that come from now on have it at once
//	prepare   TTLOf, ErrorTTLOf and Weigh say how long it is kept and what it weighs
//	publish   it is stored, the key is free, the line is detached, the load counts
//	wake      the callers in line return
//	report    OnLoad
//
// Every step is taken for every key, also if a user's function panics, exits or
// calls the Cache.

// finish publishes the result, wakes the callers and tells of the load.
func (f *flight[K, V]) finish() {
	line := f.publish()
	f.ctx.finish()
	defer f.report()
	release(line)
}

// release wakes callers. It drops the panic of a waker: in a load's goroutine no
// user code could recover it.
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
	if f.progress != pending {
		return
	}
	f.progress = settled
	f.result(v, err)
	h := f.all.host
	f.early = h != nil && f.phase == flying && h.asks()
}

// result writes what the load gave: an error comes without a value, but for an
// old one that may be served instead. mu is locked.
func (f *flight[K, V]) result(v V, err error) {
	f.loadErr = err
	if err == nil {
		f.v = v
		return
	}
	var none V
	f.v, f.err, f.stale = none, err, false
	if h := f.all.host; h != nil && f.phase == flying {
		if v, ok := h.instead(f.key, f.gen); ok {
			f.v, f.err, f.stale = v, nil, true
		}
	}
}

// prepare makes the entry, unless it is not to be stored. If that fails, so has
// the load.
func (f *flight[K, V]) prepare() {
	h := f.all.host
	if h == nil || f.stage == running || !f.joinable() {
		return
	}
	ok := false
	defer func() {
		if !ok {
			f.fail(panicked(recover()))
		}
	}()
	f.entry = h.prepare(f.key, f.v, f.loadErr)
	ok = true
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
	if f.progress != delivered {
		f.result(f.v, err)
	}
}

// publish stores the result in the one moment in which nobody can detach the
// flight, frees the key, detaches the line and counts the load.
func (f *flight[K, V]) publish() (line waitq.List[struct{}]) {
	f.mu.Lock()
	if f.progress != delivered {
		if f.phase == flying && f.all.host != nil {
			yield.At(yield.FlightPublish)
			f.all.host.publish(f)
		}
		f.progress = delivered
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
