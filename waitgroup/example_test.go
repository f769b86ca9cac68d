package waitgroup_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// Run some functions and wait for all of them.
func ExampleGroup() {
	var g waitgroup.Group
	var sum atomic.Int64
	for i := range 10 {
		g.Go(func() { sum.Add(int64(i)) })
	}
	fmt.Println(g.Wait(context.Background()), sum.Load())
	// Output: <nil> 45
}

// Wait with a time limit. A wait that failed leaves nothing behind, so Wait can be called
// again.
func ExampleGroup_Wait_timeout() {
	var g waitgroup.Group
	stop := make(chan struct{})
	g.Go(func() { <-stop })

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := g.Wait(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), g.Count())

	close(stop)
	fmt.Println(g.Wait(context.Background()), g.Count())
	// Output:
	// true 1
	// <nil> 0
}

// Count jobs that do not end with the return of a function.
func ExampleGroup_Add() {
	var g waitgroup.Group
	g.Add(2)
	fmt.Println(g.Count(), g.TryWait())
	g.Done()
	g.Done()
	fmt.Println(g.Count(), g.TryWait())
	// Output:
	// 2 false
	// 0 true
}

// Wait in a select statement, next to other things.
func ExampleGroup_Idle() {
	var g waitgroup.Group
	progress := make(chan string)
	g.Go(func() {
		progress <- "half"
		progress <- "all"
	})

	for {
		select {
		case p := <-progress:
			fmt.Println(p)
		case <-g.Idle():
			fmt.Println("done")
			return
		}
	}
	// Output:
	// half
	// all
	// done
}

// Call a function when all jobs are done, without a waiting goroutine.
func ExampleGroup_Register() {
	var g waitgroup.Group
	g.Add(2)
	g.Register(wake.Func(func() { fmt.Println("all done") }))

	g.Done()
	fmt.Println("one left")
	g.Done()
	// Output:
	// one left
	// all done
}

// Let requests in flight finish within a deadline, then cancel the others.
func Example_gracefulShutdown() {
	var inFlight waitgroup.Group
	base, cutOff := context.WithCancelCause(context.Background())
	defer cutOff(nil)
	handle := func(ctx context.Context, takes time.Duration) {
		select {
		case <-time.After(takes):
		case <-ctx.Done(): // canceled
		}
	}
	inFlight.Go(func() { handle(base, time.Millisecond) })
	inFlight.Go(func() { handle(base, 24*time.Hour) })

	shutdown, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := inFlight.Wait(shutdown); err != nil {
		fmt.Println("out of time:", errors.Is(err, context.DeadlineExceeded))
		cutOff(err)
	}
	fmt.Println("down:", inFlight.Wait(context.Background()))
	// Output:
	// out of time: true
	// down: <nil>
}

// Use one group again and again: each Wait is for what was added before it.
func Example_reuse() {
	var g waitgroup.Group
	for batch := range 3 {
		var n atomic.Int64
		for range 4 {
			g.Go(func() { n.Add(1) })
		}
		fmt.Println(batch, g.Wait(context.Background()), n.Load())
	}
	// Output:
	// 0 <nil> 4
	// 1 <nil> 4
	// 2 <nil> 4
}

// Wait for the end of all functions, or until a time has passed.
func ExampleGroup_OnZero() {
	var g waitgroup.Group
	stop := make(chan struct{})
	g.Go(func() { <-stop })

	chosen, err := await.Select(context.Background(), g.OnZero(), await.After(time.Millisecond))
	fmt.Println(chosen, err)
	close(stop)
	chosen, err = await.Select(context.Background(), g.OnZero(), await.After(time.Minute))
	fmt.Println(chosen, err)
	// Output:
	// 1 <nil>
	// 0 <nil>
}
