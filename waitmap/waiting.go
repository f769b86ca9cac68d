package waitmap

import (
	"iter"
	"time"

	"github.com/vigil-go/vigil/internal/monotime"
)

// WaitInfo describes the waiters of a key.
type WaitInfo struct {
	Waiters int       // the number of waiters
	Oldest  time.Time // when the call that has waited longest began
}

// Waiting returns an iterator over the keys that have waiters. It does not iterate over a
// snapshot, as [Map.Range] does not. No lock is held while the body of the loop runs.
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
				if n := l.waiterCount(); n > 0 {
					rows = append(rows, row{l.key, WaitInfo{n, monotime.Time(l.oldest())}})
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

// Waiters returns the number of waiters of key. It includes calls of WaitFor whose
// predicate is running, and loops over Watch whose body is.
func (m *Map[K, V]) Waiters(key K) int {
	e := m.init()
	h := e.hash(key)
	ls := &e.shard(h).lines
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.find(key, h); l != nil {
		return l.waiterCount()
	}
	return 0
}
