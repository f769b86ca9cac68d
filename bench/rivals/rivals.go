// Package rivals puts this module's map and its rivals behind one small
// interface for benchmarks.
//
// # How the loop is called
//
// A benchmark of maps that take 5 ns an operation is decided by how the loop
// calls the map. Each rival therefore brings its own loops (Mix, Fill, Walk):
// the same text, written once per rival against its concrete type, so that the
// compiler sees a direct call and may inline it, as it would in a user's code.
// The interface is called once per batch of operations.
//
// The other ways, one generic loop over a constraint (Go compiles one body per
// shape and calls a type parameter's methods through a dictionary) and one loop
// over an interface, were measured next to this one by BenchmarkMechanism. On a
// busy two-core machine the medians were 13.0, 13.6 and 15.5 ns for this
// module's map, 13.1, 11.2 and 12.8 ns for xsync and 39, 39 and 36 ns for the
// sharded one: within the noise, so no way favours a rival today. The rivals'
// own loops were chosen because they stay right when a map's fast path becomes
// small enough to be inlined.
package rivals

import (
	"fmt"
	"slices"
	"strings"
)

// Key is a type that all rivals support as a key: two of them support no others.
type Key interface{ int | string }

// Batch is how many operations Mix runs between two checks of the flag.
const Batch = 256

// A Map is one rival, filled or to be filled.
type Map[K Key, V any] interface {
	// Mix runs n operations drawn by w.
	Mix(w *Worker[K, V], n int)
	// Fill stores every key, with one of vals in turn.
	Fill(keys []K, vals []V)
	// Walk visits every entry once and returns how many there were.
	Walk() int

	Load(key K) (V, bool)
	Store(key K, val V)
	Delete(key K)
}

// A Maker makes empty maps of one rival.
type Maker[K Key, V any] struct {
	Name string
	// ReadOnly rivals lose entries when they are written to by several
	// goroutines, so only reads are measured, on a map made for n entries.
	ReadOnly bool
	New      func(n int) Map[K, V]
}

// Ours is the name of this module's map.
const Ours = "vigil"

// Names of all rivals, ours first.
func Names() []string {
	var names []string
	for _, m := range Makers[int, int]() {
		names = append(names, m.Name)
	}
	return names
}

// Makers returns all rivals, ours first.
func Makers[K Key, V any]() []Maker[K, V] {
	return []Maker[K, V]{
		{Name: Ours, New: newVigil[K, V]},
		{Name: "xsync", New: newXsync[K, V]},
		{Name: "sync.Map", New: newSyncMap[K, V]},
		{Name: "sharded", New: newSharded[K, V]},
		{Name: "haxmap", New: newHaxmap[K, V]},
		{Name: "orcaman", New: newOrcaman[K, V]},
		{Name: "cornelk", ReadOnly: true, New: newCornelk[K, V]},
	}
}

// CheckNames returns an error with the names of all rivals if one of names is
// unknown.
func CheckNames(names []string) error {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("no rival is called %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	return nil
}

// indexed is the hash by which the sharded rivals pick a shard. It has no seed.
// They have no better one of their own for ints.
func indexed(key int) uint32 { return uint32(uint64(key) * 0x9e3779b97f4a7c15 >> 32) }
