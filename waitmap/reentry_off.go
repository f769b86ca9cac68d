//go:build !race && !vigil_debug

package waitmap

// checkReentry is whether a computation that uses its own key panics rather
// than deadlocks: knowing the goroutine costs more than the computation.
const checkReentry = false

func goroutine() string { return "" }
