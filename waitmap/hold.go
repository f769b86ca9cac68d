package waitmap

import "sync"

// A hold keeps a key for a computation: other changes of the key wait until it
// is over. Loads and waits do not.
type hold struct {
	mu    sync.Mutex // locked for as long as the computation runs
	owner string     // the goroutine, in builds that check for reentry
}

func newHold() *hold {
	h := &hold{owner: goroutine()}
	h.mu.Lock()
	return h
}

// wait blocks until the computation is over.
func (h *hold) wait() {
	h.check()
	h.mu.Lock()
	//lint:ignore SA2001 it only waits
	h.mu.Unlock()
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
