// Command requestreply sends requests to a server that answers them in another
// order, and hands each reply to the caller that waits for it. A caller registers
// before it sends its request, so its reply cannot come too early.
//
//	go run ./examples/requestreply
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/vigil-go/vigil/waitmap"
)

type message struct {
	id   int
	text string
}

func main() { run(os.Stdout) }

func run(w io.Writer) {
	var replies waitmap.Map[int, string] // by the request's id
	requests, results := make(chan message), make([]string, 3)
	go serve(requests, len(results), func(m message) {
		replies.Store(m.id, m.text) // hands it to its waiter
		replies.Delete(m.id)        // a reply that nobody waits for any more is not kept
	})
	call := func(ctx context.Context, m message) (string, error) {
		reply := replies.Register(m.id, nil) // before the request is sent
		defer reply.Stop()
		requests <- m
		return reply.Wait(ctx)
	}
	var calls sync.WaitGroup
	for id := range results {
		calls.Go(func() {
			text, err := call(context.Background(), message{id, fmt.Sprint("request ", id)})
			results[id] = fmt.Sprintf("%s, error: %v", text, err)
		})
	}
	calls.Wait()
	fmt.Fprintln(w, strings.Join(results, "\n"))
}

// serve receives n requests and then answers them, the last one first.
func serve(requests <-chan message, n int, reply func(message)) {
	received := make([]message, n)
	for i := range received {
		received[i] = <-requests
	}
	for _, m := range slices.Backward(received) {
		reply(message{m.id, "reply to " + m.text})
	}
}
