package shelf

import (
	"iter"

	"github.com/vigil-go/vigil/waitmap"
)

// NewOpen returns a shelf without bounds.
func NewOpen[K, E comparable]() Shelf[K, E] { return new(open[K, E]) }

type open[K, E comparable] struct{ m waitmap.Map[K, E] }

func (s *open[K, E]) Get(key K) (E, bool)   { return s.m.Load(key) }
func (s *open[K, E]) Set(key K, e E)        { s.m.Store(key, e) }
func (s *open[K, E]) Delete(key K)          { s.m.Delete(key) }
func (s *open[K, E]) DeleteIf(key K, e E)   { waitmap.CompareAndDelete(&s.m, key, e) }
func (s *open[K, E]) Clear()                { s.m.Clear() }
func (s *open[K, E]) Len() int              { return s.m.Len() }
func (s *open[K, E]) All() iter.Seq2[K, E]  { return s.m.All() }
func (s *open[K, E]) Evictions() (n uint64) { return 0 }
