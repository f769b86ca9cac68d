// Package soak_test looks for what piles up: it uses all types of this module
// in all ways, over and over, and asks now and then, when nothing goes on, how
// much heap, how many file descriptors and how many goroutines there are. And
// it measures what each kind of waiter costs.
//
//	go test ./race_test/soak -v -run 'TestSoak$' -ops 3600000000 -timeout 0
//
// is an hour's worth at a million operations a second, which is what two
// processors do. A line every ten seconds says how far it is.
package soak_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
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

// amount is how many operations TestSoak does.
func amount() int {
	switch {
	case *opsFlag > 0:
		return *opsFlag
	case raceEnabled:
		return 500_000
	case testing.Short():
		return 2_500_000
	default:
		return 10_000_000
	}
}
