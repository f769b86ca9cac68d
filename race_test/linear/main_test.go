// Package linear_test looks for what cannot be: it records what goroutines and
// tasks of a ring do to a Map, a Notify, a Group and a dedup.Group at the same
// time, and asks whether some order of instants, one for each call between its
// start and its return, explains all that they saw.
//
// The question is porcupine's, the models are here: what the four do if one
// call is made after the other. A call that may sleep is two calls to a model,
// as in papers on dual data structures: a request, which gets in line, and a
// follow-up, which finds that it was served. So a model knows who is in line
// and says whom a store serves; a wait that was in line and is overlooked has
// no explanation.
//
//	go test ./race_test/linear -seed 7 -histories 100000 -run Map
//
// A seed repeats what is called, not when. A history without explanation is
// left behind in two files: as text, which can be put into testdata, and drawn.
package linear_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
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

// amount is how many histories a test records.
func amount() int {
	switch {
	case *histories > 0:
		return *histories
	case testing.Short() || raceEnabled:
		return 200
	default:
		return 1000
	}
}
