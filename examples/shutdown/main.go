// Command shutdown lets the requests in flight finish within a deadline, cuts off
// those that take longer, and ends when the last one has returned. A Wait that
// gives up leaves nothing behind: the group is waited for a second time.
//
//	go run ./examples/shutdown
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/vigil-go/vigil/waitgroup"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(w io.Writer) error {
	var inFlight waitgroup.Group
	requests, cutOff := context.WithCancelCause(context.Background())
	defer cutOff(nil)
	for _, takes := range []time.Duration{0, time.Millisecond, 24 * time.Hour} {
		inFlight.Go(func() { handle(requests, takes) })
	}

	deadline, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := inFlight.Wait(deadline); err != nil {
		fmt.Fprintln(w, "out of time, requests in flight:", inFlight.Count())
		cutOff(errors.New("the server shuts down"))
	}
	if err := inFlight.Wait(context.Background()); err != nil {
		return err
	}
	fmt.Fprintln(w, "shut down, requests in flight:", inFlight.Count())
	return nil
}

// handle stands for a request that takes a while, and ends when ctx does.
func handle(ctx context.Context, takes time.Duration) {
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
}
