//go:build race

package uringwake

import (
	"runtime"
	"unsafe"
)

// What is written happens before it is read. The race detector does not see
// that; it is told, as package os does, that all transfers are in order.

var transfers struct{ _ byte }

func raceRelease() { runtime.RaceReleaseMerge(unsafe.Pointer(&transfers)) }
func raceAcquire() { runtime.RaceAcquire(unsafe.Pointer(&transfers)) }
