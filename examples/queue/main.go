// Command queue hands jobs to workers through a key of a waitmap.Map: each job
// goes to exactly one of the workers that wait in Take, and the producer waits on
// a notify.Notify until the key is free for the next job.
//
//	go run ./examples/queue
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

func main() { run(os.Stdout) }

func run(w io.Writer) {
	var (
		queue   waitmap.Map[string, int]
		taken   notify.Notify
		workers waitgroup.Group
		done    [100]int // how many times each job was done
	)
	ctx := context.Background()
	for range 4 {
		workers.Go(func() {
			for {
				job, err := queue.Take(ctx, "job")
				if err != nil {
					return // the queue is closed
				}
				taken.NotifyOne() // remembered if the producer does not wait yet
				done[job]++       // needs no lock: no other worker has this job
			}
		})
	}
	for job := range done {
		queue.Store("job", job)
		taken.Wait(ctx)
	}
	queue.Close()
	workers.Wait(ctx)

	once := 0
	for _, n := range done {
		if n == 1 {
			once++
		}
	}
	fmt.Fprintf(w, "jobs: %d, done exactly once: %d\n", len(done), once)
}
