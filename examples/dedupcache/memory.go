package main

import (
	"os"
	"runtime/debug"
	"time"
)

const (
	// spare is what the program may take in memory beside the bodies of pages,
	// in bytes: its own data, and what the garbage collector has not collected.
	spare = 40 << 20

	// perRequest is what it may take more for each request that is being answered.
	perRequest = 32 << 10
)

// boundMemory has the garbage collector run when the program exceeds the limit of
// its bodies and some memory of its own, until end is called. By default, it
// would run when what it left the last time has doubled. GOMEMLIMIT in the
// environment takes precedence.
func boundMemory(maxBytes size, running func() int64) (end func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	before := debug.SetMemoryLimit(int64(maxBytes) + spare)
	ticker, stop, stopped := time.NewTicker(time.Second), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-ticker.C:
				debug.SetMemoryLimit(int64(maxBytes) + spare + perRequest*running())
			case <-stop:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(stop)
		<-stopped
		debug.SetMemoryLimit(before)
	}
}
