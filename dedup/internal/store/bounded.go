package store

import (
	"iter"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Bounds are the bounds of a Store: either Entries, or Weight and Weigh.
type Bounds[K, E any] struct {
	Entries int
	Weight  uint64
	Weigh   func(e E) uint32 // returns the same for the same element; must not use the Store

	// OnEvict, if it is not nil, is called once for each element that is evicted, before
	// it has left and with a lock held. It must not use the Store.
	OnEvict func(key K, e E)
}

// limit returns the bound, of the number or of the weight of elements.
func (b *Bounds[K, E]) limit() int64 {
	const most = math.MaxInt64 / 2
	if b.Weight != 0 {
		return int64(min(b.Weight, most))
	}
	return min(int64(b.Entries), most)
}

// weigh returns what e adds to what limit bounds.
func (b *Bounds[K, E]) weigh(e E) int64 {
	if b.Weight != 0 {
		return int64(b.Weigh(e))
	}
	return 1
}

// NewBounded returns a Store that evicts. It does not use otter's expiry, and so has
// neither a clock nor a goroutine that stays.
func NewBounded[K, E comparable](b Bounds[K, E]) (Store[K, E], error) {
	s := &bounded[K, E]{bounds: b}
	o := &otter.Options[K, E]{
		MaximumSize:      b.Entries,
		MaximumWeight:    b.Weight,
		OnAtomicDeletion: s.onDeletion,
		Executor:         s.execute,
	}
	if b.Weight != 0 {
		o.Weigher = func(_ K, e E) uint32 { return b.Weigh(e) }
	}
	var err error
	s.c, err = otter.New(o)
	return s, err
}

// bounded is a Store that evicts. Otter does so in the background, up to some hundred Sets
// later. For a Store never to hold more than twice its bound, used counts the elements: one
// is added before it is stored, and subtracted when it has been removed. A Set that would
// exceed that evicts, and then tries again.
type bounded[K, E comparable] struct {
	c         *otter.Cache[K, E]
	bounds    Bounds[K, E]
	used      atomic.Int64
	evicting  atomic.Int64 // the part of used that was evicted, or is about to be
	evictions atomic.Uint64

	setsRunning atomic.Int32           // calls of otter's Set in progress
	catchingUp  atomic.Bool            // catchUp will run
	pending     atomic.Pointer[func()] // what Maintain has to do, or nil
}

// execute is called when otter has work for its policy: in a Set, which leaves it to
// Maintain, or in a Get. A Get cannot tell whether it is in a Set, so it looks again after
// it has left the work: a Set in progress then is followed by a Maintain that finds f.
func (s *bounded[K, E]) execute(f func()) {
	if s.setsRunning.Load() > 0 {
		s.pending.Store(&f)
		if s.setsRunning.Load() > 0 || s.pending.Swap(nil) == nil {
			return
		}
	}
	go s.run(f)
}

// Maintain does the work that a Set has left, on the caller's stack if inline, and in a
// goroutine of its own otherwise. The work needs a large stack.
func (s *bounded[K, E]) Maintain(inline bool) {
	f := s.pending.Load()
	if f != nil {
		f = s.pending.Swap(nil)
	}
	switch {
	case f == nil:
	case inline:
		s.run(*f)
	default:
		go s.run(*f)
	}
}

// run calls f, which does not see what is stored meanwhile. Otter leaves that to the next
// use of the cache. Since that may never come, run has it evicted a little later: at once
// would cost a busy cache, whose next Set evicts it, a third of its speed.
func (s *bounded[K, E]) run(f func()) {
	f()
	s.catchUpLater()
}

// catchUpDelay is how long the elements may exceed the bound after the last Set. If a
// testing/synctest bubble ends before its timer has fired, catchingUp stays set, and from
// then on they may exceed it until the next use of the cache.
const catchUpDelay = time.Millisecond

func (s *bounded[K, E]) catchUpLater() {
	if s.overLimit() && !s.catchingUp.Load() && s.catchingUp.CompareAndSwap(false, true) {
		time.AfterFunc(catchUpDelay, s.catchUp)
	}
}

// catchUp evicts what exceeds the bound. It clears catchingUp before it looks, so a run
// that finds it set is followed by this look.
func (s *bounded[K, E]) catchUp() {
	s.catchingUp.Store(false)
	if s.overLimit() {
		s.evict()
		s.catchUpLater() // others may have counted an element before storing it
	}
}

// overLimit reports whether more is stored than the bound allows.
func (s *bounded[K, E]) overLimit() bool {
	return s.used.Load()-s.evicting.Load() > s.bounds.limit()
}

// onDeletion is called with a lock of otter's held, before the element is removed. Elements
// that are not evicted are subtracted by the call that deletes or replaces them.
func (s *bounded[K, E]) onDeletion(d otter.DeletionEvent[K, E]) {
	if d.WasEvicted() {
		s.evicting.Add(s.bounds.weigh(d.Value))
		s.evictions.Add(1)
		if s.bounds.OnEvict != nil {
			s.bounds.OnEvict(d.Key, d.Value)
		}
	}
}

// evict subtracts what was evicted. All evictions are under one lock, which CleanUp locks
// too, so those that began before it have ended after it.
func (s *bounded[K, E]) evict() {
	gone := s.evicting.Swap(0)
	s.c.CleanUp()
	s.used.Add(-gone)
}

// Set stores e, unless it is heavier than the bound.
func (s *bounded[K, E]) Set(key K, e E) (old E, ok bool) {
	w, limit := s.bounds.weigh(e), s.bounds.limit()
	if w > limit {
		s.evictions.Add(1)
		return s.Delete(key)
	}
	s.reserve(w, limit)
	s.setsRunning.Add(1)
	was, fresh := s.c.Set(key, e)
	s.setsRunning.Add(-1)
	if !fresh {
		old, ok = was, true
		s.used.Add(-s.bounds.weigh(old))
	}
	s.evictExcess(limit)
	return old, ok
}

// Replace stores e, which must not be heavier than the bound, if old is stored.
func (s *bounded[K, E]) Replace(key K, old, e E) (replaced bool) {
	limit := s.bounds.limit()
	s.reserve(s.bounds.weigh(e), limit)
	s.setsRunning.Add(1)
	s.c.ComputeIfPresent(key, func(now E) (E, otter.ComputeOp) {
		if replaced = now == old; replaced {
			return e, otter.WriteOp
		}
		return now, otter.CancelOp
	})
	s.setsRunning.Add(-1)
	gone := e
	if replaced {
		gone = old
	}
	s.used.Add(-s.bounds.weigh(gone))
	s.evictExcess(limit)
	return replaced
}

// evictExcess evicts when there is an eighth more than the bound.
func (s *bounded[K, E]) evictExcess(limit int64) {
	if s.used.Load()-s.evicting.Load() > limit+limit/8 {
		s.evict()
	}
}

// reserve counts an element that is about to be stored, when there is room for it.
func (s *bounded[K, E]) reserve(w, limit int64) {
	for {
		used := s.used.Load()
		if used+w > 2*limit {
			s.evict()
			runtime.Gosched() // others may have counted an element before storing it
		} else if s.used.CompareAndSwap(used, used+w) {
			return
		}
	}
}

func (s *bounded[K, E]) Delete(key K) (old E, ok bool) {
	if old, ok = s.c.Invalidate(key); ok {
		s.used.Add(-s.bounds.weigh(old))
	}
	return old, ok
}

func (s *bounded[K, E]) Clear() {
	for key, e := range s.c.All() {
		s.DeleteIf(key, e)
	}
}

// Flush waits for the lock under which all evictions are.
func (s *bounded[K, E]) Flush() { s.evict() }

func (s *bounded[K, E]) Get(key K) (E, bool)  { return s.c.GetIfPresent(key) }
func (s *bounded[K, E]) Len() int             { return s.c.EstimatedSize() }
func (s *bounded[K, E]) All() iter.Seq2[K, E] { return s.c.All() }
func (s *bounded[K, E]) Evictions() uint64    { return s.evictions.Load() }

func (s *bounded[K, E]) DeleteIf(key K, e E) (deleted bool) {
	s.c.ComputeIfPresent(key, func(old E) (E, otter.ComputeOp) {
		if deleted = old == e; deleted {
			return old, otter.InvalidateOp
		}
		return old, otter.CancelOp
	})
	if deleted {
		s.used.Add(-s.bounds.weigh(e))
	}
	return deleted
}
