package cluster

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/wake"
)

// An instant is a moment in what a Bucket has seen. Histories are counted: revisions of
// different ones cannot be compared.
type instant struct {
	history  uint64
	revision uint64
}

// before reports whether i is earlier than j.
func (i instant) before(j instant) bool {
	return i.history < j.history || i.history == j.history && i.revision < j.revision
}

// Revisions is how far a Bucket has come, and its waiters for later revisions.
type revisions struct {
	mu      sync.Mutex
	now     instant
	name    string    // of the history of now
	told    time.Time // when it became now
	closed  bool
	waiters revisionHeap
}

// A revisionWaiter waits for a revision. Its fields but done and err change under the mutex.
type revisionWaiter struct {
	at    instant
	waker wake.Waker
	index int // in the heap, or -1
	err   error
	done  atomic.Bool // err is set
}

// errNewHistory ends a wait for a revision of a history that is over.
var errNewHistory = errors.New("cluster: the bucket was emptied or made anew")

func (r *revisions) load() (now instant, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, r.name
}

// advance notes that everything up to a revision was applied, and wakes those who wait for
// that.
func (r *revisions) advance(to instant, name string) {
	r.mu.Lock()
	r.now, r.name, r.told = to, name, time.Now()
	over := r.take(func(w *revisionWaiter) bool {
		return w.at.history < to.history || w.at.history == to.history && w.at.revision <= to.revision
	})
	r.mu.Unlock()
	for _, w := range over {
		if w.at.history < to.history {
			w.err = errNewHistory
		}
	}
	finishAll(over)
}

// close ends all waits.
func (r *revisions) close() {
	r.mu.Lock()
	r.closed = true
	over := r.take(func(*revisionWaiter) bool { return true })
	r.mu.Unlock()
	for _, w := range over {
		w.err = ErrClosed
	}
	finishAll(over)
}

// take takes waiters out of the heap while the first one is over.
func (r *revisions) take(over func(*revisionWaiter) bool) (all []*revisionWaiter) {
	for len(r.waiters) > 0 && over(r.waiters[0]) {
		all = append(all, heap.Pop(&r.waiters).(*revisionWaiter))
	}
	return all
}

func finishAll(all []*revisionWaiter) {
	wakers := make([]func(), len(all))
	for i, w := range all {
		wakers[i] = w.finish
	}
	callAll(wakers)
}

// callAll calls the functions one after the other, also if one panics or calls
// runtime.Goexit.
func callAll(all []func()) {
	for len(all) > 0 {
		f := all[0]
		all = all[1:]
		func() {
			returned := false
			defer func() {
				if !returned {
					callAll(all)
				}
			}()
			f()
			returned = true
		}()
	}
}

func (w *revisionWaiter) finish() {
	waker := w.waker // w is its waiter's when done is set
	w.done.Store(true)
	waker.Wake()
}

// wait waits until everything up to a revision was applied. It fails if ctx ends, the
// Bucket is closed, or another history begins.
func (r *revisions) wait(ctx context.Context, at instant) error {
	if over, err := r.look(at); over {
		return err
	}
	w := &revisionWaiter{at: at, waker: wake.ParkerFrom(ctx)}
	r.mu.Lock()
	if over, err := r.lookLocked(at); over { // the second look
		r.mu.Unlock()
		return err
	}
	heap.Push(&r.waiters, w)
	r.mu.Unlock()
	defer r.leave(w)
	for !w.done.Load() {
		if err := w.waker.(wake.Parker).Park(ctx); err != nil && !w.done.Load() {
			if ctx.Err() != nil {
				err = engine.ContextError(ctx)
			}
			return err
		}
	}
	return w.err
}

// leave takes w out of the heap.
func (r *revisions) leave(w *revisionWaiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.index >= 0 {
		heap.Remove(&r.waiters, w.index)
	}
}

func (r *revisions) look(at instant) (over bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lookLocked(at)
}

func (r *revisions) lookLocked(at instant) (over bool, err error) {
	switch {
	case at.history < r.now.history:
		return true, errNewHistory
	case at.history == r.now.history && at.revision <= r.now.revision:
		return true, nil
	case r.closed:
		return true, ErrClosed
	}
	return false, nil
}

// A revisionHeap has the waiter of the earliest instant first.
type revisionHeap []*revisionWaiter

func (h revisionHeap) Len() int { return len(h) }

func (h revisionHeap) Less(i, j int) bool { return h[i].at.before(h[j].at) }

func (h revisionHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *revisionHeap) Push(x any) {
	w := x.(*revisionWaiter)
	w.index = len(*h)
	*h = append(*h, w)
}

func (h *revisionHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h, w.index = old[:len(old)-1], -1
	return w
}
