package waitmap

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/internal/monotime"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A sleeper is a waiter and what it sleeps on. Later waits of the map use it again,
// because a new waiter and a new channel would cost as much as the rest of a wait.
//
// A waker's last use of a sleeper is the send on its channel or, if the context has a
// parker, to set called. So a sleeper that received, or finds called set, belongs to its
// own goroutine alone, except for its line, in which there may be other waiters.
type sleeper[K comparable, V any] struct {
	waitNode[K, V]
	channel     wake.Chan // has room for the one wake of a wait; nil until a goroutine needs it
	parkerWaker parkerWaker
	discard     bool  // must not be used again: a waker may still use it
	lastUse     int64 // when the last wait began: by monotime
}

// parkerWaker is the waker of a sleeper whose context has a parker. The parker may return
// because of an older permit, so the wait may end before its waker was called.
type parkerWaker struct {
	parker wake.Parker // nil: a goroutine sleeps
	called atomic.Bool
}

func (p *parkerWaker) Wake() {
	parker := p.parker
	p.called.Store(true)
	parker.Wake()
}

// sleeperFor returns a sleeper for a wait under ctx.
func (e *engine[K, V]) sleeperFor(ctx context.Context) *sleeper[K, V] {
	p, ok := wake.FromContext(ctx)
	since := monotime.Now()
	s := e.fromPool(since)
	switch {
	case ok:
		s.parkerWaker.parker = p
		s.w.Waker = &s.parkerWaker
	case s.channel == nil:
		s.channel, s.discard = make(wake.Chan, 1), waitq.InBubble()
		fallthrough
	default:
		s.w.Waker = s.channel
	}
	s.w.Value.since = since
	return s
}

// fromPool returns a sleeper from the pool, or a new one. In a testing/synctest bubble it
// returns a new one, since a channel from outside does not block durably there. The clock
// of a bubble starts in 2000, so since is negative, unless the bubble has advanced it past
// the time at which the program began. Therefore fromPool calls InBubble too, except if the
// sleeper was used within the last millisecond of this clock.
func (e *engine[K, V]) fromPool(since int64) *sleeper[K, V] {
	if since >= 0 {
		s, ok := e.sleepers.Get().(*sleeper[K, V])
		if ok && (uint64(since-s.lastUse) < uint64(time.Millisecond) || !waitq.InBubble()) {
			return s
		}
	}
	return new(sleeper[K, V])
}

// yield yields the processor before a goroutine gets in line, and reports whether it did:
// then the caller looks again. Where the goroutine that stores the value is runnable, this
// saves the sleep and the wake, which cost several times as much. A task does not yield,
// because that would hold up its loop.
func (s *sleeper[K, V]) yield() bool {
	if s.parkerWaker.parker != nil {
		return false
	}
	runtime.Gosched()
	return true
}

// receive waits for the wake. It returns false if done was closed first.
func (s *sleeper[K, V]) receive(done <-chan struct{}) bool {
	select {
	case <-s.channel:
		return true
	case <-done:
		schedpoint.At(schedpoint.ContextWon)
		return false
	}
}

// recycle puts s into the pool if it may be used again. It may not while its own line is
// open; dropMap leaves outcome.line set then.
func (e *engine[K, V]) recycle(s *sleeper[K, V]) {
	o := &s.w.Value
	o.dropValue()
	if s.discard || o.line == &s.line.lineHead {
		return
	}
	s.lastUse = o.since
	if s.parkerWaker.parker != nil {
		s.parkerWaker.parker = nil
		s.parkerWaker.called.Store(false)
	}
	s.w.Renew()
	e.sleepers.Put(s)
}
