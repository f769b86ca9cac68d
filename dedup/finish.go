package dedup

import (
	"time"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A load ends in five steps. A batch takes each step for all its keys before the next
// one:
//
//	settle    the result is known, and callers that come from now on get it at once
//	prepare   TTLOf, ErrorTTLOf and Weigh say how long it is kept and what it weighs
//	publish   it is stored, the key is free, the line is detached, the load is counted
//	wake      the callers in line return
//	report    OnRemove and OnLoad are called
//
// Every step is taken for every key, even if a callback panics, exits or calls the
// Cache. Without TTLOf, ErrorTTLOf and Weigh the first three steps are one.

// settleAndPrepare settles the result of a load that has returned, and makes its entry.
// The shard is locked when it returns.
func (r *run[K, V]) settleAndPrepare(v V, err error) {
	b := r.f.home.all.backend
	if b != nil && b.hasCallbacks() {
		r.settle(v, err)
		r.prepare()
		r.f.home.mu.Lock()
		return
	}
	if b != nil {
		r.entry = b.prepare(r.f.key, v, err)
	}
	r.f.home.mu.Lock()
	r.settleLocked(v, err)
}

// handOff settles the result and has the first caller finish the flight, if no other
// caller is in line. It is for stores that need a larger stack than that of a new
// goroutine, because to grow a stack costs more than everything else. The caller's stack
// has grown before.
func (r *run[K, V]) handOff(v V, err error) bool {
	if r.first == nil {
		return false
	}
	f, w := r.f, &r.first.w
	f.home.mu.Lock()
	if f.progress != pending || f.line.Len() > 1 || !f.line.Remove(w) {
		f.home.mu.Unlock()
		return false
	}
	r.settleLocked(v, err)
	f.callerRuns, f.handedOff = true, true
	r.stage = prepared
	w.Finish()
	f.home.mu.Unlock()
	w.Wake()
	return true
}

// finishHandedOff is the rest of handOff. The first caller runs it whatever happens to
// its call, because other callers may wait for the result.
func (f *flight[K, V]) finishHandedOff() {
	schedpoint.At(schedpoint.FlightHanded)
	r := run[K, V]{f: f, stage: prepared}
	r.entry = f.home.all.backend.prepare(f.key, f.v, f.loadErr)
	f.home.mu.Lock()
	r.wake(r.publishLocked())
}

// finish publishes the result, wakes the callers and reports the load.
func (r *run[K, V]) finish() { r.wake(r.publish()) }

// wake wakes the callers and then reports the load. A caller that runs a load does not
// wait for callbacks, and wakers that are not of this package must not end its
// goroutine.
func (r *run[K, V]) wake(line waitq.List[struct{}]) {
	if r.f.callerRuns && r.f.foreign {
		r.wakeInGoroutine(line)
		return
	}
	r.f.ctx.End()
	defer r.report()
	release(line)
}

// wakeInGoroutine is wake in a goroutine of its own. It takes a copy of r, so that no
// other run is allocated. The flight is not used again, because a caller has joined it.
func (r *run[K, V]) wakeInGoroutine(line waitq.List[struct{}]) {
	r.f.ctx.End()
	go func(r run[K, V]) {
		defer r.report()
		release(line)
	}(*r)
}

// release wakes the callers of a line. It drops the panic of a waker, because no user
// code could recover it in a load's goroutine.
func release(line waitq.List[struct{}]) {
	schedpoint.At(schedpoint.FlightWakes)
	if line.Front() == nil {
		return
	}
	defer func() { _ = recover() }()
	line.Release()
}

// settle sets the result of the flight, unless Close has done so.
func (r *run[K, V]) settle(v V, err error) {
	r.f.home.mu.Lock()
	defer r.f.home.mu.Unlock()
	r.settleLocked(v, err)
}

// settleLocked is settle with the shard locked.
func (r *run[K, V]) settleLocked(v V, err error) {
	f, took := r.f, time.Duration(0)
	if f.home.all.backend != nil {
		took = time.Duration(clock() - f.started)
	}
	if f.progress != pending {
		r.late = took // callers read the result that Close has set
		return
	}
	f.progress, f.took, f.gone = settled, took, r.gone
	f.setResult(v, err)
}

// setResult sets what the callers get. With an error they get no value, except for an
// old one that may be served instead. The shard is locked.
func (f *flight[K, V]) setResult(v V, err error) {
	f.loadErr = err
	if err == nil {
		f.v = v
		return
	}
	var none V
	f.v, f.stale = none, false
	if b := f.home.all.backend; b != nil && f.phase == joinable && !f.gone {
		if v, ok := b.staleValue(f.key, f.epoch); ok {
			f.v, f.stale = v, true
		}
	}
}

// prepare makes the entry, unless the result is not stored. If a callback panics or
// exits, the load has failed.
func (r *run[K, V]) prepare() {
	f, b := r.f, r.f.home.all.backend
	if b == nil || r.stage == running || !f.isJoinable() {
		return
	}
	ok := false
	defer func() {
		if !ok {
			f.fail(load.Panicked(recover()))
		}
	}()
	r.entry = b.prepare(f.key, f.v, f.loadErr)
	ok = true
}

// isJoinable reports whether the flight is joinable.
func (f *flight[K, V]) isJoinable() bool {
	f.home.mu.Lock()
	defer f.home.mu.Unlock()
	return f.phase == joinable
}

// isCanceled reports whether the load was canceled.
func (f *flight[K, V]) isCanceled() bool {
	f.home.mu.Lock()
	defer f.home.mu.Unlock()
	return f.canceled
}

// fail replaces the result by an error, unless the callers have it.
func (f *flight[K, V]) fail(err error) {
	f.home.mu.Lock()
	defer f.home.mu.Unlock()
	if f.progress != delivered {
		f.setResult(f.v, err)
	}
}

// publish stores the result of a joinable flight, frees the key, detaches the line and
// counts the load. The flight cannot be detached in between.
func (r *run[K, V]) publish() waitq.List[struct{}] {
	r.f.home.mu.Lock()
	return r.publishLocked()
}

// publishLocked is publish with the shard locked. It unlocks the shard.
func (r *run[K, V]) publishLocked() (line waitq.List[struct{}]) {
	f, b := r.f, r.f.home.all.backend
	if f.progress != delivered {
		if b != nil && f.phase == joinable {
			schedpoint.At(schedpoint.FlightPublish)
			r.left = b.publish(f, r.entry)
		}
		f.progress = delivered
		line = f.detachLine()
	}
	f.home.remove(f)
	f.phase = done
	f.home.mu.Unlock()
	schedpoint.At(schedpoint.FlightLeft)
	if b != nil {
		b.loadDone(f.took+r.late, f.loadErr != nil, f.stales(), f.handedOff)
	}
	return line
}

// report calls OnLoad and OnRemove, and sweeps the cache if that is due. It drops panics.
func (r *run[K, V]) report() {
	if b := r.f.home.all.backend; b != nil {
		due := r.entry != nil && b.sweepDue(1)
		if due || r.left != nil || b.hasOnLoad() {
			r.reportTo(b, due)
		}
	}
}

// reportTo is a function of its own to keep the stack frame of report small: most caches
// have no OnLoad.
func (r *run[K, V]) reportTo(b backend[K, V], due bool) {
	info := LoadInfo[K]{Key: r.f.key, Took: r.f.took + r.late, Err: r.f.loadErr, Waiters: int(r.f.got)}
	if r.f.callerRuns {
		go sweepAndReport(b, info, r.left, due)
	} else {
		sweepAndReport(b, info, r.left, due)
	}
}

// sweepAndReport runs user code, whose panics it drops. Each call is made even if another
// one ends the goroutine.
func sweepAndReport[K comparable, V any](b backend[K, V], info LoadInfo[K], left *removal[K, V], due bool) {
	if b.hasOnLoad() {
		defer func() {
			defer func() { _ = recover() }()
			b.report(info)
		}()
	}
	defer b.onRemove(left)
	if due {
		b.sweep()
	}
}

// each calls f with every element, even if f ends the goroutine. It drops the panics of
// f.
func each[E any](list []E, f func(*E)) {
	defer func() {
		_ = recover()
		if len(list) > 0 {
			each(list, f)
		}
	}()
	for len(list) > 0 {
		e := &list[0]
		list = list[1:] // before the call, so that each element is used once
		f(e)
	}
}
