package dedup

import (
	"context"
	"hash/maphash"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/schedpoint"
)

// A shard is a part of the flights. Its mutex guards which flight a key has, and the
// fields of a flight that are said to be guarded by it. While it is locked no user code
// runs, and no method of a caller's context.
type shard[K comparable, V any] struct {
	mu       sync.Mutex
	one      *flight[K, V]              // a joinable flight, or nil
	others   map[K]*flight[K, V]        // the other joinable flights
	detached map[*flight[K, V]]struct{} // those that have callers, for Close
	peak     int                        // the greatest length of others
	all      *flights[K, V]
	spare    atomic.Pointer[flight[K, V]] // an unused zero flight, or nil
	skip     atomic.Int32                 // the number of callers that do not yield next

	_ [4]byte // fill a cache line
}

// shards are made at the first use.
type shards[K comparable, V any] struct {
	seed maphash.Seed
	list []shard[K, V]
}

func newShards[K comparable, V any](fs *flights[K, V]) *shards[K, V] {
	s := &shards[K, V]{seed: maphash.MakeSeed(), list: make([]shard[K, V], 1<<bits.Len(uint(4*runtime.GOMAXPROCS(0)-1)))}
	for i := range s.list {
		s.list[i].all = fs
	}
	return s
}

// init returns the shards. The first call makes them.
func (fs *flights[K, V]) init() *shards[K, V] {
	if s := fs.shards.Load(); s != nil {
		return s
	}
	fs.shards.CompareAndSwap(nil, newShards(fs))
	return fs.shards.Load()
}

// home returns the shard of key. It panics for an unhashable key, as a built-in map
// does, with nothing locked. For a NaN it returns a different shard each time.
func (fs *flights[K, V]) home(key K) *shard[K, V] {
	s := fs.init()
	return &s.list[maphash.Comparable(s.seed, key)&uint64(len(s.list)-1)]
}

// eachShard calls f with every shard, locked.
func (fs *flights[K, V]) eachShard(f func(s *shard[K, V])) {
	s := fs.init()
	for i := range s.list {
		func() {
			s := &s.list[i]
			s.mu.Lock()
			defer s.mu.Unlock()
			f(s)
		}()
		schedpoint.At(schedpoint.FlightSweep)
	}
}

// add makes a flight one that callers find. The flight of a NaN cannot be found, not
// even to be removed, so it is detached from the start.
func (s *shard[K, V]) add(f *flight[K, V]) {
	if f.key != f.key {
		s.addDetached(f)
		return
	}
	if s.one == nil {
		s.one = f
		return
	}
	if s.others == nil {
		s.others = make(map[K]*flight[K, V])
	}
	s.others[f.key] = f
	s.peak = max(s.peak, len(s.others))
}

// find returns the joinable flight of key, or nil.
func (s *shard[K, V]) find(key K) *flight[K, V] {
	if f := s.one; f != nil && f.key == key {
		return f
	}
	if len(s.others) == 0 {
		return nil
	}
	return s.others[key]
}

// len returns the number of flights, without those that nobody waits for.
func (s *shard[K, V]) len() int {
	n := len(s.others) + len(s.detached)
	if s.one != nil {
		n++
	}
	return n
}

// joinable yields the flights that can be joined. The loop's body may remove them.
func (s *shard[K, V]) joinable(yield func(*flight[K, V]) bool) {
	if f := s.one; f != nil && !yield(f) {
		return
	}
	for _, f := range s.others {
		if !yield(f) {
			return
		}
	}
}

// newFlight returns a new flight whose load is run by its first caller.
func (s *shard[K, V]) newFlight() *flight[K, V] {
	f := s.spare.Swap(nil)
	if f == nil {
		f = new(flight[K, V])
	}
	f.home, f.callerRuns, f.ctx = s, true, new(load.Context)
	return f
}

// newBackgroundFlight returns a new flight whose load has a goroutine of its own.
func newBackgroundFlight[K comparable, V any](s *shard[K, V], do func(ctx context.Context) (V, error)) *backgroundFlight[K, V] {
	t := &backgroundFlight[K, V]{do: do}
	t.home, t.ctx = s, &t.own
	return t
}

// reuse returns the result of a flight that is done, and keeps the flight for the next
// load if nobody joined it.
func (s *shard[K, V]) reuse(f *flight[K, V]) result[V] {
	r := f.result
	if !f.joined {
		*f = flight[K, V]{}
		s.spare.Store(f)
	}
	return r
}

// keepMapUpTo is the peak length up to which an empty map of flights is kept.
const keepMapUpTo = 64

// remove removes a flight, so that callers do not find it any more. A map that was
// large is dropped when it is empty: a built-in map does not shrink.
func (s *shard[K, V]) remove(f *flight[K, V]) {
	switch {
	case f == s.one:
		s.one = nil
	case f.phase == joinable:
		delete(s.others, f.key)
		if len(s.others) == 0 && s.peak > keepMapUpTo {
			s.others, s.peak = nil, 0
		}
	default:
		delete(s.detached, f)
	}
}

// addDetached makes detached a flight that is in no map and has callers. In a Cache,
// Close has to find those callers.
func (s *shard[K, V]) addDetached(f *flight[K, V]) {
	f.phase = detached
	if s.all.backend == nil {
		return
	}
	if s.detached == nil {
		s.detached = make(map[*flight[K, V]]struct{})
	}
	s.detached[f] = struct{}{}
}
