package dedup

import (
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// flights is the set of loads in flight, by key. It is the engine of Group and Cache.
//
// The mutex of the key's shard guards which flight the key has, its phase and its
// line of callers:
//
//	joinable --publish-------------------------------> done
//	    |                                               ^
//	    +--detach, leave, close--> detached --publish---+
//
// publish stores the result of a joinable flight, but not that of a detached one. Then
// it hands the result to the callers in line.
//
// A joinable flight is in the shard's map, and no other flight is: it changes its
// phase and leaves the map in one step. So a caller joins neither a flight that is
// done nor one that is being canceled.
//
// The result of a flight is settled once: when its load ends, or before that by Close.
// After that, and before it is published, the callbacks run that decide how long to keep
// the result; they may ask for the key and find the flight. See finish.go.
//
// There is no gap between two flights of a key: a caller that creates a flight looks
// into the store with the shard locked, and so sees what the flight before it
// published.
//
// Operations after which neither an old flight nor an older result may be found (Put,
// Invalidate) change the store under the same mutex.
type flights[K comparable, V any] struct {
	shards     atomic.Pointer[shards[K, V]]
	backend    backend[K, V] // nil in a Group
	maxWaiters int           // of a flight; zero means no limit
}

// forgetKey detaches the flight of key, if there is one. It reports false if more than most
// callers wait for it, and then does not.
func (fs *flights[K, V]) forgetKey(key K, most int) bool {
	s := fs.home(key)
	s.mu.Lock()
	f := s.find(key)
	if f != nil && f.callers() > most {
		s.mu.Unlock()
		return false
	}
	idle := f != nil && f.detach()
	s.mu.Unlock()
	schedpoint.At(schedpoint.FlightLeft)
	if idle {
		f.cancel(ErrAbandoned)
	}
	return true
}

// forgetOlder detaches the flights of an older epoch.
func (fs *flights[K, V]) forgetOlder(epoch uint32) {
	fs.forgetIf(func(f *flight[K, V]) bool { return int32(f.epoch-epoch) < 0 }) // epochs wrap
}

// forgetAll detaches all flights.
func (fs *flights[K, V]) forgetAll() { fs.forgetIf(func(*flight[K, V]) bool { return true }) }

// forgetIf detaches the flights for which cond, called with their shard locked, is true.
func (fs *flights[K, V]) forgetIf(cond func(*flight[K, V]) bool) {
	var idle []*flight[K, V]
	fs.eachShard(func(s *shard[K, V]) {
		for f := range s.joinable {
			if cond(f) && f.detach() {
				idle = append(idle, f)
			}
		}
	})
	for _, f := range idle {
		f.cancel(ErrAbandoned)
	}
}

// closeAll closes every flight. A caller that creates one afterwards sees that the
// cache is closed.
func (fs *flights[K, V]) closeAll(err error) (lines waitq.List[struct{}]) {
	var canceled []loading[K, V]
	closeFlight := func(f *flight[K, V]) {
		line, cancel := f.close(err)
		lines.Join(line)
		if cancel {
			canceled = append(canceled, f.loading)
		}
	}
	fs.eachShard(func(s *shard[K, V]) {
		for f := range s.joinable {
			closeFlight(f)
		}
		for f := range s.detached {
			closeFlight(f)
		}
	})
	for _, l := range canceled { // a copy: the flights may be reused by now
		l.cancel(err)
	}
	return lines
}

// len returns the number of loads in flight that callers wait for, and of loads in the
// background.
func (fs *flights[K, V]) len() (n int) {
	fs.eachShard(func(s *shard[K, V]) { n += s.len() })
	return n
}

// inFlight yields the flights that can be joined.
func (fs *flights[K, V]) inFlight(yield func(K, FlightInfo) bool) {
	type seen struct {
		key  K
		info FlightInfo
	}
	s := fs.init()
	for i := range s.list {
		var list []seen
		home := &s.list[i]
		home.mu.Lock()
		for f := range home.joinable {
			list = append(list, seen{f.key, FlightInfo{Waiters: f.callers(), Started: timeOf(f.started)}})
		}
		home.mu.Unlock()
		for _, f := range list {
			if !yield(f.key, f.info) {
				return
			}
		}
	}
}
