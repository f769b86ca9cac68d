package shelf

import (
	"iter"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// Bounds are the bounds of a shelf: Entries, or Weight with Weigh.
type Bounds[E any] struct {
	Entries int
	Weight  uint64
	Weigh   func(e E) uint32 // must not use the shelf
}

// NewBounded returns a shelf that evicts. No expiry of otter's is used, so it
// has neither a clock nor a goroutine that stays.
func NewBounded[K, E comparable](b Bounds[E]) (Shelf[K, E], error) {
	s := new(bounded[K, E])
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

type bounded[K, E comparable] struct {
	c         *otter.Cache[K, E]
	evictions atomic.Uint64
}

// deleted runs under a lock of otter's.
func (s *bounded[K, E]) deleted(d otter.DeletionEvent[K, E]) {
	if d.WasEvicted() {
		s.evictions.Add(1)
	}
}

func (s *bounded[K, E]) Get(key K) (E, bool)  { return s.c.GetIfPresent(key) }
func (s *bounded[K, E]) Set(key K, e E)       { s.c.Set(key, e) }
func (s *bounded[K, E]) Delete(key K)         { s.c.Invalidate(key) }
func (s *bounded[K, E]) Clear()               { s.c.InvalidateAll() }
func (s *bounded[K, E]) Len() int             { return s.c.EstimatedSize() }
func (s *bounded[K, E]) All() iter.Seq2[K, E] { return s.c.All() }
func (s *bounded[K, E]) Evictions() uint64    { return s.evictions.Load() }

func (s *bounded[K, E]) DeleteIf(key K, e E) {
	s.c.ComputeIfPresent(key, func(old E) (E, otter.ComputeOp) {
		if old == e {
			return old, otter.InvalidateOp
		}
		return old, otter.CancelOp
	})
}
