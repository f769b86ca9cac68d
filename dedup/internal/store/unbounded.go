package store

import (
	"iter"

	"github.com/vigil-go/vigil/waitmap"
)

// NewUnbounded returns a Store without bounds.
func NewUnbounded[K, E comparable]() Store[K, E] { return new(unbounded[K, E]) }

// unbounded is a Store on a map.
type unbounded[K, E comparable] struct{ m waitmap.Map[K, E] }

func (s *unbounded[K, E]) Get(key K) (E, bool)      { return s.m.Load(key) }
func (s *unbounded[K, E]) Set(key K, e E) (E, bool) { return s.m.Swap(key, e) }
func (s *unbounded[K, E]) Maintain(bool)            {}
func (s *unbounded[K, E]) Delete(key K) (E, bool)   { return s.m.LoadAndDelete(key) }
func (s *unbounded[K, E]) DeleteIf(key K, e E) bool { return waitmap.CompareAndDelete(&s.m, key, e) }
func (s *unbounded[K, E]) Replace(key K, old, e E) bool {
	return waitmap.CompareAndSwap(&s.m, key, old, e)
}
func (s *unbounded[K, E]) Clear()                { s.m.Clear() }
func (s *unbounded[K, E]) Flush()                {}
func (s *unbounded[K, E]) Len() int              { return s.m.Len() }
func (s *unbounded[K, E]) All() iter.Seq2[K, E]  { return s.m.All() }
func (s *unbounded[K, E]) Evictions() (n uint64) { return 0 }
