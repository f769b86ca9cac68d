// Package shelf is where a dedup.Cache keeps its entries: without bounds on a
// waitmap, with bounds in otter, whose W-TinyLFU decides what has to go. It
// knows nothing of time: entries that have expired are the owner's to delete.
package shelf

import "iter"

// A Shelf keeps elements by key. Its methods may be called from any goroutine
// at any time. A Set happens before a Get that returns its element.
type Shelf[K, E any] interface {
	Get(key K) (E, bool)
	Set(key K, e E)
	Delete(key K)
	DeleteIf(key K, e E)  // if e is what is there
	Clear()               // every element that was there at the call is gone on return
	Len() int             // exact when quiet
	All() iter.Seq2[K, E] // not a snapshot
	Evictions() uint64    // elements that had to go for the bounds
}
