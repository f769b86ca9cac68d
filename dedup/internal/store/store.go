// Package store keeps the entries of a dedup.Cache: on a waitmap without bounds, and in
// otter with bounds, whose W-TinyLFU decides what is evicted. It does not know of time:
// its user deletes entries that have expired.
package store

import "iter"

// A Store keeps elements by key. Its methods may be called from any goroutine at any time.
// A Set synchronizes before a Get that returns its element. An element leaves once: by the
// call that returns it or reports that it was stored, by Clear, or by its eviction.
type Store[K, E any] interface {
	Get(key K) (E, bool)
	Set(key K, e E) (old E, ok bool) // the element that was there, if any; Maintain must follow
	Replace(key K, old, e E) bool    // store e if old is stored; Maintain must follow
	Maintain(inline bool)            // do the deferred work of Sets, on this stack if inline
	Delete(key K) (old E, ok bool)
	DeleteIf(key K, e E) bool // delete e if it is stored
	Clear()                   // delete every element that was stored before the call
	Flush()                   // return when the evictions have ended that had begun
	Len() int                 // exact while no other call is made
	All() iter.Seq2[K, E]     // not a snapshot; nothing is locked in the body of the loop
	Evictions() uint64        // the number of elements removed because of the bounds
}
