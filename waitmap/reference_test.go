package waitmap_test

import (
	"context"
	"io"
	"time"

	"github.com/vigil-go/vigil/waitmap"
)

// A reference is a simple model of a Map: a built-in map, a list of waiters and the rules,
// without goroutines or locks. A store finishes its waiters before the next call.
type reference struct {
	vals   map[int]int
	line   []*refWait // in the order in which they came
	closed bool
}

type refKind int

const (
	kindWait refKind = iota
	kindNext
	kindFor
	kindCompute
	kindTake
	kindFuture
)

// refWait is one wait: a call that blocks, or a Future.
type refWait struct {
	kind  refKind
	key   int
	arg   int // what the predicate or the function depends on
	since time.Time
	done  bool
	v     int
	err   error // the sentinel that the error must match
	woken bool  // not by Stop: a waker has run
}

func newReference() *reference { return &reference{vals: make(map[int]int)} }

// satisfied is the predicate of WaitFor.
func (w *refWait) satisfied(v int) bool { return v%3 == w.arg%3 }

// change is the function of WaitCompute and of Compute.
func change(arg, old int) (int, waitmap.Op) {
	switch arg % 3 {
	case 0:
		return old + 1, waitmap.StoreOp
	case 1:
		return -1, waitmap.DeleteOp
	default:
		return -1, waitmap.KeepOp
	}
}

func (w *refWait) finish(v int, err error) {
	w.done, w.v, w.err, w.woken = true, v, err, true
}

// waiters are those in line for key.
func (r *reference) waiters(key int) (ws []*refWait) {
	for _, w := range r.line {
		if w.key == key {
			ws = append(ws, w)
		}
	}
	return ws
}

func (r *reference) has(key int, kind refKind) bool {
	for _, w := range r.waiters(key) {
		if w.kind == kind {
			return true
		}
	}
	return false
}

// leave takes the waits that are done out of the line.
func (r *reference) leave() {
	var rest []*refWait
	for _, w := range r.line {
		if !w.done {
			rest = append(rest, w)
		}
	}
	r.line = rest
}

// store publishes v: every waiter gets it, of the takers only the first, and then the calls
// that change the value in place. It reports whether the key has a value afterwards.
func (r *reference) store(key, v int) (stayed bool) {
	taken := false
	for _, w := range r.waiters(key) {
		switch w.kind {
		case kindTake:
			if !taken {
				taken = true
				w.finish(v, nil)
			}
		case kindFor:
			if w.satisfied(v) {
				w.finish(v, nil)
			}
		case kindCompute: // below
		default:
			w.finish(v, nil)
		}
	}
	r.leave()
	if !taken {
		r.vals[key] = v
		for _, w := range r.waiters(key) {
			if w.kind == kindCompute && !w.done {
				r.turn(w)
			}
		}
	}
	r.leave()
	return !taken
}

// turn makes w change the value of its key, which is present.
func (r *reference) turn(w *refWait) {
	old := r.vals[w.key]
	switch v, op := change(w.arg, old); op {
	case waitmap.StoreOp:
		w.finish(v, nil)
		r.store(w.key, v)
	case waitmap.DeleteOp:
		w.finish(old, nil)
		delete(r.vals, w.key)
	default:
		w.finish(old, nil)
	}
}

// start begins a wait: it is done, or it is in line.
func (r *reference) start(w *refWait) {
	v, present := r.vals[w.key]
	switch {
	case present && w.kind == kindFor && w.satisfied(v),
		present && w.kind == kindWait,
		present && w.kind == kindFuture:
		w.finish(v, nil)
	case present && w.kind == kindTake:
		w.finish(v, nil)
		delete(r.vals, w.key)
	case present && w.kind == kindCompute:
		r.turn(w)
	case r.closed:
		w.finish(0, waitmap.ErrClosed)
	default:
		r.line = append(r.line, w)
	}
}

// end is the end of w's context.
func (r *reference) end(w *refWait) {
	if !w.done {
		w.finish(0, context.Canceled)
		r.leave()
	}
}

// stop is Future.Stop.
func (r *reference) stop(w *refWait) bool {
	if w.done {
		return false
	}
	w.finish(0, waitmap.ErrCanceled)
	w.woken = false
	r.leave()
	return true
}

// errRefCause is the cause that scripts cancel with.
var errRefCause = io.EOF

func (r *reference) cancel(key int, err error) int {
	ws := r.waiters(key)
	for _, w := range ws {
		w.finish(0, err)
	}
	r.leave()
	return len(ws)
}

func (r *reference) cancelAll(err error) int {
	n := len(r.line)
	for _, w := range r.line {
		w.finish(0, err)
	}
	r.line = nil
	return n
}

func (r *reference) close() {
	r.closed = true
	r.cancelAll(waitmap.ErrClosed)
}
