// Command dedupcache is an HTTP cache that coalesces: however many clients ask
// for a page that is not there, its origin is asked once.
//
//	go run ./examples/dedupcache
//
// starts a slow origin, the cache in front of it and a crowd of HTTP clients,
// all in this process, over real connections on the loopback interface. The
// crowd makes the same requests twice, without coalescing and with it, and a
// table compares the two.
//
//	go run ./examples/dedupcache -listen :8080 -origin https://example.org
//
// serves a real origin instead, until SIGINT or SIGTERM.
//
// # Where to look
//
// cache.go is what this example is about: the coalescing cache, on two
// awaitable maps and nothing else. shelf.go holds the values and lets them
// expire; direct.go is the usual cache it is compared with. sharing.go and
// page.go say what one user's answer may be to another, handler.go speaks HTTP.
// demo.go, origin.go and clients.go are the experiment, serve.go is the server.
//
// # What the comparison means
//
// Both runs use the same kind of cache with the same time to live; without
// coalescing every request that misses goes to the origin. Clients make the
// same requests at the same pace, one at a time each: a client whose answer is
// late asks its next question late, and then catches up. The origin works on a limited number of
// requests at once, as a database or a rendering service does, the others
// queue. So a stampede costs latency, and more so the longer it lasts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

// run is the program: it returns the exit status. The end of ctx is the
// signal to stop.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, help())
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "dedupcache: %v (-h for help)\n", err)
		return exitUsage
	}
	work := demo
	if cfg.listen != "" {
		work = serve
	}
	if err := work(ctx, cfg, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "dedupcache: %v\n", err)
		return exitFailed
	}
	return exitOK
}
