// Package store keeps the entries of a dedup.Cache: on a waitmap without bounds, and in
// otter with bounds, whose W-TinyLFU decides what is evicted. It does not know of time:
// its user deletes entries that have expired.
package store

import "iter"

// A Store keeps elements by key. Its methods may be called from any goroutine at any time.
// A Set synchronizes before a Get that returns its element.
type Store[K, E any] interface {
	Get(key K) (E, bool)
	Set(key K, e E)       // Maintain must follow
	Maintain(inline bool) // do the deferred work of Sets, on this stack if inline
	Delete(key K)
	DeleteIf(key K, e E)  // delete e if it is stored
	Clear()               // delete every element that was stored before the call
	Len() int             // exact while no other call is made
	All() iter.Seq2[K, E] // not a snapshot
	Evictions() uint64    // the number of elements removed because of the bounds
}
