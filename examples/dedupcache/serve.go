package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/vigil-go/vigil/examples/internal/cli"
)

// serve puts the cache before a real origin until ctx ends, then drains.
func serve(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	logger := log.New(stderr, "dedupcache: ", 0)
	f, err := newFront(cfg, cfg.target, realTransport(), true, logger)
	if err != nil {
		return err
	}
	f.watch("pages", false)
	defer f.close()
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: f, ErrorLog: logger, MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	start, broken := time.Now(), make(chan error, 1)
	go func() { broken <- server.Serve(promptListener{listener, clientTimeout}) }()
	fmt.Fprintf(stdout, "serving %s\non      http://%s\nkeeping pages of up to %v, %v in all, until SIGINT or SIGTERM\n",
		cfg.target, listener.Addr(), cfg.maxObject, cfg.maxBytes)

	if err := await(ctx, broken, f, stdout); err != nil {
		return err
	}
	drain(server, f, cfg.drain, stdout)
	o := newOutcome("", f, &f.stats.latency, time.Since(start))
	o.asked = f.asked.n.Load()
	fmt.Fprintf(stdout, "\nserved for %v:\n%s", time.Since(start).Round(time.Second/10), table(o))
	return nil
}

// clientTimeout is for a client to take a piece of what is written to it.
const clientTimeout = 30 * time.Second

// A promptListener's clients are cut off if they stop taking what they asked
// for: they would hold their pages, and the fetches that wait for them.
type promptListener struct {
	net.Listener
	limit time.Duration // for each piece
}

func (l promptListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &promptConn{c, l.limit}, nil
}

type promptConn struct {
	net.Conn
	limit time.Duration
}

func (c *promptConn) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		var wrote int
		c.SetWriteDeadline(time.Now().Add(c.limit))
		wrote, err = c.Conn.Write(p[n:min(n+piece, len(p))])
		n += wrote
	}
	return n, err
}

// CloseWrite lets net/http say goodbye before it hangs up.
func (c *promptConn) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// realTransport is for an origin on the network.
func realTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() // proxies, HTTP/2, dial timeouts
	t.DisableCompression = true                          // pages are handed on as they come
	t.MaxIdleConnsPerHost = 64
	return t
}

// await returns when ctx ends, or with the error that broke the server.
func await(ctx context.Context, broken <-chan error, f *front, stdout io.Writer) (err error) {
	work := func() {
		select {
		case <-ctx.Done():
		case err = <-broken:
		}
	}
	if screen := cli.NewScreen(stdout, false); screen.Terminal {
		screen.During(work, f.line)
	} else {
		work()
	}
	return err
}

func (f *front) line() string {
	s := &f.stats
	return fmt.Sprintf("requests %d  hits %d  coalesced %d  origin asked %d  running %d  waiting %d",
		s.requests.Load(), s.hits(), s.from[joined].Load(), f.asked.n.Load(),
		s.running.now.Load(), f.pages.waiting.now.Load())
}

// drain stops accepting and lets running requests finish, for as long as limit.
func drain(server *http.Server, f *front, limit time.Duration, stdout io.Writer) {
	fmt.Fprintf(stdout, "draining for %v at most, running: %d\n", limit, f.stats.running.now.Load())
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(stdout, "time is up, cut off: %d\n", f.stats.running.now.Load())
	}
	f.close()
	server.Close()
}
