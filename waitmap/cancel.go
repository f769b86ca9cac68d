package waitmap

import (
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// Cancel ends the waits for key, including Futures, with [ErrCanceled], and returns their
// number. It does not change the value. A [Map.Take] of a value that a computation holds
// does not wait in this sense: it goes on, and so it does on CancelAll and Close.
func (m *Map[K, V]) Cancel(key K) int { return m.CancelCause(key, nil) }

// CancelCause is Cancel with a cause: the errors of the waits match both [ErrCanceled] and
// cause. A nil cause adds nothing.
func (m *Map[K, V]) CancelCause(key K, cause error) int {
	e, err := m.init(), canceledBy(cause)
	return e.cancelKey(key, e.hash(key), err)
}

// cancelKey ends the waits for key.
func (e *engine[K, V]) cancelKey(key K, h uint64, err *stopError) int {
	ls := &e.shard(h).lines
	ls.mu.Lock()
	l := ls.find(key, h)
	if l == nil {
		ls.mu.Unlock()
		return 0
	}
	list, away := l.detachWaiting(), l.away()
	var zero V
	l.record(zero, err)
	ls.dropIfIdle(&l.lineHead)
	n := deliver(list, zero, err)
	ls.mu.Unlock()
	wakeList(list)
	return n + away
}

// CancelAll ends all waits of the map with [ErrCanceled] and returns their number.
func (m *Map[K, V]) CancelAll() int { return m.init().cancelAll(canceled) }

// Close ends all waits, and all later ones that would block, with [ErrClosed]. The entries
// stay, and all operations that do not wait still work. Close returns nil, also when called
// again.
func (m *Map[K, V]) Close() error {
	e := m.init()
	e.closed.Store(true) // before the sweep: see enter
	schedpoint.At(schedpoint.MapClosed)
	e.cancelAll(closed)
	return nil
}

func (e *engine[K, V]) cancelAll(err *stopError) (n int) {
	var all waitq.List[outcome[V]]
	for i := range e.shards {
		list, released := e.shards[i].lines.cancelAll(err)
		all.Join(list)
		n += released
	}
	wakeList(all) // when all are finished: a waker may panic
	return n
}

// cancelAll detaches the waiters of the shard. Lines of keys that are held or watched
// stay.
func (ls *lines[K, V]) cancelAll(err *stopError) (all waitq.List[outcome[V]], n int) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var zero V
	old := ls.buckets
	ls.n = 0
	ls.buckets = make([]*line[K, V], minBuckets)
	for _, l := range old {
		for l != nil {
			next := l.next
			n += l.away()
			all.Join(l.detachWaiting())
			l.record(zero, err)
			if l.hold != nil || l.watch != nil {
				ls.add(l)
			} else {
				l.markClosed()
			}
			l = next
		}
	}
	return all, n + deliver(all, zero, err)
}
