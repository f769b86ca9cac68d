package waitmap

import (
	"context"
	"iter"

	"github.com/vigil-go/vigil/internal/monotime"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A watch is what happened to a line while its watchers were not in it. A watcher waits
// for more than one store: it leaves the line when it is woken, looks at the value with
// nothing held, and comes back. Here it finds what was stored or canceled meanwhile. A
// line exists as long as it is watched, so no store of the key passes it by. The lines'
// mutex guards the watch.
type watch[V any] struct {
	watchers   int
	away       int      // watchers that are not in line
	released   int      // those of the latter that were canceled and do not wait any more
	since      int64    // when the first of them came
	events     uint64   // stores and cancels so far
	v          V        // of the last store
	lastStore  uint64   // number of the last store
	lastCancel uint64   // number of the last cancel
	cancels    []cancel // those that a watcher which is away may not have seen
}

// A cancel is the error that ended the waits of watchers, and its number among the
// watch's events.
type cancel struct {
	number uint64
	err    *stopError
}

// record records a store, or a cancel if there is an error, which has just taken all
// watchers out of line.
func (l *lineHead[V]) record(v V, err *stopError) {
	w := l.watch
	if w == nil || err != nil && w.released == w.watchers { // or all have an error already
		return
	}
	w.events++
	w.away = w.watchers
	if err != nil {
		w.lastCancel, w.released = w.events, w.watchers
		w.cancels = append(w.cancels, cancel{w.events, err})
	} else {
		w.v, w.lastStore = v, w.events
	}
}

// dropSeen drops what all watchers have seen.
func (w *watch[V]) dropSeen() {
	if w.away == 0 {
		var zero V
		w.v, w.cancels = zero, nil
	}
}

// canceledSince returns the error of the first cancel after that event, or nil.
func (w *watch[V]) canceledSince(number uint64) error {
	for _, c := range w.cancels {
		if c.number > number {
			return c.err
		}
	}
	return nil
}

// waiterCount returns the number of waiters, in line or between two looks.
func (l *lineHead[V]) waiterCount() int { return l.queue.Len() + l.away() }

// away returns the number of watchers that wait but are not in line.
func (l *lineHead[V]) away() int {
	if l.watch == nil {
		return 0
	}
	return l.watch.away - l.watch.released
}

// oldest returns the time since which the longest waiter waits.
func (l *lineHead[V]) oldest() int64 {
	if w := l.queue.Front(); w != nil {
		return w.Value.since
	}
	return l.watch.since
}

// Watch returns an iterator over the values of key: the one that is there, then each newer
// one. It may skip values that were overwritten while the body of the loop ran, but not the
// last one, even if that is deleted or taken the next moment, and it repeats none. A
// delete is not shown.
//
// The iteration ends with a pair of the zero value and an error, which matches ctx.Err()
// and context.Cause(ctx) if ctx has ended, [ErrCanceled] after Cancel, and [ErrClosed]
// after Close. Nothing is locked while the body runs, and nothing is left in the map when
// the loop ends, however it ends. Each loop over the iterator begins anew. Watch panics if
// ctx is nil.
func (m *Map[K, V]) Watch(ctx context.Context, key K) iter.Seq2[V, error] {
	mustContext(ctx)
	return func(yield func(V, error) bool) {
		w, u := m.init().watch(ctx, key)
		defer w.stop() // also if the body or Park panics
		for ; ; u = w.next(ctx) {
			if u.ok && !yield(u.v, nil) {
				return
			}
			if u.err != nil {
				var zero V
				yield(zero, u.err)
				return
			}
		}
	}
}

// A watcher watches a line. It is in the line at most once at a time.
type watcher[K comparable, V any] struct {
	e      *engine[K, V]
	ls     *lines[K, V]
	l      *line[K, V] // nil: stopped
	f      *Future[V]  // its waiter; nil: not in line since the last look
	parker wake.Parker
	since  int64
	first  uint64 // the watch's events when it came
	seen   uint64 // and at its last look
}

// An update is what a watcher sees: the newest value, if it has not seen that yet, and
// the error that ends its wait.
type update[V any] struct {
	v   V
	ok  bool
	err error
}

// watch starts to watch the key's line and returns what is there at that moment.
func (e *engine[K, V]) watch(ctx context.Context, key K) (w watcher[K, V], u update[V]) {
	h := e.hash(key)
	n, parker, since := new(waitNode[K, V]), wake.ParkerFrom(ctx), monotime.Now()
	s := e.shard(h)
	c, there := s.lockLines(e, h).peek(key, h)
	defer s.lines.mu.Unlock()
	if there {
		u.v, u.ok = unpack[V](e.cells, c)
	}
	if e.closed.Load() { // its partner is Close, which sweeps the lines after it
		u.err = ErrClosed
		return w, u
	}
	w = watcher[K, V]{e: e, ls: &s.lines, l: s.lines.find(key, h), f: &n.Future, parker: parker, since: since}
	if w.l == nil {
		w.l = s.lines.open(&n.line, key, h)
	}
	if w.l.watch == nil {
		w.l.watch = &watch[V]{since: w.since}
	}
	w.l.watch.watchers++
	w.l.watch.away++
	w.first, w.seen = w.l.watch.events, w.l.watch.events
	return w, u
}

// next sleeps until there is an update.
func (w *watcher[K, V]) next(ctx context.Context) update[V] {
	for {
		u, asleep := w.pollOrEnter()
		if !asleep {
			if u.err == nil && ctx.Err() != nil { // or else a wait whose key is always overwritten would not end
				u.err = waitq.ContextError(ctx)
			}
			return u
		}
		if err := w.f.w.Await(ctx, w.parker); err != nil {
			w.stop()
			return update[V]{err: waitq.ParkError(ctx, err)}
		}
		w.f.w.Value.dropValue() // it is in the watch, or a newer one
		w.f = nil
	}
}

// pollOrEnter returns an update if there is one since the last call. If not, it gets in
// line under the same lock, so it misses none.
func (w *watcher[K, V]) pollOrEnter() (u update[V], asleep bool) {
	w.ls.mu.Lock()
	defer w.ls.mu.Unlock()
	r := w.l.watch
	if r.events != w.seen {
		if r.lastStore > w.seen {
			u.v, u.ok = r.v, true
		}
		u.err = r.canceledSince(w.seen)
		w.seen = r.events
		return u, false
	}
	if w.e.closed.Load() {
		return update[V]{err: ErrClosed}, false
	}
	if w.f == nil {
		w.f = new(Future[V])
	}
	w.f.w.Waker, w.f.w.Value.since = w.parker, w.since
	w.l.push(&w.f.w)
	r.away--
	r.dropSeen()
	return u, true
}

// stop ends the watch, whether or not the watcher is in line.
func (w *watcher[K, V]) stop() {
	if w.l == nil {
		return
	}
	w.ls.mu.Lock()
	defer w.ls.mu.Unlock()
	r := w.l.watch
	if w.f == nil || !w.leave() {
		r.away--
	}
	if w.first < r.lastCancel {
		r.released--
	}
	r.dropSeen()
	if r.watchers--; r.watchers == 0 {
		w.l.watch = nil
	}
	w.ls.dropIfIdle(&w.l.lineHead)
	w.l = nil
}

// leave takes the watcher out of line, and reports whether it was in it.
func (w *watcher[K, V]) leave() bool {
	w.f.w.Abandon() // Park may not have returned
	return w.l.remove(&w.f.w)
}
