package rows

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/bench/measure"
)

func awaitTasksRow() Row {
	return Row{
		Name:  "tasks",
		Title: "Running functions and waiting for all of them",
		About: "A new group runs a function that returns nil so many times, and waits for all; time is per function. Each group " +
			"has a context of its own, which ends with the group: errgroup's is made by WithContext. With a limit, at most " +
			"four run at a time: errgroup's Go then waits, and that of Tasks queues the function. What is cancelable is made of, and waits under, a context that can be canceled.",
		Base: "errgroup",
		jobs: func(set *Settings) (jobs []Job) {
			for _, n := range []int{1, 8, set.scaled(1000, 100)} {
				cell := Cell{Name: fmt.Sprint(n), Unit: "ns/function"}
				jobs = append(jobs, overProcs(set, cell, func(ctx context.Context) []measure.Subject { return taskGroups(ctx, n) })...)
			}
			return jobs
		},
	}
}

const (
	noLimit   = -1 // of errgroup
	fewAtOnce = 4
)

func taskGroups(ctx context.Context, n int) []measure.Subject {
	background := context.Background()
	return []measure.Subject{
		goWait("errgroup", n, func() { runErrgroup(background, n, noLimit) }),
		goWait("errgroup"+andCancel, n, func() { runErrgroup(ctx, n, noLimit) }),
		goWait("errgroup, limit", n, func() { runErrgroup(background, n, fewAtOnce) }),
		goWait("vigil Tasks", n, func() { runTasks(background, n, noLimit) }),
		goWait("vigil Tasks"+andCancel, n, func() { runTasks(ctx, n, noLimit) }),
		goWait("vigil Tasks, limit", n, func() { runTasks(background, n, fewAtOnce) }),
	}
}

func runErrgroup(ctx context.Context, n, limit int) {
	g, _ := errgroup.WithContext(ctx)
	if limit != noLimit {
		g.SetLimit(limit)
	}
	for range n {
		g.Go(func() error { return nil })
	}
	mustNot(g.Wait())
}

func runTasks(ctx context.Context, n, limit int) {
	t, _ := await.NewTasks(ctx)
	if limit != noLimit {
		t.SetLimit(limit)
	}
	for range n {
		t.Go(func(context.Context) error { return nil })
	}
	mustNot(t.Wait(ctx))
}

func onceRow() Row {
	return Row{
		Name:  "once",
		Title: "Computing a value once",
		About: "So many goroutines ask for a value that has been computed, again and again, and each yields after 256 of that. " +
			"sync.Once has its value in a variable beside it.",
		Base: "sync.OnceValue",
		jobs: func(set *Settings) []Job { return overGoroutines(set, "", onces) },
	}
}

func onces(ctx context.Context, goroutines int) []measure.Subject {
	return []measure.Subject{
		together("sync.Once", goroutines, askingOnce),
		together("sync.OnceValue", goroutines, askingOnceValue),
		together("vigil Once", goroutines, func() func(int) { return askingVigilOnce(context.Background()) }),
		together("vigil Once"+andCancel, goroutines, func() func(int) { return askingVigilOnce(ctx) }),
	}
}

func askingOnce() func(int) {
	var once sync.Once
	var value int
	compute := func() { value = 1 }
	return func(n int) {
		sum := 0
		for range n {
			once.Do(compute)
			sum += value
		}
		same(sum, n)
	}
}

func askingOnceValue() func(int) {
	once := sync.OnceValue(func() int { return 1 })
	return func(n int) {
		sum := 0
		for range n {
			sum += once()
		}
		same(sum, n)
	}
}

func askingVigilOnce(ctx context.Context) func(int) {
	var once await.Once[int]
	compute := func(context.Context) (int, error) { return 1, nil }
	return func(n int) {
		sum := 0
		for range n {
			value, err := once.Do(ctx, compute)
			mustNot(err)
			sum += value
		}
		same(sum, n)
	}
}
