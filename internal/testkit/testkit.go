// Package testkit has what the tests of several packages share. Only tests import it.
package testkit

import (
	"bytes"
	"runtime"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, and fails the run if a test left a goroutine
// behind. TestMain calls it.
func Main(m *testing.M) { goleak.VerifyTestMain(m) }

// Scale returns the size of a stress test: full, or small with -short or the race
// detector.
func Scale(full, small int) int {
	if testing.Short() || Race {
		return small
	}
	return full
}

// Together calls f(0) to f(n-1) in goroutines that begin at one time, and waits for
// them.
func Together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// Goroutines returns the number of goroutines. That of runtime.NumGoroutine includes the dead
// ones while the garbage collector frees their stacks.
func Goroutines() int {
	for size := 1 << 20; ; size *= 2 {
		all := make([]byte, size)
		if n := runtime.Stack(all, true); n < size {
			return bytes.Count(all[:n], []byte("\n\ngoroutine ")) + 1
		}
	}
}

// SpinUntil yields the processor until cond returns true. If it never does, the test
// ends by go test's timeout.
func SpinUntil(cond func() bool) {
	for !cond() {
		runtime.Gosched()
	}
}
