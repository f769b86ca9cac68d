package wake_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// Wait for a flag that another goroutine sets: leave a waker behind, look
// again, park.
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

// Hide a task's parker from a goroutine that is given the task's context.
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
