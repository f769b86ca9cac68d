package waitmap

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A line is everything about a key that is not its value: its waiters, its watchers
// and the computation that holds it. It exists only while there is one of them. The
// lines' mutex guards it.
type line[K comparable, V any] struct {
	lineHead[V]
	next *line[K, V] // in the same bucket
	key  K
	hold *hold // the computation that holds the key, or nil
}

// lineHead is the part of a line that does not depend on the type of the key. A Future
// refers to it.
type lineHead[V any] struct {
	queue  waitq.Queue[outcome[V]]
	takers uint32 // exclusive waiters in queue; closedLine if it is not in use
	hash   uint32 // the half of the key's hash that chooses the home
	watch  *watch[V]
}

const closedLine = math.MaxUint32

func (l *lineHead[V]) closed() bool { return l.takers == closedLine }

// lineOwner is the lines of a shard without the type of the key.
type lineOwner[V any] interface {
	mutex() *sync.Mutex
	leaveLocked(w *waitq.Waiter[outcome[V]]) bool
}

// A waitNode is one allocation for a Future and the line that it opens if it is the
// first waiter. If other waiters came, the line outlives the first one and keeps its
// memory until they have left.
type waitNode[K comparable, V any] struct {
	Future[V]
	line line[K, V]
}

// lines is a small hash table of the lines of a shard. Like the groups of a table its
// buckets keep the order of hashes, so the lines of one home group are neighbors. This
// makes it possible to clear metaLines when a home group has no line left.
//
// Invariant: the home group of a line has metaLines set. The bit is set with the mutex
// locked, and cleared with the home group locked too. A line may be closed with only the
// mutex locked. Then the bit stays set, without need, until the next change of that
// group.
type lines[K comparable, V any] struct {
	mu      sync.Mutex
	buckets []*line[K, V]
	n       int
	self    lineOwner[V] // this
}

const minBuckets = 4

func (ls *lines[K, V]) index(hash uint32) uint64 {
	return uint64(hash) * uint64(len(ls.buckets)) >> 32
}

func (ls *lines[K, V]) find(key K, hash uint64) *line[K, V] {
	if ls.n == 0 {
		return nil
	}
	return ls.search(key, hash)
}

// holdOf returns the hold on the key, or nil.
func (ls *lines[K, V]) holdOf(key K, hash uint64) *hold {
	if l := ls.find(key, hash); l != nil {
		return l.hold
	}
	return nil
}

func (ls *lines[K, V]) search(key K, hash uint64) *line[K, V] {
	h := uint32(hash >> 32)
	for l := ls.buckets[ls.index(h)]; l != nil; l = l.next {
		if l.hash == h && l.key == key {
			return l
		}
	}
	return nil
}

// any reports whether a key with this home group in t has a line.
func (ls *lines[K, V]) any(t *table[K], home uint64) bool {
	if ls.n == 0 {
		return false
	}
	first, last := t.hashesOf(home)
	for i := ls.index(first); i <= ls.index(last); i++ {
		for l := ls.buckets[i]; l != nil; l = l.next {
			if first <= l.hash && l.hash <= last {
				return true
			}
		}
	}
	return false
}

// open adds an empty line.
func (ls *lines[K, V]) open(l *line[K, V], key K, hash uint64) *line[K, V] {
	l.key, l.hash, l.takers = key, uint32(hash>>32), 0
	ls.add(l)
	return l
}

func (ls *lines[K, V]) add(l *line[K, V]) {
	if ls.n++; ls.n > 2*len(ls.buckets) {
		ls.grow()
	}
	ls.link(l)
}

func (ls *lines[K, V]) grow() { ls.resize(max(minBuckets, 2*len(ls.buckets))) }

func (ls *lines[K, V]) link(l *line[K, V]) {
	b := &ls.buckets[ls.index(l.hash)]
	l.next, *b = *b, l
}

// single reports whether the line has exactly one waiter, no watcher and no hold.
func (l *line[K, V]) single() bool { return l.queue.Len() == 1 && l.watch == nil && l.hold == nil }

// holdsValue reports whether a computation holds the key, which has a value. Nil is no
// line.
func (l *line[K, V]) holdsValue() bool { return l != nil && l.hold != nil && l.hold.loaded }

// dropIfIdle closes the line if it has no waiter, no watcher and no hold.
func (ls *lines[K, V]) dropIfIdle(head *lineHead[V]) {
	if head.queue.Len() != 0 || head.watch != nil || head.closed() {
		return
	}
	l := ls.buckets[ls.index(head.hash)]
	for &l.lineHead != head {
		l = l.next
	}
	if l.hold == nil {
		ls.close(l)
	}
}

// detachAndClose closes a line whose only waiter is finished.
func (ls *lines[K, V]) detachAndClose(l *line[K, V]) {
	l.queue.Detach()
	ls.close(l)
}

// close takes the line out of its bucket.
func (ls *lines[K, V]) close(l *line[K, V]) {
	b := &ls.buckets[ls.index(l.hash)]
	for *b != l {
		b = &(*b).next
	}
	*b = l.next
	l.markClosed()
	if ls.n--; ls.n < len(ls.buckets)/4 {
		ls.shrink()
	}
}

func (ls *lines[K, V]) shrink() {
	if len(ls.buckets) > minBuckets {
		ls.resize(len(ls.buckets) / 2)
	}
}

// held returns the lines of the keys that a computation holds.
func (ls *lines[K, V]) held() (held []*line[K, V]) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.each {
		if l.hold != nil {
			held = append(held, l)
		}
	}
	return held
}

// each calls f for every line until f returns false.
func (ls *lines[K, V]) each(f func(*line[K, V]) bool) {
	for _, l := range ls.buckets {
		for ; l != nil; l = l.next {
			if !f(l) {
				return
			}
		}
	}
}

// markClosed drops what the line refers to: a Future that contains it may be kept for
// long.
func (l *line[K, V]) markClosed() {
	var zero K
	l.key, l.next, l.takers = zero, nil, closedLine
}

func (ls *lines[K, V]) resize(n int) {
	old := ls.buckets
	ls.buckets = make([]*line[K, V], n)
	for _, l := range old {
		for l != nil {
			next := l.next
			ls.link(l)
			l = next
		}
	}
}

// markHomes sets metaLines in the home group of each line, in a table that is not yet
// in use.
func (ls *lines[K, V]) markHomes(t *table[K]) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if uint64(ls.n) > 4*t.homes { // most homes have a line
		for i := range t.homes {
			t.first.at(i).meta |= metaLines
		}
		return
	}
	for l := range ls.each {
		t.home(uint64(l.hash) << 32).meta |= metaLines
	}
}

// leave takes a waiter out of its line, and closes the line if it is idle. It returns
// false if the waiter is not in line any more.
func (ls *lines[K, V]) leave(w *waitq.Waiter[outcome[V]]) bool {
	schedpoint.At(schedpoint.MapLeaves)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.leaveLocked(w)
}

func (ls *lines[K, V]) leaveLocked(w *waitq.Waiter[outcome[V]]) bool {
	l := w.Value.line
	if l == nil || w.Done() || !l.remove(w) {
		return false
	}
	ls.dropIfIdle(l)
	w.Value.dropMap()
	return true
}

// settle waits until a notifier has unlocked the lines that may have finished the
// caller's waiter and not yet removed the entry that a computation left to it.
func (ls *lines[K, V]) settle() {
	ls.mu.Lock()
	//lint:ignore SA2001 the notifier has removed the entry
	ls.mu.Unlock()
}

func (ls *lines[K, V]) mutex() *sync.Mutex { return &ls.mu }

func (l *lineHead[V]) push(w *waitq.Waiter[outcome[V]]) {
	w.Value.line = l
	l.queue.Push(w)
	l.takers += w.Takes()
}

func (l *lineHead[V]) remove(w *waitq.Waiter[outcome[V]]) bool {
	ok := l.queue.Remove(w)
	if ok {
		l.takers -= w.Takes()
	}
	return ok
}

// An outcome is what a waiter in line carries, and its result.
type outcome[V any] struct {
	v      V
	err    *stopError                   // the reason if there is no value
	since  int64                        // in line since: by monotime
	line   *lineHead[V]                 // guarded by the lines' mutex, as the rest is
	owner  atomic.Pointer[lineOwner[V]] // of a Future's line; nil if the Future is done or gone
	joined *waitq.Queue[struct{}]       // goroutines in Future.Wait, except the one whose parker is the Waker; or nil
}

// dropMap drops the references to the map when the waiter is done or has left: a Future
// may be kept for long. A sleeper keeps the reference to a line that is still open, see
// recycle.
func (o *outcome[V]) dropMap() {
	if o.owner.Load() != nil {
		o.line = nil
		o.owner.Store(nil)
	} else if o.line != nil && o.line.closed() {
		o.line = nil
	}
}

// dropValue drops a value that comes too late: the waiter's memory may be kept for
// long.
func (o *outcome[V]) dropValue() {
	var zero V
	o.v = zero
}

// dropAbandoned is for a waiter that gave up and was taken out of line before it left.
// It must not use the line, which may become another key's.
func (o *outcome[V]) dropAbandoned() {
	o.dropValue()
	o.line = nil
}

func (o *outcome[V]) result() (v V, err error) {
	if o.err != nil {
		return v, o.err
	}
	return o.v, nil
}
