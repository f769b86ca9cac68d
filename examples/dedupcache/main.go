// Command dedupcache is a caching reverse proxy in the small, and it coalesces:
// however many clients ask for a page that is not there, its origin is asked
// once.
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
// serves a real origin instead, until SIGINT or SIGTERM. It can be what the go
// command downloads modules from: with -origin https://proxy.golang.org, and
// GOPROXY=http://127.0.0.1:8080 in the environment.
//
// With -debug 127.0.0.1:0, both also show who waits for which page, on an
// address of its own that the program prints.
//
// # What it keeps and shares
//
// It is a shared cache as RFC 9111 has it, for GET and HEAD. Other methods, and
// requests with credentials (Authorization, Cookie), with preconditions that can
// fail, or with no-cache or no-store, pass through to the origin, each for
// itself. So do requests for a part of a page (Range), unless the page is there,
// whole and fresh.
//
// A shared request has nothing of the user who happened to be first: the path
// and query, and the header fields of -vary, no more. What it brings is shared
// by all that waited, unless it says that it is private, no-store or depends on
// another field (Vary), sets a cookie or refuses. Then each of them asks the
// origin on his own, and so do those who come in the next moment, -ttl.
//
// Freshness is what s-maxage, max-age, or Expires and Date say, less the Age;
// -ttl from its arrival, if nothing is said. A stale page with an ETag or
// Last-Modified is kept for an hour more, to be validated: a 304 makes it fresh
// again. While that goes on it is served under stale-while-revalidate, and if it
// fails, under stale-if-error, but not with must-revalidate, proxy-revalidate or
// s-maxage.
// What is stale from the start (no-cache, max-age=0) is shared only by users who
// asked before the origin was asked: those who come during a fetch share the next.
//
// Who changes a page does so by a request that passes through: what the origin
// was asked for before its answer, unless that is an error, is not used any more.
//
// # Bodies
//
// A fetch is done when the header is there. The body goes to all that wait as
// it arrives; who comes while it does gets it from its beginning. A body that
// is to be kept arrives in full, even if all users leave. One that outgrows
// -max-object is handed on and dropped: it arrives at the pace of its fastest
// reader, who falls as far behind as -max-object (or 1 MiB) is cut off, and it
// ends with the last. A user who leaves is not noticed by the others, and one who
// stays but stops reading is cut off. If the origin breaks off, the page is
// forgotten, and the connections of those who were reading are aborted.
//
// # Where to look
//
// pages.go holds the cache and says what is coalesced, find.go which of what is
// kept answers whom. fetch.go asks the origin, body.go hands on what arrives,
// response.go writes it out, and handler.go sorts the requests. What HTTP says
// about caching is read in internal/httpcache. demo.go, origin.go and clients.go
// are the experiment, serve.go is the server, debug.go the window.
//
// # What the comparison means
//
// Both runs use the same kind of cache with the same time to live; without
// coalescing every request that misses goes to the origin. Clients make the
// same requests at the same pace, one at a time each: a client whose answer is
// late asks its next question late, and then catches up. The origin works on a
// limited number of requests at once, as a database or a rendering service does,
// the others queue. So a stampede costs latency, and more so the longer it lasts.
// That one page is fetched once at a time is counted at the origin.
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
	if err := work(ctx, cfg, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "dedupcache: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// work does what the flags ask for, behind a window if they ask for one.
func work(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	if cfg.debug != "" {
		url, closeWindow, err := openWindow(cfg.debug)
		if err != nil {
			return err
		}
		defer closeWindow()
		fmt.Fprintf(stdout, "who waits for what: %s\n", url)
	}
	if cfg.listen != "" {
		return serve(ctx, cfg, stdout, stderr)
	}
	return demo(ctx, cfg, stdout, stderr)
}
