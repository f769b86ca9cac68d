package rows

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
)

func nopRow() Row {
	return Row{
		Name:  "uring/nop",
		Title: "An operation of a goroutine's, alone",
		About: "A goroutine submits a NOP and has its result, again and again, through the ring that goroutines share; each is " +
			"timed. Two looks at the clock are in that, and shown. In C the mean of NOPs through a ring of the same kind, in a " +
			"process with a second thread.",
		jobs: func(set *Settings) []Job {
			return []Job{{Cell: Cell{Name: "alone", Procs: set.headline(), Unit: "ns"}, run: func() ([]measure.Series, []string) {
				return aloneNops(set)
			}}}
		},
	}
}

func aloneNops(set *Settings) (series []measure.Series, notes []string) {
	ctx := context.Background()
	meters := []meter{
		{"vigil", []string{"p50", "p99"}, func(d time.Duration) []float64 { return each(d, func() { mustNot(uringwake.Nop(ctx)) }) }},
		{"clock", []string{"p50", "p99"}, func(d time.Duration) []float64 { return each(d, func() {}) }},
	}
	if proc, missing := startFloor("nop", "1", "events", "plain", "threads"); missing != nil {
		notes = append(notes, missing.Error())
	} else {
		defer func() { mustNot(proc.Close()) }()
		c := floorSubject("", proc)
		meters = append(meters, meter{"C, liburing", []string{"mean"}, func(d time.Duration) []float64 { return []float64{c.Run(d).Value} }})
	}
	series = interleaveMeters(meters, set.Rounds, set.Slice)
	return series, append(notes, goal("ns, p50", find(series, "vigil p50").Median(), 600))
}

// each times every call of f for about d, and returns the median and the 99th
// percentile.
func each(d time.Duration, f func()) []float64 {
	f()
	times := make([]float64, 0, 1<<17)
	for begin := nanos(); len(times) < cap(times); {
		start := nanos()
		f()
		end := nanos()
		times = append(times, float64(end-start))
		if end-begin > int64(d) {
			break
		}
	}
	return []float64{measure.Median(times), measure.Quantile(times, 0.99)}
}

func busyRow() Row {
	return Row{
		Name:  "uring/busy",
		Title: "Ping-pong over pipes next to busy goroutines",
		About: "Two workers pass a byte through two pipes while other goroutines count, none or a hundred. The workers are " +
			"goroutines that use the netpoller (os.Pipe), goroutines that use the ring, or tasks of one loop. Time is per " +
			"hand-over, half of a round trip; after one round trip, whole ones are counted until the time is up, two " +
			"seconds next to busy ones: the netpoller's one takes that long. In C, one ring reads and writes both pipes.",
		Base: "netpoller",
		jobs: func(set *Settings) []Job {
			return []Job{busyJob(set, 0), busyJob(set, set.scaled(100, 4))}
		},
	}
}

func busyJob(set *Settings, busy int) Job {
	slice := set.Slice
	if busy > 0 && !set.Quick {
		slice = max(slice, 2*time.Second)
	}
	return Job{
		Cell: Cell{Name: fmt.Sprint(busy), Procs: set.headline(), Unit: "ns/hand-over"},
		run: func() (series []measure.Series, notes []string) {
			defer keepBusy(busy)()
			all := []measure.Subject{
				{Name: "netpoller", Run: nativePipes},
				{Name: "vigil goroutines", Run: func(d time.Duration) measure.Sample { return ringPipes(d, goroutineRunner) }},
				{Name: "vigil tasks", Run: func(d time.Duration) measure.Sample {
					l := newLoop(nil)
					defer closeLoop(l)
					return ringPipes(d, loopRunner(l))
				}},
			}
			if busy == 0 {
				defer floors(&all, &notes, inFloor{"C, one ring", "pipe", []string{"one"}})()
			}
			series = measure.Interleave(all, set.Rounds, slice)
			if busy == 100 {
				times := measure.Compare(find(series, "netpoller").Values, find(series, "vigil goroutines").Values)
				notes = append(notes, goalAtLeast("netpoller / vigil goroutines", times.OfMedians, 100))
			}
			return series, notes
		},
	}
}

// keepBusy runs goroutines that never sleep, until the result is called.
func keepBusy(n int) (end func()) {
	var over atomic.Bool
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for x := uint64(1); !over.Load(); {
				for range 1000 {
					x = x*3 + 1
				}
				runtime.KeepAlive(x)
			}
		})
	}
	return func() { over.Store(true); all.Wait() }
}

func nativePipes(slice time.Duration) measure.Sample {
	var ends [2][2]*os.File // 0 there, 1 back; end 0 is read, end 1 written
	for i := range ends {
		var err error
		ends[i][0], ends[i][1], err = os.Pipe()
		mustNot(err)
	}
	defer ends[0][0].Close()
	defer ends[1][0].Close()
	defer ends[1][1].Close()
	return passByte(slice, goroutineRunner,
		func(_ context.Context, pipe int, b []byte) (int, error) { return ends[pipe][0].Read(b) },
		func(_ context.Context, pipe int, b []byte) (int, error) { return ends[pipe][1].Write(b) },
		ends[0][1].Close)
}

func ringPipes(slice time.Duration, where runner) measure.Sample {
	var ends [2][2]int
	for i := range ends {
		mustNot(unix.Pipe2(ends[i][:], unix.O_CLOEXEC))
	}
	defer unix.Close(ends[0][0])
	defer unix.Close(ends[1][0])
	defer unix.Close(ends[1][1])
	return passByte(slice, where,
		func(ctx context.Context, pipe int, b []byte) (int, error) {
			return uringwake.Read(ctx, ends[pipe][0], b, -1)
		},
		func(ctx context.Context, pipe int, b []byte) (int, error) {
			return uringwake.Write(ctx, ends[pipe][1], b, -1)
		},
		func() error { return unix.Close(ends[0][1]) })
}

// move reads or writes a byte of one of the pipes.
type move func(ctx context.Context, pipe int, b []byte) (int, error)

func passByte(slice time.Duration, where runner, read, write move, hangUp func() error) (sample measure.Sample) {
	done := make(chan struct{}, 2)
	where(func(ctx context.Context) {
		b := make([]byte, 1)
		for moved(read(ctx, 0, b)) {
			moved(write(ctx, 1, b))
		}
		done <- struct{}{}
	})
	where(func(ctx context.Context) {
		b := make([]byte, 1)
		sample = wholeRounds(slice, func() {
			moved(write(ctx, 0, b))
			moved(read(ctx, 1, b))
		})
		mustNot(hangUp())
		done <- struct{}{}
	})
	<-done
	<-done
	return sample
}

// moved reports false at the end of a pipe.
func moved(n int, err error) bool {
	if !errors.Is(err, io.EOF) {
		mustNot(err)
	}
	return n == 1
}

// wholeRounds runs one round that is not measured, then whole ones for at least the
// slice.
func wholeRounds(slice time.Duration, round func()) measure.Sample {
	round()
	n, start, wall := 0, nanos(), int64(0)
	for ; n == 0 || wall < int64(slice); wall = nanos() - start {
		round()
		n++
	}
	return measure.Sample{Value: float64(wall) / float64(2*n)}
}
