package waitmap

import (
	"sync"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
)

// A line is everything about a key that is not its value: those who wait for
// it, who watches it, and who holds it for a computation. It exists only while
// there is one of them. The lines' mutex guards it.
type line[K comparable, V any] struct {
	lineHead[V]
	next *line[K, V] // in the same bucket
	key  K
	hold *hold // who computes the key's value, or nil
}

// lineHead is the part of a line that a Future, which knows no K, stands in.
type lineHead[V any] struct {
	queue  waitq.Queue[fate[V]]
	takers uint32 // exclusive waiters in queue
	hash   uint32 // the half of the key's hash that chooses the home
	watch  *watch[V]
}

// lineOwner is the lines of a shard, as a Future sees them.
type lineOwner[V any] interface {
	leave(w *waitq.Waiter[fate[V]])
}

// An entrant is a Future with the line that it opens if it is the first: one
// allocation for both. A line outlives its first waiter if others came, and
// keeps that one's memory until they left too.
type entrant[K comparable, V any] struct {
	Future[V]
	line line[K, V]
}

// lines is a small hash table of the lines of a shard. Like the groups of a
// table its buckets keep the order of hashes, so the lines of one home are
// neighbors: that is what makes metaLines exact again when a home has no line
// left.
//
// Invariant: a line's home has metaLines set. It is set with the mutex locked
// and cleared with the home locked too; a line may go under the mutex alone,
// which leaves the bit set in vain until the next change of that home.
type lines[K comparable, V any] struct {
	mu      sync.Mutex
	buckets []*line[K, V]
	n       int
	self    lineOwner[V] // this
}

const fewestBuckets = 4

func (ls *lines[K, V]) index(hash uint32) uint64 {
	return uint64(hash) * uint64(len(ls.buckets)) >> 32
}

func (ls *lines[K, V]) find(key K, hash uint64) *line[K, V] {
	if ls.n == 0 {
		return nil
	}
	h := uint32(hash >> 32)
	for l := ls.buckets[ls.index(h)]; l != nil; l = l.next {
		if l.hash == h && l.key == key {
			return l
		}
	}
	return nil
}

// any reports whether a key with this home in t has a line.
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
	l.key, l.hash = key, uint32(hash>>32)
	ls.add(l)
	return l
}

func (ls *lines[K, V]) add(l *line[K, V]) {
	if ls.n++; ls.n > 2*len(ls.buckets) {
		ls.resize(max(fewestBuckets, 2*len(ls.buckets)))
	}
	ls.link(l)
}

func (ls *lines[K, V]) link(l *line[K, V]) {
	b := &ls.buckets[ls.index(l.hash)]
	l.next, *b = *b, l
}

// tidy removes the line if nobody needs it any more.
func (ls *lines[K, V]) tidy(head *lineHead[V]) {
	if head.queue.Len() != 0 || head.watch != nil {
		return
	}
	b := &ls.buckets[ls.index(head.hash)]
	for *b != nil && &(*b).lineHead != head {
		b = &(*b).next
	}
	if *b == nil || (*b).hold != nil {
		return
	}
	l := *b
	*b = l.next
	l.forget()
	if ls.n--; ls.n < len(ls.buckets)/4 && len(ls.buckets) > fewestBuckets {
		ls.resize(len(ls.buckets) / 2)
	}
}

// held returns the lines of keys that a computation holds.
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

// each calls f for every line.
func (ls *lines[K, V]) each(f func(*line[K, V]) bool) {
	for _, l := range ls.buckets {
		for ; l != nil; l = l.next {
			if !f(l) {
				return
			}
		}
	}
}

// forget lets go of the key: a Future may be kept for long.
func (l *line[K, V]) forget() {
	var zero K
	l.key, l.next = zero, nil
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

// rehome marks the homes of all lines in a table that nobody else can see yet.
func (ls *lines[K, V]) rehome(t *table[K]) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if uint64(ls.n) > 4*t.homes { // hardly a home without a line
		for i := range t.homes {
			t.first.at(i).meta |= metaLines
		}
		return
	}
	for l := range ls.each {
		t.home(uint64(l.hash) << 32).meta |= metaLines
	}
}

// leave takes a waiter that gave up out of its line, if it is still there.
func (ls *lines[K, V]) leave(w *waitq.Waiter[fate[V]]) {
	yield.At(yield.MapLeaves)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := w.Value.line; l.remove(w) {
		ls.tidy(l)
	}
}

func (l *lineHead[V]) push(w *waitq.Waiter[fate[V]]) {
	w.Value.line = l
	l.queue.Push(w)
	if w.Exclusive() {
		l.takers++
	}
}

func (l *lineHead[V]) remove(w *waitq.Waiter[fate[V]]) bool {
	ok := l.queue.Remove(w)
	if ok && w.Exclusive() {
		l.takers--
	}
	return ok
}

// hand gives the value to the first taker that has not given up.
func (l *lineHead[V]) hand(v V) *waitq.Waiter[fate[V]] {
	for w := l.queue.Front(); w != nil && l.takers > 0; {
		next := w.Next()
		if w.Exclusive() {
			l.remove(w)
			w.Value.v = v
			if w.Finish() {
				w.Value.letGo()
				return w
			}
			w.Value.forget()
		}
		w = next
	}
	return nil
}

// witnesses detaches all who see a value without consuming it.
func (l *lineHead[V]) witnesses() (list waitq.List[fate[V]]) {
	if l.takers == 0 {
		return l.queue.Detach()
	}
	for w := l.queue.Front(); w != nil && l.queue.Len() > int(l.takers); {
		next := w.Next()
		if !w.Exclusive() {
			l.remove(w)
			list.Add(w)
		}
		w = next
	}
	return list
}

// all detaches the whole line.
func (l *lineHead[V]) all() waitq.List[fate[V]] {
	l.takers = 0
	return l.queue.Detach()
}
