// Command dedupcache is a small caching reverse proxy that coalesces: however many
// clients ask for a page that is not there, its origin is asked once.
//
//	go run ./examples/dedupcache
//
// starts a slow origin, the cache in front of it and a crowd of HTTP clients, all
// in this process, over real connections on the loopback interface. The crowd
// makes the same requests twice, without coalescing and with it, and a table
// compares the two.
//
//	go run ./examples/dedupcache -listen :8080 -origin https://example.org
//
// serves a real origin instead, until SIGINT or SIGTERM. The go command can
// download modules from it: with -origin https://proxy.golang.org, and
// GOPROXY=http://127.0.0.1:8080 in the environment.
//
// With -debug 127.0.0.1:0, both also show which pages are waited for, on an
// address of its own that the program prints.
//
// # What is kept and shared
//
// It is a shared cache as RFC 9111 describes it, for GET and HEAD. Other methods,
// and requests with credentials (Authorization, Cookie), with preconditions that
// can fail, or with no-cache or no-store, pass through to the origin, each for
// itself. So do requests for a part of a page (Range), unless the page is there,
// whole and fresh.
//
// A shared request has nothing of the user whose request was first: only the path
// and query, and the header fields of -vary. Its response is shared by all users
// that waited, unless it says that it is private, no-store or depends on another
// field (Vary), sets a cookie or is a refusal. Then each user asks the origin
// separately, and so does every user that comes within -ttl.
//
// How long a page is fresh follows from s-maxage, max-age, or Expires and Date,
// less the Age; it is -ttl from the page's arrival if the response says nothing. A
// stale page with an ETag or Last-Modified is kept for an hour more, to be
// validated: a 304 makes it fresh again. It is served meanwhile under
// stale-while-revalidate, and after a failure under stale-if-error, but not with
// must-revalidate, proxy-revalidate or s-maxage. A page that is stale from the
// start (no-cache, max-age=0) is shared only by users that asked before the origin
// was asked: users that come during a fetch share the next one.
//
// A request that changes a page passes through. Unless its answer is an error,
// what the origin was asked for before that answer is not used any more.
//
// # Bodies
//
// A fetch is done when the header is there. The body goes to all users that wait
// as it arrives; a user that comes meanwhile gets it from its beginning. A body
// that is to be kept arrives in full, even if all users leave. One that outgrows
// -max-object is handed on and dropped: it arrives at the pace of its fastest
// reader, a reader that falls as far behind as -max-object (or 1 MiB) is cut off,
// and the fetch ends with the last reader. A user that leaves does not disturb the
// others, and one that stays but stops reading is cut off. If the origin breaks
// off, the page is forgotten, and the connections of its readers are aborted.
//
// # Where to look
//
// pages.go holds the cache and says what is coalesced, find.go which of what is
// kept answers a request. fetch.go asks the origin, body.go hands on what arrives,
// response.go writes it out, and handler.go sorts the requests. What HTTP says
// about caching is read in internal/httpcache. demo.go, origin.go and clients.go
// are the experiment, serve.go is the server, debug.go the page of -debug.
//
// # What the comparison means
//
// Both runs use the same kind of cache with the same time to live; without
// coalescing every request that misses goes to the origin. Clients make the same
// requests at the same pace, one at a time each: a client whose answer is late
// asks its next question late, and then catches up. The origin works on a limited
// number of requests at once, as a database or a rendering service does, and the
// others queue. So a stampede costs latency, and more so the longer it lasts. That
// one page is fetched once at a time is counted at the origin.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/vigil-go/vigil/examples/internal/cli"
)

func main() { program.Main() }

var program = cli.Program[*config]{Name: "dedupcache", Help: help, Parse: parse, Work: work}

// work does what the flags ask for, and shows what is waited for if they ask for that.
func work(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
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
