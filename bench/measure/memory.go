package measure

import "runtime"

// Live returns the bytes of the heap that are reachable. It collects twice, which
// frees objects with finalizers and those that the first collection only marked.
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

// Growth returns after-before in bytes per entry, and never less than zero: a heap
// that shrank meanwhile counts as no cost.
func Growth(before, after uint64, entries int) float64 {
	if after <= before {
		return 0
	}
	return float64(after-before) / float64(entries)
}
