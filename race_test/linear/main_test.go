// Package linear_test checks linearizability: it records the concurrent calls of
// goroutines and tasks of a ring on a Map, a Notify, a Group, a dedup.Group and the types of
// package await, and checks that some order of instants, one for each call between its
// start and its return, explains all results.
//
// Package porcupine does the check; the models are here. They say what these types
// do if one call is made after another. A call that may sleep is two calls for a
// model, as in papers on dual data structures: a request, which gets in line, and a
// follow-up, which finds that it was served. So a model knows the waiters in line and
// says which of them a store serves. A wait that was in line and is overlooked is not
// linearizable.
//
//	go test ./race_test/linear -seed 7 -histories 100000 -run Map
//
// A seed repeats the calls and not their timing. A history that is not linearizable
// is written to two files: as text, which can be put into testdata, and as a drawing.
package linear_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/internal/testkit"
)

var (
	seedFlag  = flag.Int64("seed", 0, "seed of the first history; the next one has the next. 0: by the clock")
	histories = flag.Int("histories", 0, "how many histories per test. 0: 1000, or 200 with -short or the race detector")
	patience  = flag.Duration("patience", 2*time.Minute, "how long to wait for those who should have been woken on a ring")
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if *seedFlag == 0 {
		*seedFlag = time.Now().UnixNano() % 1e9
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "seed %d, GOMAXPROCS %d\n", *seedFlag, runtime.GOMAXPROCS(0))
	}
	os.Exit(code)
}

// amount returns how many histories a test records.
func amount() int {
	switch {
	case *histories > 0:
		return *histories
	case testing.Short() || testkit.Race:
		return 200
	default:
		return 1000
	}
}
