// Package soak_test looks for leaks: it uses all types of this module in all ways,
// repeatedly, and samples the heap, the file descriptors and the goroutines at moments
// without activity. It also measures the cost of each kind of waiter.
//
//	go test ./race_test/soak -v -run 'TestSoak$' -ops 3600000000 -timeout 0
//
// takes an hour at a million operations per second, which two processors reach. It
// prints a line of progress every ten seconds.
package soak_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/internal/testkit"
)

var (
	opsFlag  = flag.Int("ops", 0, "how many operations TestSoak does. 0: an amount that takes 10 to 20 s, or some 5 s with -short or the race detector")
	seedFlag = flag.Uint64("seed", 0, "what the choice of operations begins with. 0: by the clock")
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if *seedFlag == 0 {
		*seedFlag = uint64(time.Now().UnixNano() % 1e9)
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "seed %d\n", *seedFlag)
	}
	os.Exit(code)
}

// amount returns how many operations TestSoak does.
func amount() int {
	switch {
	case *opsFlag > 0:
		return *opsFlag
	case testkit.Race:
		return 500_000
	case testing.Short():
		return 2_500_000
	default:
		return 10_000_000
	}
}
