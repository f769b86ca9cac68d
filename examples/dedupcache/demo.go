package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
)

// demo makes the same requests without coalescing and with it.
func demo(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	introduce(stdout, cfg)
	screen := cli.NewScreen(stdout, false)
	logger := newLogger(stderr)

	// First as many requests as are answered in a part of the time, then the same
	// requests again, with a little more time to make them.
	limit := cfg.duration * 45 / 100
	plan := make([]int, cfg.clients)
	for id := range plan {
		plan[id] = int(limit / clientPace)
	}
	without, made, err := experiment(ctx, cfg, "without coalescing", false, plan, limit, screen, logger)
	if err != nil {
		return err
	}
	with, _, err := experiment(ctx, cfg, "with coalescing", true, made, cfg.duration-limit, screen, logger)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s\n%s", table(without, with), conclusion(without, with))
	return nil
}

func introduce(w io.Writer, cfg *config) {
	fmt.Fprintf(w, `%d clients ask for %d pages through an HTTP cache. A page is fresh for %v.
The origin takes %v to %v a page, has room for %d requests, and fails %.0f%% of
them. The clients make the same requests twice, without and with coalescing:
then a request for a page that is being fetched waits for that fetch.
(Zipf %v, seed %d, %v at most)

`, cfg.clients, cfg.keys, cfg.ttl, originFastest, originSlowest, originSlots, 100*originFailures,
		cfg.zipf, cfg.seed, cfg.duration)
}

// experiment runs a new crowd of clients against a new cache in front of a new origin. It
// ends when every client has made its quota of requests, or after limit. It returns the
// outcome, and the number of requests that each client made.
func experiment(ctx context.Context, cfg *config, name string, coalesce bool, quota []int,
	limit time.Duration, screen *cli.Screen, logger *slog.Logger) (*outcome, []int, error) {
	lab, err := newLab(cfg, name, coalesce, logger)
	if err != nil {
		return nil, nil, err
	}
	defer lab.close()
	for _, n := range quota {
		lab.planned += n
	}
	lab.limit, lab.start = limit, time.Now()
	soft, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	var made []int
	screen.During(func() { made = lab.crowd.run(ctx, soft, quota) }, func() string { return lab.line(name) })
	if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("stopped: %w", context.Cause(ctx))
	}
	return lab.outcome(name, time.Since(lab.start)), made, nil
}

// A lab is an origin, a front and a crowd, connected by real sockets.
type lab struct {
	origin  *origin
	front   *front
	crowd   *crowd
	planned int           // requests
	limit   time.Duration // for all of them
	start   time.Time
	close   func()
}

func newLab(cfg *config, name string, coalesce bool, logger *slog.Logger) (*lab, error) {
	l := &lab{origin: newOrigin(cfg.seed)}
	behind, err := listenLoopback(l.origin, logger)
	if err != nil {
		return nil, err
	}
	target := &url.URL{Scheme: "http", Host: behind.Addr}
	l.front, err = newFront(cfg, target, newTransport(cfg.clients), coalesce, logger)
	if err != nil {
		behind.Close()
		return nil, err
	}
	l.front.watch(name, true)
	before, err := listenLoopback(l.front, logger)
	if err != nil {
		l.front.close()
		behind.Close()
		return nil, err
	}
	l.crowd = newCrowd(cfg, "http://"+before.Addr)
	l.close = func() { before.Close(); l.front.close(); behind.Close() }
	return l, nil
}

// listenLoopback serves h on a free port. The server's Addr says which.
func listenLoopback(h http.Handler, logger *slog.Logger) (*http.Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Addr: listener.Addr().String(), Handler: h, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError), ReadHeaderTimeout: 10 * time.Second}
	go s.Serve(listener)
	return s, nil
}

func (l *lab) line(name string) string {
	answered := l.crowd.answered.Load()
	part := max(float64(answered)/float64(max(1, l.planned)), float64(time.Since(l.start))/float64(l.limit))
	return fmt.Sprintf("%-18s %s %6s answered %6s to the origin %4d waiting", name, cli.Bar(part, 8),
		count(float64(answered)), count(float64(l.origin.asked.Load())), l.front.Stats().Waiting)
}

func (l *lab) outcome(name string, took time.Duration) *outcome {
	o := newOutcome(name, l.front, &l.crowd.latency, took)
	o.requests, o.errors = l.crowd.answered.Load(), l.crowd.errors.Load()
	o.asked, o.atOnce = l.origin.asked.Load(), l.origin.atOnce()
	return o
}
