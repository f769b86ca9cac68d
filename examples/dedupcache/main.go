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
//	go run ./examples/dedupcache -check https://example.org/page
//
// asks for a page once, as the cache would, and says for how long it would be kept,
// and why.
//
// With -debug 127.0.0.1:0, the first two also show which pages are waited for, on an
// address of its own that the program prints.
//
// # What is kept and shared
//
// It is a shared cache as RFC 9111 describes it, for GET and HEAD. Other methods,
// and requests with cookies or with preconditions that can fail, pass through to
// the origin, each for itself; so do those with no-store, and those for a part of a
// page (Range), unless the page is there, whole and fresh. Requests with no-cache
// validate what is kept, together. The answer to a request with Authorization is for
// its user only, unless it says public, must-revalidate or s-maxage.
//
// A shared request has the header of the user whose request was first, except for
// conditions and ranges. Its response is shared by all users that waited and agree
// with the first in the fields that it depends on (Vary), unless it says that it is
// private or no-store, sets a cookie or is a refusal. Then it is for the first user
// only, and the others ask the origin separately, at once, as do all that come within
// 10 s, or until a response could have been shared.
//
// How long a page is fresh follows from CDN-Cache-Control, or else s-maxage,
// max-age, or Expires and Date, less the Age. If the response says nothing, and its
// status allows that, it is a tenth of the time since Last-Modified, or else -ttl
// from its arrival. Errors are kept if they say for how long. A
// stale page with an ETag or Last-Modified is kept for an hour more, to be
// validated: a 304 makes it fresh again. It is served meanwhile under
// stale-while-revalidate, and after a failure under stale-if-error, but not with
// must-revalidate, proxy-revalidate or s-maxage. A page that is stale from the
// start (no-cache, max-age=0) is shared only by users that asked before the origin
// was asked: users that come during a fetch share the next one.
//
// Cache-Status says what became of a request (RFC 9211).
//
// A request that changes a page passes through. Unless its answer is an error,
// what the origin was asked for before that answer is not used any more.
//
// # Bodies
//
// A fetch is done when the header is there. The body goes to all users that wait
// as it arrives; a user that comes meanwhile gets it from its beginning. One that
// outgrows -max-object, or for which -max-bytes leaves no memory, is handed on and
// dropped: it arrives at the pace of its slowest reader. A reader that keeps others
// waiting for more than a second gets the rest by a range request of its own, if
// the page has a strong ETag or Last-Modified. A user that leaves does not disturb
// the others, and one that stays but stops reading is cut off. A body that nobody
// has read for 5 s is given up. If the origin breaks off, the page is forgotten,
// and the connections of its readers are aborted.
//
// Bodies never take more memory than -max-bytes, but for 32 KiB for each that
// arrives; the program as a whole takes up to 64 MiB more, and what its
// connections take. It sets the memory limit of the garbage collector for that,
// unless GOMEMLIMIT is set.
//
// With -disk, what is kept is in a directory as well: the next start of the server
// finds it there, and what -max-bytes leaves no memory for is taken from there before
// the origin is asked. What was used longest ago makes room when that takes
// -disk-bytes. The directory survives the end of the program at any instant.
//
// # Where to look
//
// pages.go holds the cache and says what is coalesced, find.go which of what is
// kept answers a request. fetch.go asks the origin, stream.go hands on what arrives,
// response.go writes it out, and handler.go sorts the requests. What HTTP says
// about caching is read in httpcache/internal/rfc9111. demo.go, origin.go and clients.go
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
