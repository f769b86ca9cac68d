package waitmap

import (
	"context"

	"github.com/vigil-go/vigil/internal/monotime"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// Wait returns the value for key. If there is none, it waits until one is stored, and
// returns that value even if the key is overwritten or deleted the next moment. If the
// key is there, Wait costs what Load costs, and returns the value even if ctx has ended.
//
// If the wait fails, the error matches ctx.Err() and context.Cause(ctx) if ctx has ended,
// [ErrCanceled] if Cancel ended the wait, and [ErrClosed] after Close. A failed wait
// leaves nothing in the map. Wait panics if ctx is nil.
func (m *Map[K, V]) Wait(ctx context.Context, key K) (V, error) {
	if v, ok := m.Load(key); ok && ctx != nil {
		return v, nil
	}
	return m.waitSlow(ctx, key)
}

// waitSlow is Wait after Load has found nothing.
func (m *Map[K, V]) waitSlow(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	e := m.init()
	h := e.hash(key)
	w, done := e.sleeperFor(ctx), ctx.Done()
	if w.yield() {
		if v, ok := m.Load(key); ok {
			e.recycle(w)
			return v, nil
		}
	}
	s := e.shard(h)
	if c, ok := s.lockLines(e, h).peek(key, h); ok { // the second look
		s.lines.mu.Unlock()
		e.recycle(w)
		v, _ := unpack[V](e.cells, c)
		return v, nil
	}
	if w.parkerWaker.parker != nil {
		return e.enterAndPark(ctx, key, h, w)
	}
	return e.enterAndSleep(ctx, done, key, h, w)
}

// WaitNext waits for the next store of key and returns its value, even if the key has a
// value now. Its errors are those of [Map.Wait].
func (m *Map[K, V]) WaitNext(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	e := m.init()
	h := e.hash(key)
	w, done := e.sleeperFor(ctx), ctx.Done()
	e.shard(h).lockLines(e, h)
	if w.parkerWaker.parker != nil {
		return e.enterAndPark(ctx, key, h, w)
	}
	return e.enterAndSleep(ctx, done, key, h, w)
}

// WaitFor waits until key has a value that satisfies ok, and returns it. It may skip values
// that were overwritten before ok saw them, but not the last one, even if that is deleted
// or taken the next moment. ok may be called twice for one value. No lock is held while it
// runs. The errors of WaitFor are those of [Map.Wait].
func (m *Map[K, V]) WaitFor(ctx context.Context, key K, ok func(V) bool) (V, error) {
	mustContext(ctx)
	if v, there := m.Load(key); there && ok(v) {
		return v, nil
	}
	w, u := m.init().watch(ctx, key)
	defer w.stop() // also if ok or Park panics
	for {
		if u.ok && ok(u.v) {
			return u.v, nil
		}
		if u.err != nil {
			var zero V
			return zero, u.err
		}
		u = w.next(ctx)
	}
}

// Take waits until there is a value for key, removes it and returns it. If several
// goroutines wait in Take, each value goes to exactly one of them, the longest waiting
// first. A value that is stored while they wait goes to one of them before any Load can
// see it; waiters in Wait see it too.
//
// If ctx has ended before the call, Take returns an error and takes nothing. If ctx ends
// while a value is handed over, Take returns the value. Its errors are those of
// [Map.Wait].
//
// While a computation holds the key, see [Map.Compute], Take waits too. When the
// computation ends, the longest waiting taker gets the value that it leaves; if it leaves
// none, the takers wait on.
func (m *Map[K, V]) Take(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	if ctx.Err() != nil {
		var zero V
		return zero, waitq.ContextError(ctx)
	}
	e := m.init()
	h := e.hash(key)
	if v, ok := e.loadAndDelete(key, h, false); ok {
		return v, nil
	}
	e.checkHold(key, h)
	w, done := e.sleeperFor(ctx), ctx.Done()
	again := w.yield()
	w.w.SetExclusive()
	for s := e.shard(h); ; again = true {
		if again {
			if v, ok := e.loadAndDelete(key, h, false); ok {
				e.recycle(w)
				return v, nil
			}
		}
		if _, ok := s.lockLines(e, h).peek(key, h); !ok || s.lines.holdOf(key, h) != nil { // the second look
			if w.parkerWaker.parker != nil {
				return e.enterAndPark(ctx, key, h, w)
			}
			return e.enterAndSleep(ctx, done, key, h, w)
		}
		s.lines.mu.Unlock()
	}
}

// Register is the first half of a Wait: when it returns, the [Future] is in line, and the
// next store of key reaches it. Call Register, then send the request whose answer is to be
// awaited, then call [Future.Wait].
//
// The Waker w may be nil. Otherwise it is called once, when a store, Cancel or Close makes
// the Future done. If key has a value, or the map is closed, the Future is done, and w has
// been called, when Register returns. A Future stays in line until it is done or stopped.
func (m *Map[K, V]) Register(key K, w wake.Waker) *Future[V] {
	e := m.init()
	h := e.hash(key)
	n := new(waitNode[K, V])
	n.w.Waker = w
	n.w.Value.owner.Store(&e.shard(h).lines.self)
	e.register(key, h, n)
	return &n.Future
}

// register gets in line with n. If the key has a value, or the map is closed, it finishes
// and wakes n instead.
func (e *engine[K, V]) register(key K, h uint64, n *waitNode[K, V]) {
	n.w.Value.since = monotime.Now()
	s := e.shard(h)
	if c, ok := s.lockLines(e, h).peek(key, h); ok {
		s.lines.mu.Unlock()
		n.w.Value.v, _ = unpack[V](e.cells, c)
	} else if e.enter(key, h, n) {
		return
	} else {
		n.w.Value.err = closed
	}
	n.w.Finish()
	n.w.Value.dropMap()
	n.w.Wake()
}

// enter puts a waiter in line and unlocks the lines. It returns false if the map is
// closed, unless the waiter is a taker and a computation holds a value of the key.
func (e *engine[K, V]) enter(key K, hash uint64, n *waitNode[K, V]) bool {
	ls := &e.shard(hash).lines
	l := ls.find(key, hash)
	if e.closed.Load() && !(n.w.Exclusive() && l.holdsValue()) { // its partner is Close, which sweeps the lines after it
		ls.mu.Unlock()
		return false
	}
	if l == nil {
		l = ls.open(&n.line, key, hash)
	}
	l.push(&n.w)
	ls.mu.Unlock()
	return true
}

// enterAndSleep gets in line, unlocks the lines, and sleeps until s is done or ctx ends;
// done is ctx.Done(). It is one function because a goroutine that sleeps here keeps a
// stack of 2 KB if its frames fit into that. For the same reason enterAndPark, which is
// for tasks, is another one.
func (e *engine[K, V]) enterAndSleep(ctx context.Context, done <-chan struct{}, key K, hash uint64, s *sleeper[K, V]) (v V, err error) {
	switch {
	case !e.enter(key, hash, &s.waitNode):
		e.recycle(s)
		return v, ErrClosed
	case done == nil:
		<-s.channel
	case !s.receive(done):
		if e.shard(hash).lines.leave(&s.w) {
			e.recycle(s)
			return v, waitq.ContextError(ctx)
		}
		s.discard = true // it is done, and its waker has not sent yet
	}
	v, err = s.w.Value.result()
	e.recycle(s)
	return v, err
}

// enterAndPark is enterAndSleep for a context with a parker of its own, which may be of
// any type.
func (e *engine[K, V]) enterAndPark(ctx context.Context, key K, hash uint64, s *sleeper[K, V]) (v V, err error) {
	if !e.enter(key, hash, &s.waitNode) {
		e.recycle(s)
		return v, ErrClosed
	}
	returned := false
	defer func() {
		if !returned { // Park, or a method of ctx, panicked or ended the goroutine
			e.unwind(key, hash, s)
		}
	}()
	if err = s.w.Await(ctx, s.parkerWaker.parker); err != nil {
		s.discard = true // a store may be about to deliver to it
		e.shard(hash).lines.leave(&s.w)
		err = waitq.ParkError(ctx, err)
	} else {
		v, err = s.w.Value.result()
		s.discard = s.discard || !s.parkerWaker.called.Load()
		if s.discard {
			e.shard(hash).lines.settle()
		}
	}
	returned = true
	e.recycle(s)
	return v, err
}

// unwind leaves the line, unless the waiter is done or has left already. It stores a
// value that a taker was handed as LoadOrStore does: the next taker gets it, or it stays
// under the key. If the key has a newer value, that has overwritten it.
func (e *engine[K, V]) unwind(key K, hash uint64, s *sleeper[K, V]) {
	if s.w.Abandon() {
		e.shard(hash).lines.leave(&s.w)
	} else if s.w.Done() && s.w.Exclusive() && s.w.Value.err == nil {
		e.loadOrStore(key, s.w.Value.v)
	}
}
