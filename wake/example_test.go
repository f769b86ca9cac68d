package wake_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// Wait for a flag that another goroutine sets: look at the flag before each park.
func ExampleNewParker() {
	var ready atomic.Bool
	p := wake.NewParker()
	go func() {
		ready.Store(true)
		p.Wake()
	}()

	for !ready.Load() {
		if err := p.Park(context.Background()); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("ready")
	// Output: ready
}

// A park ends with its context.
func ExampleParker_timeout() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := wake.NewParker().Park(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// Hide a task's parker from a goroutine to which the task's context is passed.
func ExampleWithParker() {
	task := wake.WithParker(context.Background(), wake.NewParker())
	done := make(chan struct{})
	go func(ctx context.Context) {
		defer close(done)
		p := wake.ParkerFrom(ctx) // this goroutine's own
		p.Wake()
		fmt.Println(p.Park(ctx))
	}(wake.WithParker(task, nil))
	<-done
	// Output: <nil>
}

// A channel as the waker, for use in a select statement.
func ExampleChan() {
	c := make(wake.Chan, 1)
	go c.Wake()
	select {
	case <-c:
		fmt.Println("woken")
	case <-time.After(time.Minute):
		fmt.Println("too late")
	}
	// Output: woken
}

// Sleep through the parker of the context: a goroutine receives from a channel, a task
// switches back to its loop.
func ExampleParkerFrom() {
	var ready atomic.Bool
	wait := func(ctx context.Context, leave func(wake.Waker)) error {
		p := wake.ParkerFrom(ctx)
		leave(p)
		for !ready.Load() {
			if err := p.Park(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	err := wait(context.Background(), func(w wake.Waker) {
		go func() { ready.Store(true); w.Wake() }()
	})
	fmt.Println(err)
	// Output: <nil>
}

// Find out whether a context has a parker of its own.
func ExampleFromContext() {
	ctx := context.Background()
	_, ok := wake.FromContext(ctx)
	fmt.Println("a goroutine's context:", ok)

	ctx = wake.WithParker(ctx, wake.NewParker())
	_, ok = wake.FromContext(ctx)
	fmt.Println("with a parker:", ok)

	ctx = wake.WithParker(ctx, nil)
	_, ok = wake.FromContext(ctx)
	fmt.Println("with the parker hidden:", ok)
	// Output:
	// a goroutine's context: false
	// with a parker: true
	// with the parker hidden: false
}

// Start code of the caller's kind: a goroutine here, and a task under the context of a
// task.
func ExampleGo() {
	results := make(chan int, 2)
	squares := func(ctx context.Context, of ...int) error { // a library's function
		for _, n := range of {
			if err := wake.Go(ctx, func(context.Context) { results <- n * n }); err != nil {
				return err
			}
		}
		return nil
	}
	if err := squares(context.Background(), 3, 4); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-results + <-results)
	// Output: 25
}

// Call a function instead of waking a goroutine.
func ExampleFunc() {
	var w wake.Waker = wake.Func(func() { fmt.Println("woken") })
	w.Wake()
	// Output: woken
}
