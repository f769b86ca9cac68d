package waitmap

import (
	"context"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A watch is what happened to a line while its watchers were away. A watcher
// waits for more than one store: it leaves the line when it is woken, looks at
// the value with nothing held, and comes back. What is stored or canceled in
// between it finds here. A line stays while it is watched, so every store of
// the key comes by. The lines' mutex guards it.
type watch[V any] struct {
	watchers int
	away     int      // watchers that are not in line
	released int      // those of them that were canceled, and wait no more
	since    int64    // the first of them came
	now      uint64   // stores and cancels so far
	v        V        // of the last store, which was number
	stored   uint64   //
	canceled uint64   // number of the last cancel
	cancels  []cancel // those that somebody who is away may not have seen
}

// A cancel is why watchers wait no more, and which of the watch's events it was.
type cancel struct {
	number uint64
	err    *stopError
}

// note records a store, or a cancel if there is an error, which has just taken
// all watchers out of line.
func (l *lineHead[V]) note(v V, err *stopError) {
	w := l.watch
	if w == nil || err != nil && w.released == w.watchers { // or all have an error
		return
	}
	w.now++
	w.away = w.watchers
	if err != nil {
		w.canceled, w.released = w.now, w.watchers
		w.cancels = append(w.cancels, cancel{w.now, err})
	} else {
		w.v, w.stored = v, w.now
	}
}

// settled lets go of what all watchers have seen.
func (w *watch[V]) settled() {
	if w.away == 0 {
		var zero V
		w.v, w.cancels = zero, nil
	}
}

// canceledSince is the error of the first cancel after that event, or nil.
func (w *watch[V]) canceledSince(number uint64) error {
	for _, c := range w.cancels {
		if c.number > number {
			return c.err
		}
	}
	return nil
}

// crowd is the number of those who wait, in line or between two looks.
func (l *lineHead[V]) crowd() int { return l.queue.Len() + l.away() }

func (l *lineHead[V]) away() int {
	if l.watch == nil {
		return 0
	}
	return l.watch.away - l.watch.released
}

// oldest is since when somebody waits.
func (l *lineHead[V]) oldest() int64 {
	if w := l.queue.Front(); w != nil {
		return w.Value.since
	}
	return l.watch.since
}

// A watcher is somebody who watches a line. It has one place in it at a time.
type watcher[K comparable, V any] struct {
	e      *engine[K, V]
	ls     *lines[K, V]
	l      *line[K, V] // nil: departed
	f      *Future[V]  // the place
	parker wake.Parker
	since  int64
	came   uint64 // the watch's now then
	seen   uint64 // and at the last look
}

// A look is what a watcher sees: the newest value if there is one that it has
// not seen, and why it waits no more.
type look[V any] struct {
	v     V
	there bool
	err   error
}

// watch attends the key's line, from now on, and looks at what is there.
func (e *engine[K, V]) watch(ctx context.Context, key K) (w watcher[K, V], now look[V]) {
	h := e.hash(key)
	en, parker := newEntrant[K, V](ctx)
	s := e.shard(h)
	c, there := s.lockLines(e, h, 0).peek(key, h)
	defer s.lines.mu.Unlock()
	if there {
		now.v, now.there = unpack[V](e.cells, c)
	}
	if e.closed.Load() { // its partner is Close, which sweeps the lines after it
		now.err = ErrClosed
		return w, now
	}
	w = watcher[K, V]{e: e, ls: &s.lines, l: s.lines.find(key, h), f: &en.Future, parker: parker, since: en.w.Value.since}
	if w.l == nil {
		w.l = s.lines.open(&en.line, key, h)
	}
	if w.l.watch == nil {
		w.l.watch = &watch[V]{since: w.since}
	}
	w.l.watch.watchers++
	w.l.watch.away++
	w.came, w.seen = w.l.watch.now, w.l.watch.now
	return w, now
}

// next sleeps until there is something new.
func (w *watcher[K, V]) next(ctx context.Context) look[V] {
	for {
		now, asleep := w.lookOrEnter()
		if !asleep {
			return now
		}
		if err := w.f.w.Await(ctx, w.parker); err != nil {
			w.depart()
			return look[V]{err: waitq.ParkError(ctx, err)}
		}
		w.f.w.Value.forget() // it is in the watch, or a newer one
		w.f = nil
	}
}

// lookOrEnter looks for what happened since the last look. If that is nothing
// it gets in line under the same lock, so it misses none.
func (w *watcher[K, V]) lookOrEnter() (now look[V], asleep bool) {
	w.ls.mu.Lock()
	defer w.ls.mu.Unlock()
	r := w.l.watch
	if r.now != w.seen {
		if r.stored > w.seen {
			now.v, now.there = r.v, true
		}
		now.err = r.canceledSince(w.seen)
		w.seen = r.now
		return now, false
	}
	if w.e.closed.Load() {
		return look[V]{err: ErrClosed}, false
	}
	if w.f == nil {
		w.f = new(Future[V])
	}
	w.f.w.Waker, w.f.w.Value.since = w.parker, w.since
	w.l.push(&w.f.w)
	r.away--
	r.settled()
	return now, true
}

// depart ends the attendance, wherever the watcher is.
func (w *watcher[K, V]) depart() {
	if w.l == nil {
		return
	}
	w.ls.mu.Lock()
	defer w.ls.mu.Unlock()
	r := w.l.watch
	if w.f == nil || !w.leave() {
		r.away--
	}
	if w.came < r.canceled {
		r.released--
	}
	r.settled()
	if r.watchers--; r.watchers == 0 {
		w.l.watch = nil
	}
	w.ls.tidy(&w.l.lineHead)
	w.l = nil
}

// leave takes the watcher out of line, and reports whether it was in it.
func (w *watcher[K, V]) leave() bool {
	w.f.w.Abandon() // Park may not have returned
	return w.l.remove(&w.f.w)
}
