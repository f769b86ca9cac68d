package waitmap

import (
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// deliverToOne is the fast half of a store at a home group with lines. If the key has
// exactly one waiter, it hands the value to the waiter and closes the line. Otherwise it
// does nothing and returns false, also if the key must be absent and is not.
func (e *engine[K, V]) deliverToOne(key K, hash uint64, c cell, absent bool) bool {
	ls := &e.shard(hash).lines
	schedpoint.At(schedpoint.MapDelivers)
	ls.mu.Lock()
	l := ls.find(key, hash)
	if l == nil || !l.single() {
		ls.mu.Unlock()
		return false
	}
	w := l.queue.Front()
	w.Value.v, _ = unpack[V](e.cells, c)
	delivered := false
	if !w.Exclusive() {
		delivered = e.publishToOne(ls, l, key, hash, c, absent)
	} else if delivered = w.Finish(); delivered { // or else it is about to leave
		ls.detachAndClose(l)
	}
	if !delivered {
		w.Value.dropValue()
		ls.mu.Unlock()
		return false
	}
	w.Value.dropMap()
	ls.mu.Unlock()
	if w.Done() {
		wakeWaiter(w)
	}
	return true
}

// publishToOne writes the value into the map, then finishes the only waiter of l and
// closes l, then unlocks the home group. So a goroutine that finds the waiter done also
// finds the value in the map, and the next writer of the key finds the waiter done. If
// this is not possible at once, publishToOne does nothing and returns false.
func (e *engine[K, V]) publishToOne(ls *lines[K, V], l *line[K, V], key K, hash uint64, c cell, absent bool) bool {
	fl := e.findInHome(key, hash)
	if absent && fl.live() || !fl.tryLock(0) {
		return false
	}
	next := e.put(&fl, key, hash, c)
	if next == 0 {
		fl.unlock()
		return false
	}
	atomic.StoreUint64(&fl.home.meta, next|metaLocked) // readers ignore the lock
	schedpoint.At(schedpoint.MapStored)
	if w := l.queue.Front(); !w.Finish() {
		w.Value.dropAbandoned()
	}
	ls.detachAndClose(l)
	if !ls.any(fl.t, fl.t.homeIndex(hash)) {
		next &^= metaLines
	}
	e.commit(&fl, next)
	return true
}

// publishToLine is publish for a key with a line. A taker gets the value before anyone
// can see it in the map; then it is never there.
func (e *engine[K, V]) publishToLine(kl *keyLock[K, V], key K, c cell) bool {
	v, _ := unpack[V](e.cells, c)
	var added bool
	taker := kl.line.handOff(v)
	if taker == nil {
		var ok bool
		if added, ok = kl.put(e, key, c); !ok {
			kl.endHold = nil
			kl.release()
			return false
		}
	}
	kl.taker, kl.observers, kl.v = taker, kl.line.detachObservers(), v
	kl.line.record(v, nil)
	kl.release()
	if added {
		e.count(1)
	}
	if taker != nil {
		wakeTaker(taker, kl.observers)
	} else {
		wakeList(kl.observers)
	}
	return true
}

// handOff hands the value to the first taker that has not given up, and returns it.
func (l *lineHead[V]) handOff(v V) *waitq.Waiter[outcome[V]] {
	for w := l.queue.Front(); w != nil && l.takers > 0; {
		next := w.Next()
		if w.Exclusive() {
			l.remove(w)
			w.Value.v = v
			if w.Finish() {
				return w
			}
			w.Value.dropAbandoned()
		}
		w = next
	}
	return nil
}

// detachObservers detaches the waiters that see a value without consuming it.
func (l *lineHead[V]) detachObservers() (list waitq.List[outcome[V]]) {
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

// detachWaiting detaches those that a cancel ends: the whole line, except for takers of a
// value that a computation holds. Since the key has a value, these take it when the
// computation ends, and only if that leaves none they wait from then on.
func (l *line[K, V]) detachWaiting() waitq.List[outcome[V]] {
	if l.holdsValue() {
		return l.detachObservers()
	}
	l.takers = 0 // it is in use
	return l.queue.Detach()
}

// deliver writes the value or the error into each waiter of a detached list and
// finishes the waiter. It returns the number of waiters that had not given up. The
// lines are still locked, so that when a store, Cancel or Close returns, all earlier
// waiters are done, including those to which another goroutine delivers at the same
// time.
func deliver[V any](list waitq.List[outcome[V]], v V, err *stopError) (n int) {
	for w := list.Front(); w != nil; w = w.Next() {
		w.Value.v, w.Value.err = v, err
		if w.Finish() {
			w.Value.dropMap()
			n++
		} else {
			w.Value.dropAbandoned()
		}
	}
	return n
}

// wakeList wakes the finished waiters of a list, even if a waker panics. No lock may
// be held.
func wakeList[V any](list waitq.List[outcome[V]]) {
	schedpoint.At(schedpoint.MapDelivered)
	defer func() {
		if list.Front() != nil {
			wakeList(list)
		}
	}()
	for w := list.Pop(); w != nil; w = list.Pop() {
		if w.Done() {
			wakeWaiter(w)
		}
	}
}

// wakeTaker wakes a taker and then the observers of its value, even if the taker's
// waker panics.
func wakeTaker[V any](taker *waitq.Waiter[outcome[V]], observers waitq.List[outcome[V]]) {
	if observers.Front() != nil {
		defer wakeList(observers)
	}
	wakeWaiter(taker)
}

// wakeWaiter wakes a finished waiter: the goroutines that joined its Future, and then
// its own waker, even if one of the former panics.
func wakeWaiter[V any](w *waitq.Waiter[outcome[V]]) {
	if w.Value.joined == nil {
		w.Wake()
		return
	}
	wakeJoined(w)
}

// wakeJoined is wakeWaiter for a waiter that others joined. No more can join.
func wakeJoined[V any](w *waitq.Waiter[outcome[V]]) {
	defer w.Wake()
	list := w.Value.joined.Detach()
	list.Release()
}
