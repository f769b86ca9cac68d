//go:build race

package ring

import (
	"runtime"
	"unsafe"
)

// The race detector does not see the kernel, by way of which a submission
// happens before its completion. It is told here, as package syscall does for a
// pipe.

func raceRelease(r *Ring) { runtime.RaceReleaseMerge(unsafe.Pointer(r)) }
func raceAcquire(r *Ring) { runtime.RaceAcquire(unsafe.Pointer(r)) }
