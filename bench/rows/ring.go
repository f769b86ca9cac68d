package rows

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/vigil-go/vigil/bench/floor"
	"github.com/vigil-go/vigil/bench/measure"
)

// noRing returns the reason why this process cannot set up a ring, or nil. It is
// printed once.
var noRing = sync.OnceValue(func() error {
	err := tryRing()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rows: no ring rows:", err)
	}
	return err
})

// ringRows returns no rows where there are no rings.
func ringRows() []Row {
	if noRing() != nil {
		return nil
	}
	return []Row{{
		Name:  "ring",
		Title: "Package ring next to C with liburing",
		About: "NOPs through one ring in batches of 1, 32 and 256, prepared, submitted by one call and reaped by one thread. " +
			"Both sides have the same flags (DEFER_TASKRUN, SINGLE_ISSUER, NO_SQARRAY), 256 entries, and make the same " +
			"calls: submit_and_wait for the batch, or submit_and_get_events, which does not wait. C runs in a process of " +
			"its own, with a second thread asleep, since a Go program always has several: the kernel then counts the users " +
			"of a file descriptor. C is gcc -O2 and the liburing that is installed. GOMAXPROCS is nothing to one thread.",
		jobs: func(set *Settings) []Job {
			var jobs []Job
			for _, batch := range []int{1, 32, 256} {
				for _, wait := range []bool{true, false} {
					jobs = append(jobs, nopJob(set, nops{batch, wait}))
				}
			}
			return jobs
		},
	}}
}

// nops says how NOPs are submitted: how many at once, and whether the call waits
// for them.
type nops struct {
	batch int
	wait  bool
}

func (n nops) call() string {
	if n.wait {
		return "wait"
	}
	return "events"
}

const inC = "C, liburing"

func nopJob(set *Settings, n nops) Job {
	name := fmt.Sprintf("nop/%d/%s", n.batch, n.call())
	return Job{
		Cell: Cell{Name: name, Procs: set.headline(), Unit: "ns/op", Base: inC},
		run: func() ([]measure.Series, []string) {
			subjects := []measure.Subject{{Name: "vigil ring", Run: func(slice time.Duration) measure.Sample {
				return nopSlice(n, slice)
			}}}
			proc, missing := startFloor("nop", fmt.Sprint(n.batch), n.call(), "defer", "threads")
			if missing != nil {
				return measure.Interleave(subjects, set.Rounds, set.Slice), []string{missing.Error()}
			}
			defer func() { mustNot(proc.Close()) }()
			subjects = append([]measure.Subject{floorSubject(inC, proc)}, subjects...)
			series := measure.Interleave(subjects, set.Rounds, set.Slice)
			return series, allocNotes(series)
		},
	}
}

// startFloor compiles and starts a program. The error says why it cannot run on
// this machine.
func startFloor(name string, args ...string) (*floor.Proc, error) {
	dir, err := os.MkdirTemp("", "vigil-floor-")
	mustNot(err)
	defer os.RemoveAll(dir) // a running program does not need its file
	programs, err := floor.Build(dir, name)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	mustNot(err)
	proc, err := programs.Start(name, args...)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	mustNot(err)
	return proc, nil
}

func floorSubject(name string, proc *floor.Proc) measure.Subject {
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		r, err := proc.RunFor(slice)
		mustNot(err)
		return measure.Sample{Value: r.Op}
	}}
}
