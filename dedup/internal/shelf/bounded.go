package shelf

import (
	"iter"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// Bounds are the bounds of a shelf: Entries, or Weight with Weigh.
type Bounds[E any] struct {
	Entries int
	Weight  uint64
	Weigh   func(e E) uint32 // must not use the shelf; the same for the same element
}

func (b *Bounds[E]) limit() int64 {
	const most = math.MaxInt64 / 2
	if b.Weight != 0 {
		return int64(min(b.Weight, most))
	}
	return min(int64(b.Entries), most)
}

func (b *Bounds[E]) weigh(e E) int64 {
	if b.Weight != 0 {
		return int64(b.Weigh(e))
	}
	return 1
}

// NewBounded returns a shelf that evicts. No expiry of otter's is used, so it
// has neither a clock nor a goroutine that stays.
func NewBounded[K, E comparable](b Bounds[E]) (Shelf[K, E], error) {
	s := &bounded[K, E]{bounds: b}
	o := &otter.Options[K, E]{
		MaximumSize:      b.Entries,
		MaximumWeight:    b.Weight,
		OnAtomicDeletion: s.deleted,
	}
	if b.Weight != 0 {
		o.Weigher = func(_ K, e E) uint32 { return b.Weigh(e) }
	}
	var err error
	s.c, err = otter.New(o)
	return s, err
}

// Otter evicts in the background, some hundred stores later. So that a shelf
// never holds more than twice its bound, used counts what is there: an element is
// added before it is stored, and taken off when it is gone. A store that would
// make it too much evicts, and then tries again.
type bounded[K, E comparable] struct {
	c         *otter.Cache[K, E]
	bounds    Bounds[E]
	used      atomic.Int64
	going     atomic.Int64 // of used, what was evicted, or is about to be
	evictions atomic.Uint64
}

// deleted runs under a lock of otter's, before the element is gone. Those that are
// not evicted are taken off by who deleted or replaced them.
func (s *bounded[K, E]) deleted(d otter.DeletionEvent[K, E]) {
	if d.WasEvicted() {
		s.going.Add(s.bounds.weigh(d.Value))
		s.evictions.Add(1)
	}
}

// evict takes off what was evicted. All evictions are under one lock, which CleanUp
// takes, too: those that had begun before are over after it.
func (s *bounded[K, E]) evict() {
	gone := s.going.Swap(0)
	s.c.CleanUp()
	s.used.Add(-gone)
}

// Set does not store what is heavier than the bound.
func (s *bounded[K, E]) Set(key K, e E) {
	w, limit := s.bounds.weigh(e), s.bounds.limit()
	if w > limit {
		s.Delete(key)
		s.evictions.Add(1)
		return
	}
	s.reserve(w, limit)
	if old, fresh := s.c.Set(key, e); !fresh {
		s.used.Add(-s.bounds.weigh(old))
	}
	if s.used.Load()-s.going.Load() > limit+limit/8 {
		s.evict()
	}
}

// reserve counts an element that is about to be stored.
func (s *bounded[K, E]) reserve(w, limit int64) {
	for {
		used := s.used.Load()
		if used+w > 2*limit {
			s.evict()
			runtime.Gosched() // others may have counted what they have not stored
		} else if s.used.CompareAndSwap(used, used+w) {
			return
		}
	}
}

func (s *bounded[K, E]) Delete(key K) {
	if old, ok := s.c.Invalidate(key); ok {
		s.used.Add(-s.bounds.weigh(old))
	}
}

func (s *bounded[K, E]) Clear() {
	for key, e := range s.c.All() {
		s.DeleteIf(key, e)
	}
}

func (s *bounded[K, E]) Get(key K) (E, bool)  { return s.c.GetIfPresent(key) }
func (s *bounded[K, E]) Len() int             { return s.c.EstimatedSize() }
func (s *bounded[K, E]) All() iter.Seq2[K, E] { return s.c.All() }
func (s *bounded[K, E]) Evictions() uint64    { return s.evictions.Load() }

func (s *bounded[K, E]) DeleteIf(key K, e E) {
	deleted := false
	s.c.ComputeIfPresent(key, func(old E) (E, otter.ComputeOp) {
		if deleted = old == e; deleted {
			return old, otter.InvalidateOp
		}
		return old, otter.CancelOp
	})
	if deleted {
		s.used.Add(-s.bounds.weigh(e))
	}
}
