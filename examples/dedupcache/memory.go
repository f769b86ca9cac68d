package main

import (
	"os"
	"runtime/debug"
	"time"
)

const (
	// spare is the memory in bytes that the program may take in addition to the bodies:
	// for its own data, and for what the garbage collector has not collected yet.
	spare = 40 << 20

	// perRequest is the memory in bytes in addition for each request that is being answered.
	perRequest = 32 << 10
)

// boundMemory sets the memory limit of the garbage collector to maxBytes and some memory of the
// program's own, until end is called. By default, the collector would let the memory in use
// double. GOMEMLIMIT in the environment takes precedence.
func boundMemory(maxBytes size, running func() int64) (end func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	before := debug.SetMemoryLimit(int64(maxBytes) + spare)
	stop := everySecond(func() { debug.SetMemoryLimit(int64(maxBytes) + spare + perRequest*running()) })
	return func() {
		stop()
		debug.SetMemoryLimit(before)
	}
}

// everySecond calls f every second until stop is called, which waits until f has returned.
func everySecond(f func()) (stop func()) {
	ticker, end, ended := time.NewTicker(time.Second), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C:
				f()
			case <-end:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(end)
		<-ended
	}
}
