package race_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
)

// A subject is a part of the module under stress. It starts workers and returns
// what must hold when all of them are done.
type subject func(s *round, b *book) (check func())

var subjects = map[string]subject{
	"queue":      queue,
	"rendezvous": rendezvous,
	"token":      handing,
	"broadcast":  broadcast,
	"count":      counting,
	"flights":    flying,
	"cache":      caching,
	"rings":      ringing,
	"exits":      exits,
	"handOver":   handOvers,
	"loads":      loads,
	"many":       manyWaiters,
	"locks":      locking,
	"following":  following,
	"values":     values,
	"selects":    selects,
}

// A book counts what was sent and what became of it.
type book struct{ sent, received, canceled atomic.Int64 }

// balance returns an error if something was lost, or received without being sent.
func (b *book) balance() error {
	sent, received, canceled := b.sent.Load(), b.received.Load(), b.canceled.Load()
	if sent != received+canceled {
		return fmt.Errorf("%d sent, but %d received and %d canceled", sent, received, canceled)
	}
	return nil
}

// TestStress checks that everything that is sent is received or canceled, under any
// disturbance.
//
//	go test ./race_test -run Stress -duration 10m -seed 7
//	go test -race -tags vigil_schedpoint ./race_test -run Stress -duration 10m
//
// A seed decides what the workers of a round draw, and the odds of delays at each
// point. It does not decide the schedule: repeat a round that has failed.
func TestStress(t *testing.T) {
	rings := runtimeFor(t)
	total := make(map[string]*book)
	rounds, operations := 0, uint64(0)
	reported := time.Now()
	fmt.Fprintf(os.Stderr, "TestStress: from seed %d\n", *seed) // in case the process is killed
	for start := time.Now(); rounds == 0 || time.Since(start) < *duration; rounds++ {
		operations += runRound(t, *seed+uint64(rounds), rings, total)
		if time.Since(reported) > 10*time.Second {
			reported = time.Now()
			fmt.Fprintf(os.Stderr, "%v of %v: %d rounds, the next has seed %d, %d operations\n", time.Since(start).Round(time.Second), *duration, rounds+1, *seed+uint64(rounds)+1, operations)
		}
	}
	t.Logf("%d rounds from seed %d, %d operations\n%s", rounds, *seed, operations, table(total))
	heldUp(t, rounds)
}

// runRound runs one round over all chosen subjects.
func runRound(t *testing.T, seed uint64, rings *uringwake.Runtime, total map[string]*book) (operations uint64) {
	defer func() {
		if t.Failed() {
			t.Logf("GOMAXPROCS was up to %d. Repeat it, because the seed does not decide the schedule:\n%s", 2*runtime.NumCPU(), replay(seed))
		}
	}()
	s := newRound(t, seed, rings)
	books := make(map[string]*book)
	checks := make(map[string]func())
	clear := s.disturb()
	defer clear()
	match := regexp.MustCompile(*only)
	for _, name := range slices.Sorted(maps.Keys(subjects)) {
		if match.MatchString(name) {
			books[name] = new(book)
			checks[name] = subjects[name](s, books[name])
		}
	}
	s.join()
	for name, b := range books {
		checks[name]()
		if err := b.balance(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		add(total, name, b)
	}
	if t.Failed() {
		t.FailNow()
	}
	return s.moves.Load()
}

func replay(seed uint64) string {
	flags := ""
	if testkit.Race {
		flags += " -race"
	}
	if schedpoint.On {
		flags += " -tags vigil_schedpoint"
	}
	return fmt.Sprintf("\tgo test%s ./race_test -run '^TestStress$' -subject '%s' -operation '%s' -seed %d -duration 1ns -count 20", flags, *only, *onlyOperations, seed)
}

// runtimeFor returns a runtime with two loops of few entries, or nil without
// io_uring.
func runtimeFor(t *testing.T) *uringwake.Runtime {
	if err := uringwake.Supported(); err != nil {
		t.Logf("without rings: %v", err)
		return nil
	}
	r, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: 2, Loop: uringwake.LoopOptions{Entries: 8, CQEntries: 16}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() { // otherwise some of its tasks may never end
			if err := r.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

func add(total map[string]*book, name string, b *book) {
	if total[name] == nil {
		total[name] = new(book)
	}
	total[name].sent.Add(b.sent.Load())
	total[name].received.Add(b.received.Load())
	total[name].canceled.Add(b.canceled.Load())
}

func table(total map[string]*book) string {
	return columns(func(w io.Writer) {
		fmt.Fprintln(w, "\tsent\treceived\tcanceled\t")
		for _, name := range slices.Sorted(maps.Keys(total)) {
			b := total[name]
			if b.sent.Load() == 0 { // it does not count
				continue
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", name, b.sent.Load(), b.received.Load(), b.canceled.Load())
		}
	})
}

// heldUp reports the delays at every point, if the build has points. In so many
// rounds every point must have had some.
func heldUp(t *testing.T, rounds int) {
	if !schedpoint.On {
		return
	}
	held := schedpoint.Held()
	t.Log("held up:\n" + columns(func(w io.Writer) {
		for _, p := range slices.Sorted(maps.Keys(held)) {
			fmt.Fprintf(w, "%v\t%d\t\n", p, held[p])
			if held[p] == 0 && rounds >= 100 && *only == "." && *onlyOperations == "." && uringwake.Supported() == nil {
				t.Errorf("no delay at %v", p)
			}
		}
	}))
}

func columns(write func(io.Writer)) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	write(w)
	w.Flush()
	return b.String()
}
