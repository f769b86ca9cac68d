//go:build race

package uringnet

import (
	"runtime"
	"unsafe"
)

// What is written to a socket happens before the read that returns it. The race detector
// does not see that. It is told, as package net does, that each transfer happens before
// the next.

var transfers struct{ _ byte }

func raceRelease() { runtime.RaceReleaseMerge(unsafe.Pointer(&transfers)) }
func raceAcquire() { runtime.RaceAcquire(unsafe.Pointer(&transfers)) }
