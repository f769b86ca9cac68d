package waitmap

import (
	"context"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// Wait returns the value under key; if there is none, it waits until one is
// stored. It returns the value of that store even if the key is deleted or
// overwritten the next moment. A key that is there costs what Load costs, and
// is returned whatever the state of ctx.
//
// The error matches ctx.Err() and context.Cause(ctx) if ctx ended first,
// [ErrCanceled] after Cancel, [ErrClosed] after Close. A wait that failed
// leaves no trace in the map. A nil context panics.
func (m *Map[K, V]) Wait(ctx context.Context, key K) (V, error) {
	if v, ok := m.Load(key); ok && ctx != nil {
		return v, nil
	}
	return m.waitSlow(ctx, key)
}

func (m *Map[K, V]) waitSlow(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	e := m.init()
	h := e.hash(key)
	en, parker := newEntrant[K, V](ctx)
	s := e.shard(h)
	if c, ok := s.lockLines(e, h, 0).peek(key, h); ok { // the second look
		s.lines.mu.Unlock()
		v, _ := unpack[V](e.cells, c)
		return v, nil
	}
	return e.enterAndWait(ctx, key, h, en, parker)
}

// WaitNext waits for the next value to be stored under key, even if there is
// one now. Errors are as for [Map.Wait].
func (m *Map[K, V]) WaitNext(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	e := m.init()
	h := e.hash(key)
	en, parker := newEntrant[K, V](ctx)
	e.shard(h).lockLines(e, h, 0)
	return e.enterAndWait(ctx, key, h, en, parker)
}

// WaitFor waits until a value under key satisfies ok. It may skip values that
// were overwritten before it ran, but never the last one, even if that is
// deleted the next moment or goes to somebody in Take. ok runs with nothing
// held, and perhaps twice for one value. Errors are as for [Map.Wait].
func (m *Map[K, V]) WaitFor(ctx context.Context, key K, ok func(V) bool) (V, error) {
	mustContext(ctx)
	if v, there := m.Load(key); there && ok(v) {
		return v, nil
	}
	w, now := m.init().watch(ctx, key)
	defer w.depart() // also if ok or Park panics
	for {
		if now.there && ok(now.v) {
			return now.v, nil
		}
		if now.err != nil {
			var zero V
			return zero, now.err
		}
		now = w.next(ctx)
	}
}

// Take waits until there is a value under key, removes it and returns it. Of
// many takers exactly one gets each value, the longest waiting first. A value
// that is stored while takers wait is handed to one before anybody can Load
// it; those in Wait see it too. A context that was done before takes nothing;
// one that ends while a value is handed over does not lose it. Errors are as
// for [Map.Wait], also while a computation holds the key.
func (m *Map[K, V]) Take(ctx context.Context, key K) (V, error) {
	mustContext(ctx)
	if ctx.Err() != nil {
		var zero V
		return zero, waitq.ContextError(ctx)
	}
	e := m.init()
	if _, ok := m.Load(key); ok {
		if v, ok, err := e.loadAndDeleteBy(ctx, key); ok || err != nil {
			return v, err
		}
	}
	h := e.hash(key)
	en, parker := newEntrant[K, V](ctx)
	en.w.SetExclusive()
	e.checkHold(key, h)
	for s := e.shard(h); ; {
		if _, ok := s.lockLines(e, h, metaTakers).peek(key, h); !ok {
			return e.enterAndTake(ctx, key, h, en, parker)
		}
		s.lines.mu.Unlock()
		if v, ok, err := e.loadAndDeleteBy(ctx, key); ok || err != nil {
			return v, err
		}
	}
}

// enterAndTake is enterAndWait for a taker: if Park panics or ends the
// goroutine after a value was handed over, the value is not lost.
func (e *engine[K, V]) enterAndTake(ctx context.Context, key K, hash uint64, en *entrant[K, V], parker wake.Parker) (v V, err error) {
	returned := false
	defer func() {
		if !returned {
			e.giveBack(key, &en.w)
		}
	}()
	v, err = e.enterAndWait(ctx, key, hash, en, parker)
	returned = true
	return v, err
}

// giveBack stores what w was handed, as LoadOrStore does: the next taker gets
// it, or it lies under the key. A newer value that is there has overwritten it.
func (e *engine[K, V]) giveBack(key K, w *waitq.Waiter[fate[V]]) {
	if w.Done() && w.Value.err == nil {
		e.loadOrStore(key, w.Value.v)
	}
}

// Register is Wait in two steps: on return the [Future] is in line, so what is
// stored from now on reaches it. Be in line first, then send the request whose
// answer you wait for.
//
// w, which may be nil, is woken once, when the Future is done: by a store,
// Cancel or Close. If the key is there, the Future is done, and w woken, on
// return. A Future stays in line until it is done or stopped.
func (m *Map[K, V]) Register(key K, w wake.Waker) *Future[V] {
	e := m.init()
	h := e.hash(key)
	en := new(entrant[K, V])
	en.w.Waker = w
	en.w.Value.since = int64(time.Since(epoch))
	s := e.shard(h)
	if c, ok := s.lockLines(e, h, 0).peek(key, h); ok {
		s.lines.mu.Unlock()
		en.w.Value.v, _ = unpack[V](e.cells, c)
	} else if e.enter(key, h, en) == nil {
		return &en.Future
	} else {
		en.w.Value.err = closed
	}
	en.w.Finish()
	en.w.Wake()
	return &en.Future
}

// epoch is what since counts from: time.Since costs half of what time.Now does.
var epoch = time.Now()

func newEntrant[K comparable, V any](ctx context.Context) (*entrant[K, V], wake.Parker) {
	parker := wake.ParkerFrom(ctx)
	en := new(entrant[K, V])
	en.w.Waker = parker
	en.w.Value.since = int64(time.Since(epoch))
	return en, parker
}

// enter puts a waiter in line and unlocks the lines. It fails if the map is
// closed.
func (e *engine[K, V]) enter(key K, hash uint64, en *entrant[K, V]) error {
	ls := &e.shard(hash).lines
	defer ls.mu.Unlock()
	if e.closed.Load() { // its partner is Close, which sweeps the lines after it
		return ErrClosed
	}
	l := ls.find(key, hash)
	if l == nil {
		l = ls.open(&en.line, key, hash)
	}
	en.w.Value.owner = &ls.self
	l.push(&en.w)
	return nil
}

func (e *engine[K, V]) enterAndWait(ctx context.Context, key K, hash uint64, en *entrant[K, V], parker wake.Parker) (V, error) {
	if err := e.enter(key, hash, en); err != nil {
		var zero V
		return zero, err
	}
	return en.await(ctx, parker)
}

// await sleeps until the waiter is done or ctx ends.
func (f *Future[V]) await(ctx context.Context, parker wake.Parker) (V, error) {
	defer f.abandon() // if Park ends the goroutine or panics
	if err := f.w.Await(ctx, parker); err != nil {
		f.w.Value.leave(&f.w)
		var zero V
		return zero, waitq.ParkError(ctx, err)
	}
	v, err := f.w.Value.result()
	f.w.Value.forget()
	return v, err
}

// abandon leaves the line, unless the waiter is done or left already.
func (f *Future[V]) abandon() {
	if f.w.Abandon() {
		f.w.Value.leave(&f.w)
	}
}
