package waitmap

import (
	"iter"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
)

// Cancel releases all who wait for key: they get [ErrCanceled]. It returns how
// many there were. It does not touch the value.
func (m *Map[K, V]) Cancel(key K) int { return m.CancelCause(key, nil) }

// CancelCause is Cancel with a reason: the waits' errors match both
// [ErrCanceled] and cause.
func (m *Map[K, V]) CancelCause(key K, cause error) int {
	e, err := m.init(), canceledBy(cause)
	h := e.hash(key)
	ls := &e.shard(h).lines
	ls.mu.Lock()
	l := ls.find(key, h)
	if l == nil {
		ls.mu.Unlock()
		return 0
	}
	list, away := l.all(), l.away()
	var zero V
	l.note(zero, err)
	ls.tidy(&l.lineHead)
	n := settle(list, zero, err)
	ls.mu.Unlock()
	wakeList(list)
	return n + away
}

// CancelAll releases all who wait for any key, and returns how many.
func (m *Map[K, V]) CancelAll() int { return m.init().cancelAll(canceled) }

// Close releases all who wait, now and later, with [ErrClosed]. The entries
// stay, and so does everything that does not wait. It returns nil, each time.
func (m *Map[K, V]) Close() error {
	e := m.init()
	e.closed.Store(true) // before the sweep: see enter
	yield.At(yield.MapClosed)
	e.cancelAll(closed)
	return nil
}

func (e *engine[K, V]) cancelAll(err *stopError) (n int) {
	var all waitq.List[fate[V]]
	for i := range e.shards {
		list, settled := e.shards[i].lines.settleAll(err)
		all.Join(list)
		n += settled
	}
	wakeList(all) // when all are settled: a waker may panic
	return n
}

// settleAll detaches every waiter of the shard. Lines of keys that are held or
// watched stay.
func (ls *lines[K, V]) settleAll(err *stopError) (all waitq.List[fate[V]], n int) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var zero V
	old := ls.buckets
	ls.n = 0
	ls.buckets = make([]*line[K, V], fewestBuckets)
	for _, l := range old {
		for l != nil {
			next := l.next
			n += l.away()
			all.Join(l.all())
			l.note(zero, err)
			if l.hold != nil || l.watch != nil {
				ls.add(l)
			} else {
				l.forget()
			}
			l = next
		}
	}
	return all, n + settle(all, zero, err)
}

// WaitInfo says who waits for a key.
type WaitInfo struct {
	Waiters int       // how many
	Oldest  time.Time // since when the first of them is in line
}

// Waiting returns an iterator over the keys that are waited for. Like
// [Map.Range] it is not a snapshot. Nothing is held while the loop's body runs.
func (m *Map[K, V]) Waiting() iter.Seq2[K, WaitInfo] {
	type row struct {
		key  K
		info WaitInfo
	}
	return func(yield func(K, WaitInfo) bool) {
		e := m.init()
		for i := range e.shards {
			ls := &e.shards[i].lines
			var rows []row
			ls.mu.Lock()
			for l := range ls.each {
				if n := l.crowd(); n > 0 {
					rows = append(rows, row{l.key, WaitInfo{n, since(l.oldest())}})
				}
			}
			ls.mu.Unlock()
			for _, r := range rows {
				if !yield(r.key, r.info) {
					return
				}
			}
		}
	}
}

// since turns a waiter's age into a time; by way of the age, because the clock
// of a testing/synctest bubble has another epoch.
func since(ns int64) time.Time {
	return time.Now().Add(time.Duration(ns) - time.Since(epoch))
}

// Waiters is the number of those who wait for key. A WaitFor counts also while
// it looks at a value.
func (m *Map[K, V]) Waiters(key K) int {
	e := m.init()
	h := e.hash(key)
	ls := &e.shard(h).lines
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.find(key, h); l != nil {
		return l.crowd()
	}
	return 0
}
