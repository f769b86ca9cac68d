// Command crosswake passes a message from a goroutine to a task of one io_uring
// loop, to a task of another loop, and back. All of them wait and wake by the same
// calls of waitmap.Map and notify.Notify. Where io_uring cannot be used, the
// program says why.
//
//	go run ./examples/crosswake
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitmap"
)

func main() { run(context.Background(), os.Stdout) }

func run(ctx context.Context, w io.Writer) {
	if err := uringwake.Supported(); err != nil {
		fmt.Fprintln(w, "io_uring cannot be used here:", err)
		return
	}
	runtime := must(uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: 2}))
	defer runtime.Close(ctx)
	loops := runtime.Loops()

	var routes waitmap.Map[string, string] // by the next stop
	var returned notify.Notify
	route := "" // what happens before NotifyOne happens before the Wait's return
	loops[0].Go(ctx, func(ctx context.Context) {
		routes.Store("loop 2", must(routes.Wait(ctx, "loop 1"))+" -> loop 1")
		must(0, returned.Wait(ctx))
		routes.Store("goroutine", route+" -> loop 1")
	})
	loops[1].Go(ctx, func(ctx context.Context) {
		route = must(routes.Wait(ctx, "loop 2")) + " -> loop 2"
		returned.NotifyOne()
	})
	routes.Store("loop 1", "goroutine")
	fmt.Fprintln(w, must(routes.Wait(ctx, "goroutine")), "-> goroutine")
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
