package rows

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitmap"
)

func tasksRow() Row {
	return Row{
		Name:  "uring/tasks",
		Title: "Bytes per sleeping task",
		About: "Heap and stacks in use after a collection, with everyone asleep, less before, per task: in Map.Wait, each on a " +
			"key of its own, and in Sleep. Beside them, goroutines in Map.Wait. What the runtime keeps of goroutines that " +
			"have ended is used up before, so that each has a descriptor of its own.",
		jobs: func(set *Settings) []Job {
			n, d := set.scaled(100_000, 500), 5*time.Second
			if set.Quick {
				d = 10 * time.Millisecond
			}
			return []Job{{
				Cell: Cell{Name: short(n), Procs: set.headline(), Unit: "bytes/task"},
				run: func() ([]measure.Series, []string) {
					series := measure.Interleave([]measure.Subject{
						fresh("vigil task in Wait", n, tasksInWait),
						fresh("vigil task in Sleep", n, func(n int) float64 { return tasksInSleep(n, d) }),
						fresh("goroutine in Wait", n, goroutinesInWait),
					}, 1, 0) // bytes hardly differ between rounds
					return series, []string{
						goal("bytes a task in Wait", series[0].Median(), 3500),
						goal("bytes a task in Sleep", series[1].Median(), 3500),
					}
				},
			}}
		},
	}
}

// inUse returns what the heap and the stacks take from the system, which is more
// than what is reachable, since both come in pages.
func inUse() uint64 {
	m := afterCollection()
	return m.HeapInuse + m.StackInuse
}

func afterCollection() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

func fresh(name string, n int, size func(n int) float64) measure.Subject {
	return measure.Subject{Name: name, Run: func(time.Duration) measure.Sample {
		defer useUpDead(max(n/4, 500))()
		return measure.Sample{Value: size(n)}
	}}
}

// useUpDead parks goroutines until the runtime has no ended ones left to reuse, so
// that another one costs its descriptor of about 500 bytes. The result ends them.
func useUpDead(batch int) (end func()) {
	gate, all := make(chan struct{}), new(sync.WaitGroup)
	for heap := uint64(0); ; {
		for range batch {
			all.Go(func() { <-gate })
		}
		m := afterCollection()
		if heap > 0 && measure.Growth(heap, m.HeapInuse, batch) > 400 {
			return func() { close(gate); all.Wait() }
		}
		heap = m.HeapInuse
	}
}

func tasksInWait(n int) float64 {
	before := inUse()
	l := newLoop(nil)
	m := waitmap.New[int, int](nil)
	startTasks(l, n, func(ctx context.Context, i int) { _, _ = m.Wait(ctx, i) })
	for waitersOf(m) < n {
		time.Sleep(time.Millisecond)
	}
	after := inUse()
	m.CancelAll()
	closeLoop(l) // returns when all tasks have
	return measure.Growth(before, after, n)
}

// tasksInSleep sleep repeatedly for a short time, so that they end by themselves:
// to cancel a sleep, the kernel looks for it among all the others.
func tasksInSleep(n int, d time.Duration) float64 {
	var over atomic.Bool
	before := inUse()
	l := newLoop(nil)
	startTasks(l, n, func(ctx context.Context, _ int) {
		for !over.Load() {
			mustNot(uringwake.Sleep(ctx, d))
		}
	})
	for settled(l).InFlight < n {
		time.Sleep(time.Millisecond)
	}
	after := inUse()
	over.Store(true)
	for settled(l).Tasks > 0 {
		time.Sleep(d / 10)
	}
	closeLoop(l)
	return measure.Growth(before, after, n)
}

// startTasks adds as little as possible to what f has on its stack.
func startTasks(l *uringwake.Loop, n int, f func(ctx context.Context, i int)) {
	for i := range n {
		mustNot(l.Go(context.Background(), func(ctx context.Context) { f(ctx, i) }))
	}
}

func goroutinesInWait(n int) float64 {
	before := inUse()
	m := waitmap.New[int, int](nil)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { _, _ = m.Wait(context.Background(), i) })
	}
	for waitersOf(m) < n {
		time.Sleep(time.Millisecond)
	}
	after := inUse()
	m.CancelAll()
	all.Wait()
	return measure.Growth(before, after, n)
}
