package waitmap

import (
	"context"
	"sync"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/wake"
)

// A hold keeps a key for a computation: other changes of the key wait until it
// is over. Loads and waits do not.
type hold struct {
	waiters waitq.Queue[struct{}] // guarded by the lines' mutex
	ended   waitq.List[struct{}]  // its waiters at the end: of the computing goroutine
	owner   string                // that goroutine, in builds that check for reentry
}

func newHold() *hold { return &hold{owner: goroutine()} }

// end detaches those who wait for h. The lines are locked.
func (h *hold) end() { h.ended = h.waiters.Detach() }

// wake wakes those who waited when h ended, if it has. No lock is held.
func (h *hold) wake() { h.ended.Release() }

// await waits until h, which was seen on the line l, is over, or fails with
// Park's error. Nothing is held.
func (e *engine[K, V]) await(ctx context.Context, mu *sync.Mutex, l *line[K, V], h *hold) error {
	h.check()
	p := wake.ParkerFrom(ctx)
	w := &waitq.Waiter[struct{}]{Waker: p}
	yield.At(yield.MapHeld)
	mu.Lock()
	if l.hold != h { // the second look: it ended before w was in line
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
	l := ls.find(key, hash)
	var h *hold
	if l != nil {
		h = l.hold
	}
	ls.mu.Unlock()
	if h != nil {
		h.check()
	}
}

// check panics if the computation is the caller's own.
func (h *hold) check() {
	if checkReentry && h.owner == goroutine() {
		panic("waitmap: a function passed to Compute, LoadOrCompute or WaitCompute uses its own key")
	}
}
