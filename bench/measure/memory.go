package measure

import "runtime"

// Live returns the bytes of the heap that are reachable: two collections, so
// that finalizers and what a first one only marked are gone.
func Live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// LiveAndStacks is Live plus the stacks of all goroutines.
func LiveAndStacks() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// Growth returns after-before in bytes per entry, and never less than zero: a
// heap that shrank meanwhile has cost nothing.
func Growth(before, after uint64, entries int) float64 {
	if after <= before {
		return 0
	}
	return float64(after-before) / float64(entries)
}
