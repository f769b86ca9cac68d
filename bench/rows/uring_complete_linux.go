package rows

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
)

func completeRow() Row {
	return Row{
		Name:  "uring/complete",
		Title: "From a completion to its waiter",
		About: "That many NOPs are always under way, through one ring of one locked thread. A completion calls a function that " +
			"prepares the next (callback: the floor), resumes a task, or wakes a goroutine by its channel, which asks for the " +
			"next by a channel that all share. The locked goroutine that reaps for goroutines either blocks on that channel " +
			"when nothing is under way, or looks at it all the time, with a processor to itself. What counts is what each " +
			"adds to the callback.",
		Base: callback,
		jobs: func(set *Settings) []Job { return []Job{completeJob(set, 1), completeJob(set, 64)} },
	}
}

const (
	callback = "callback"
	blocking = "goroutine, blocking reaper"
	polling  = "goroutine, polling reaper"
)

func completeJob(set *Settings, n int) Job {
	return Job{
		Cell: Cell{Name: fmt.Sprint(n), Procs: set.headline(), Unit: "ns/NOP"},
		run: func() ([]measure.Series, []string) {
			series := measure.Interleave([]measure.Subject{
				{Name: callback, Run: func(d time.Duration) measure.Sample { return nopCallbacks(n, d) }},
				{Name: "vigil task", Run: func(d time.Duration) measure.Sample { return nopTasks(n, d) }},
				{Name: blocking, Run: func(d time.Duration) measure.Sample { return nopGoroutines(n, d, true) }},
				{Name: polling, Run: func(d time.Duration) measure.Sample { return nopGoroutines(n, d, false) }},
			}, set.Rounds, set.Slice)
			return series, []string{timesFaster(series)}
		},
	}
}

// timesFaster compares with the better one of the rivals.
func timesFaster(series []measure.Series) string {
	extra := func(name string) float64 {
		return find(series, name).Median() - find(series, callback).Median()
	}
	rival := min(extra(blocking), extra(polling))
	return goalAtLeast("(goroutine - callback) / (task - callback)", rival/extra("vigil task"), 4)
}

// perNop runs turns for a tenth of the slice and then, measured, for all of it. It
// returns the time divided by the NOPs that turn has counted meanwhile.
func perNop(slice time.Duration, nops *int, turn func()) measure.Sample {
	for start := nanos(); nanos()-start < int64(slice)/10; {
		turn()
	}
	before, start := *nops, nanos()
	for *nops == before || nanos()-start < int64(slice) {
		turn()
	}
	return measure.Sample{Value: float64(nanos()-start) / float64(*nops-before)}
}

// reapCalling calls the function that each completion names.
func reapCalling(r *ring.Ring, calls []func()) {
	for c := range r.CQ().All() {
		mustNot(c.Err())
		calls[c.UserData]()
	}
}

func prepareNop(r *ring.Ring, name int) {
	s := r.SQ().GetSQE()
	s.PrepNop()
	s.UserData = uint64(name)
}

func submit(r *ring.Ring) {
	_, err := r.SQ().SubmitAndGetEvents()
	mustNot(err)
}

func nopCallbacks(n int, slice time.Duration) measure.Sample {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := nopRing()
	mustNot(err)
	defer func() { mustNot(r.Close()) }()
	nops, calls := 0, make([]func(), n)
	for i := range calls {
		calls[i] = func() { nops++; prepareNop(r, i) }
		prepareNop(r, i)
	}
	return perNop(slice, &nops, func() {
		submit(r)
		reapCalling(r, calls)
	})
}

// nopTasks has the first task read the clock, because tasks take turns.
func nopTasks(n int, slice time.Duration) (sample measure.Sample) {
	l := newLoop(nil)
	defer closeLoop(l)
	nops, over, done := 0, false, make(chan struct{}, n)
	for i := range n {
		mustNot(l.Go(context.Background(), func(ctx context.Context) {
			nop := func() { mustNot(uringwake.Nop(ctx)); nops++ }
			if i == 0 {
				sample = perNop(slice, &nops, nop)
				over = true
			}
			for !over {
				nop()
			}
			done <- struct{}{}
		}))
	}
	for range n {
		<-done
	}
	return sample
}

// nopGoroutines works as Go libraries for io_uring usually do for goroutines.
func nopGoroutines(n int, slice time.Duration, blocks bool) measure.Sample {
	asks := make(chan int, n) // at most one each, so no send blocks
	wakes := make([]chan struct{}, n)
	var all sync.WaitGroup
	for i := range wakes {
		wakes[i] = make(chan struct{}, 1)
		all.Go(func() {
			asks <- i
			for range wakes[i] {
				asks <- i
			}
		})
	}
	sample := reapForGoroutines(asks, wakes, slice, blocks)
	for _, wake := range wakes {
		close(wake)
	}
	all.Wait()
	return sample
}

func reapForGoroutines(asks chan int, wakes []chan struct{}, slice time.Duration, blocks bool) measure.Sample {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := nopRing()
	mustNot(err)
	defer func() { mustNot(r.Close()) }()
	nops, calls := 0, make([]func(), len(wakes))
	for i := range calls {
		calls[i] = func() { nops++; wakes[i] <- struct{}{} }
	}
	return perNop(slice, &nops, func() {
		prepareAsked(r, asks, blocks)
		submit(r)
		reapCalling(r, calls)
	})
}

// prepareAsked prepares what was asked for, and waits until there is something.
func prepareAsked(r *ring.Ring, asks chan int, blocks bool) {
	for {
		select {
		case i := <-asks:
			prepareNop(r, i)
		default:
			if r.SQ().Ready() > 0 {
				return
			}
			if blocks {
				prepareNop(r, <-asks)
			}
		}
	}
}
