package rows

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

const byFile = "os.File"

func fileIORow() Row {
	return Row{
		Name:  "io/file",
		Title: "Random reads of a file",
		About: "Goroutines or tasks read pages of 4 KiB at random from a file of 256 MiB in the folder for temporary files, one " +
			"read each at a time: the depth is their number. With O_DIRECT the pages come from the disk, else they are in memory. " +
			"There is a loop for each processor. CPU is that of the process, in the kernel as well: reads per CPU second are its inverse.",
		Base: byFile,
		jobs: func(set *Settings) []Job {
			return contestJobs(set, []figure{{cpuFigure, "us of CPU/read"}, {rateFigure, "reads/s"}}, readContests(set))
		},
	}
}

func readContests(set *Settings) (contests []contest) {
	depths := []int{1, 32, 128}
	if set.Quick {
		depths = []int{4}
	}
	for _, flag := range []int{unix.O_DIRECT, 0} {
		for _, depth := range depths {
			name := map[int]string{unix.O_DIRECT: "direct", 0: "cached"}[flag]
			contests = append(contests, contest{
				name:    fmt.Sprint(name, "/", depth),
				measure: func() (scores, []string) { return measureReads(set, depth, flag) },
				aims: func(figure string, series []measure.Series) []string {
					if figure != cpuFigure || flag == 0 || depth != 32 || len(series) == 0 {
						return nil
					}
					return []string{share{inTasks, byFile, 2}.note(series)}
				},
			})
		}
	}
	return contests
}

const pageSize = 4096

func measureReads(set *Settings, depth, flag int) (results scores, notes []string) {
	ctx, size := context.Background(), set.scaled(256<<20, 1<<20)
	hidden := bigFile(size)
	defer hidden.Close()
	f, err := os.OpenFile(pathOf(hidden), os.O_RDONLY|flag, 0)
	mustNot(err)
	defer f.Close()
	ours, err := uringfs.OpenFile(ctx, pathOf(hidden), os.O_RDONLY|flag, 0)
	mustNot(err)
	defer ours.Close()
	r, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: set.headline()})
	mustNot(err)
	defer func() { mustNot(r.Close(ctx)) }()
	readers := pageReaders{depth: depth, pages: size / pageSize}
	return compete(set, []racer{
		{byFile, readers.run(goroutineRunner, func(_ context.Context, p []byte, off int64) (int, error) { return f.ReadAt(p, off) })},
		{inTasks, readers.run(taskRunner(r), ours.ReadAtContext)},
		{inGoroutines, readers.run(goroutineRunner, ours.ReadAtContext)},
	}), nil
}

// pathOf returns where a file without a name can be opened again.
func pathOf(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

func taskRunner(r *uringwake.Runtime) runner {
	return func(body func(ctx context.Context)) { mustNot(r.Go(context.Background(), body)) }
}

type pageReaders struct{ depth, pages int }

// run returns a function that reads for about d, and returns how often it did.
func (r pageReaders) run(where runner, readAt func(ctx context.Context, p []byte, off int64) (int, error)) func(d time.Duration) int {
	return func(d time.Duration) int {
		// O_DIRECT needs buffers that are aligned.
		pages, err := unix.Mmap(-1, 0, r.depth*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		mustNot(err)
		defer func() { mustNot(unix.Munmap(pages)) }()
		var over atomic.Bool
		var total atomic.Int64
		var all sync.WaitGroup
		all.Add(r.depth)
		for i := range r.depth {
			where(func(ctx context.Context) {
				defer all.Done()
				p, n := pages[i*pageSize:][:pageSize], 0
				random := rand.New(rand.NewPCG(uint64(i), 1))
				for ; !over.Load(); n++ {
					got, err := readAt(ctx, p, random.Int64N(int64(r.pages))*pageSize)
					mustNot(err)
					if got != pageSize {
						panic("rows: a short read")
					}
				}
				total.Add(int64(n))
			})
		}
		time.Sleep(d)
		over.Store(true)
		all.Wait()
		return int(total.Load())
	}
}

// A racer does things in this process for about d, and returns how many.
type racer struct {
	name string
	run  func(d time.Duration) int
}

// compete measures the racers in turns: CPU and wall time.
func compete(set *Settings, racers []racer) scores {
	results := scores{}
	slice := set.serverSlice()
	for r := range set.Rounds {
		for i := range racers {
			one := racers[(i+r)%len(racers)]
			one.run(slice / 10) // not counted, as in measure.Slice
			cpu, start := ownCPU(), nanos()
			n := float64(one.run(slice))
			wall, took := nanos()-start, ownCPU()-cpu
			results.add(cpuFigure, one.name, float64(took)/1e3/n)
			results.add(rateFigure, one.name, n*1e9/float64(wall))
		}
	}
	return results
}

// ownCPU returns the nanoseconds that all threads of this process have run.
func ownCPU() int64 {
	var t unix.Timespec
	mustNot(unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t))
	return t.Nano()
}
