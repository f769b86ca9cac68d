// Command dedupcache is a caching reverse proxy that coalesces requests: however many
// clients ask for a page that is not kept, its origin is asked once. It is a use of package
// httpcache.
//
//	go run ./examples/dedupcache
//
// shows what coalescing is worth. It starts a slow origin, the cache in front of it and many
// HTTP clients, all in this process, over connections of the loopback interface. The clients
// make the same requests twice, without coalescing and with it, and a table compares both.
//
//	go run ./examples/dedupcache -listen :8080 -origin https://example.org
//
// serves a real origin instead, until SIGINT or SIGTERM. The go command can download modules
// from it: with -origin https://proxy.golang.org, and GOPROXY=http://127.0.0.1:8080 in the
// environment.
//
//	go run ./examples/dedupcache -check https://example.org/page
//
// asks for a page once, as the cache would, and says for how long it would be kept, and why.
//
// With -debug 127.0.0.1:0, the first two also serve a page that shows which pages are waited
// for. The program prints its address.
//
// # What is kept and shared
//
// The documentation of package httpcache says which requests share a response, how long a
// response is fresh, and what is not kept. Here, -ttl is its Options.TTL, -max-bytes its
// MaxBytes, -max-object its MaxObject and -origin-time its Timeout.
//
// A client that stops reading is disconnected after 30 s.
//
// # Memory
//
// Bodies take at most -max-bytes, and 32 KiB for each body that is arriving. The program as
// a whole takes up to 64 MiB more, and the memory of its connections. For that it sets the
// memory limit of the garbage collector, unless GOMEMLIMIT is set.
//
// With -disk, pages are also kept in a directory, where the next start of the server finds
// them. The page that was used longest ago is removed when they exceed -disk-bytes. The
// directory stays consistent if the program is killed.
//
// # Files
//
// demo.go, origin.go and clients.go are the demo, with table.go for its result. serve.go is
// the server, with metrics.go for -metrics, debug.go for -debug and check.go for -check.
//
// # What the comparison means
//
// Both runs use the same kind of cache with the same time to live. Without coalescing, every
// request that misses goes to the origin. The clients make the same requests at the same
// pace, one at a time each. A client whose answer is late makes its next request late, and
// then catches up. The origin works on a limited number of requests at once, as a database
// does, and the others queue. So many requests for one page increase the latency of all. The
// origin counts how many requests for one page it has at the same time.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/vigil-go/vigil/internal/cli"
)

func main() { program.Main() }

var program = cli.Program[*config]{Name: "dedupcache", Help: help, Parse: parse, Work: work}

// work does what the flags ask for.
func work(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	if cfg.check != "" {
		return check(ctx, cfg, stdout)
	}
	if cfg.debug != "" {
		url, closeWindow, err := openWindow(cfg.debug)
		if err != nil {
			return err
		}
		defer closeWindow()
		fmt.Fprintf(stdout, "all waits and loads: %s\n", url)
	}
	if cfg.listen != "" {
		return serve(ctx, cfg, stdout, stderr)
	}
	return demo(ctx, cfg, stdout, stderr)
}
