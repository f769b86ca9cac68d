package measure

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// A Sample is one measurement: the cost of one operation.
type Sample struct {
	Value float64 // in the cell's unit, usually ns per operation
	Alloc float64 // bytes allocated per operation
}

// A Subject is measured side by side with others.
type Subject struct {
	Name string
	Run  func(slice time.Duration) Sample
}

// A Series has the results of the rounds for one subject.
type Series struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
	Alloc  float64   `json:"alloc"` // median bytes allocated per operation
}

// Median returns the median of the series' values.
func (s Series) Median() float64 { return Median(s.Values) }

// Interleave runs the subjects in turns, A B C, B C A, C A B, so that each runs
// under all states of the machine and no subject always follows the same one. Each
// round rotates the order by one.
func Interleave(subjects []Subject, rounds int, slice time.Duration) []Series {
	out := make([]Series, len(subjects))
	allocs := make([][]float64, len(subjects))
	for r := range rounds {
		for i := range subjects {
			at := (i + r) % len(subjects)
			s := subjects[at].Run(slice)
			out[at].Values = append(out[at].Values, s.Value)
			allocs[at] = append(allocs[at], s.Alloc)
		}
	}
	for i := range out {
		out[i].Name = subjects[i].Name
		out[i].Alloc = Median(allocs[i])
	}
	return out
}

// WithProcs runs f under GOMAXPROCS n.
func WithProcs(n int, f func()) {
	old := runtime.GOMAXPROCS(n)
	defer runtime.GOMAXPROCS(old)
	f()
}

// Slice runs workers goroutines for about d: each calls batch, which does some
// operations and returns how many, until the time is up. A tenth of d runs first
// and is not counted, because the caches still hold the data of the subject before.
// The value is the wall time divided by the operations of all workers.
func Slice(workers int, d time.Duration, batch func(worker int) int) Sample {
	if warm := d / 10; warm > 0 {
		runFor(workers, warm, batch)
	}
	before := allocated()
	wall, ops := runFor(workers, d, batch)
	return perOp(wall, ops, allocated()-before)
}

// Once times f, which does ops operations, once.
func Once(ops int, f func()) Sample {
	before := allocated()
	start := time.Now()
	f()
	wall := time.Since(start)
	return perOp(wall, ops, allocated()-before)
}

func perOp(wall time.Duration, ops int, alloc uint64) Sample {
	n := float64(max(ops, 1))
	return Sample{Value: float64(wall.Nanoseconds()) / n, Alloc: float64(alloc) / n}
}

// runFor is one bounded run. The workers check one flag between batches, so reading
// the clock costs them nothing.
func runFor(workers int, d time.Duration, batch func(worker int) int) (time.Duration, int) {
	var stop atomic.Bool
	var total atomic.Int64
	var done sync.WaitGroup
	gate := make(chan struct{})
	for w := range workers {
		done.Go(func() {
			<-gate
			ops := 0
			for !stop.Load() {
				ops += batch(w)
			}
			total.Add(int64(ops))
		})
	}
	start := time.Now()
	close(gate)
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	done.Wait()
	wall := time.Since(start)
	timer.Stop()
	return wall, int(total.Load())
}

// Parallel runs body on workers goroutines and waits for all of them.
func Parallel(workers int, body func(worker int)) {
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() { body(w) })
	}
	done.Wait()
}

// allocated returns the number of bytes allocated so far by this process.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
