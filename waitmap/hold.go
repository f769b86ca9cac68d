package waitmap

import (
	"context"
	"sync"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A hold keeps a key for a computation: other changes of the key wait until it ends.
// Loads and waits do not. Takers get in line, also if the key has a value.
type hold struct {
	waiters  waitq.Queue[struct{}] // guarded by the lines' mutex, as ended is
	ended    bool
	loaded   bool                 // the key has a value, which does not change before the end
	detached waitq.List[struct{}] // its waiters when it ended; only the computing goroutine uses it
	owner    string               // that goroutine, in builds that check for reentry
}

func newHold(loaded bool) *hold { return &hold{loaded: loaded, owner: goroutine()} }

// end ends h and detaches its waiters. The lines are locked.
func (h *hold) end() { h.ended, h.detached = true, h.waiters.Detach() }

// wake wakes the waiters that end detached, if h has ended. No lock may be held.
func (h *hold) wake() { h.detached.Release() }

// awaitHold waits until h, which was seen with mu locked, has ended, or returns Park's
// error. The caller holds no lock.
func (e *engine[K, V]) awaitHold(ctx context.Context, mu *sync.Mutex, h *hold) error {
	h.check()
	p := wake.ParkerFrom(ctx)
	w := &waitq.Waiter[struct{}]{Waker: p}
	schedpoint.At(schedpoint.MapHeld)
	mu.Lock()
	if h.ended { // the second look: it ended before w was in line
		mu.Unlock()
		return nil
	}
	h.waiters.Push(w)
	mu.Unlock()
	defer func() { // also if Park panics or ends the goroutine
		mu.Lock()
		h.waiters.Remove(w)
		mu.Unlock()
	}()
	return w.Await(ctx, p)
}

// checkHold panics if the caller's own computation holds the key.
func (e *engine[K, V]) checkHold(key K, hash uint64) {
	if !checkReentry {
		return
	}
	ls := &e.shard(hash).lines
	ls.mu.Lock()
	h := ls.holdOf(key, hash)
	ls.mu.Unlock()
	if h != nil {
		h.check()
	}
}

// check panics if h is the caller's own computation.
func (h *hold) check() {
	if checkReentry && h.owner == goroutine() {
		panic("waitmap: a function passed to Compute, LoadOrCompute or WaitCompute uses its own key")
	}
}
