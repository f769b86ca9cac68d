//go:build !race && !vigil_debug

package waitmap

// checkReentry says whether a computation that uses its own key panics instead of
// deadlocking. To know the goroutine costs more than the computation.
const checkReentry = false

func goroutine() string { return "" }
