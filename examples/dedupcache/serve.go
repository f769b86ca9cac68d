package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/vigil-go/vigil/httpcache"
	"github.com/vigil-go/vigil/internal/cli"
)

// serve runs the cache in front of a real origin until ctx ends, and then drains.
func serve(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	logger := newLogger(stderr)
	f, err := newFront(cfg, cfg.target, realTransport(), true, logger)
	if err != nil {
		return err
	}
	f.watch("pages", false)
	defer f.close()
	defer boundMemory(cfg.maxBytes, func() int64 { return f.Stats().Running })()
	served, end, err := f.served(cfg, stdout)
	if err != nil {
		return err
	}
	defer end()
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: served, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError), MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: cfg.headerTime, IdleTimeout: 2 * time.Minute,
	}
	start, broken := time.Now(), make(chan error, 1)
	prompt := promptListener{newLimitedListener(listener, cfg.conns), clientTimeout}
	scheme := "http"
	if cfg.cert != "" {
		scheme = "https"
		go func() { broken <- server.ServeTLS(prompt, cfg.cert, cfg.key) }()
	} else {
		go func() { broken <- server.Serve(f.quick(cfg, server, prompt)) }()
	}
	fmt.Fprintf(stdout, "serving %s\non      %s://%s\nkeeping pages of up to %v, %v in all, until SIGINT or SIGTERM\n",
		cfg.target, scheme, listener.Addr(), cfg.maxObject, cfg.maxBytes)

	if err := untilStopped(ctx, broken, f, stdout); err != nil {
		return err
	}
	drain(server, f, cfg.drain, stdout)
	o := newOutcome("", f, &f.latency, time.Since(start))
	o.asked = f.Stats().Origin
	fmt.Fprintf(stdout, "\nserved for %v:\n%s", time.Since(start).Round(time.Second/10), table(o))
	return nil
}

// quick returns l with httpcache.QuickHits, unless there is an access log, which has to see all
// requests.
func (f *front) quick(cfg *config, server *http.Server, l net.Listener) net.Listener {
	if cfg.accessLog != "" {
		return l
	}
	return httpcache.QuickHits(server, l, f.proxy, f.latency.Record)
}

// newLogger returns a logger that writes a line for each failure.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}))
}

// clientTimeout is the time for a client to read a piece of what is written to it.
const clientTimeout = 30 * time.Second

// A promptListener disconnects clients that stop reading. Otherwise they would keep their pages
// in memory, and fetches that wait for them.
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

// served returns f with the metrics and the access log that the flags ask for. end ends these.
func (f *front) served(cfg *config, stdout io.Writer) (h http.Handler, end func(), err error) {
	var ends []func()
	end = func() {
		for _, f := range slices.Backward(ends) {
			f()
		}
	}
	h = f
	if cfg.metrics != "" {
		url, endMetrics, err := f.serveMetrics(cfg.metrics)
		if err != nil {
			return nil, nil, err
		}
		ends = append(ends, endMetrics)
		fmt.Fprintf(stdout, "metrics: %s\n", url)
	}
	if cfg.accessLog != "" {
		out, err := openLog(cfg.accessLog, stdout)
		if err != nil {
			end()
			return nil, nil, err
		}
		ends = append(ends, func() { out.Close() })
		h = &accessLog{Handler: h, now: time.Now, out: out}
	}
	return h, end, nil
}

// piece is how many bytes a client has to take in the time of a promptConn, which then
// begins anew.
const piece = 32 << 10

type promptConn struct {
	net.Conn
	limit time.Duration
}

func (c *promptConn) Write(p []byte) (n int, err error) {
	err = c.promptly(func() (int64, error) {
		wrote, err := c.Conn.Write(p[n:])
		n += wrote
		return int64(wrote), err
	})
	return n, err
}

// WriteBuffers is called by the connections of httpcache.QuickHits.
func (c *promptConn) WriteBuffers(b *net.Buffers) (n int64, err error) {
	err = c.promptly(func() (int64, error) {
		wrote, err := writeBuffers(c.Conn, b)
		n += wrote
		return wrote, err
	})
	return n, err
}

// promptly calls write until that has written all, or less than a piece in time.
func (c *promptConn) promptly(write func() (int64, error)) error {
	for {
		c.SetWriteDeadline(time.Now().Add(c.limit))
		if n, err := write(); n < piece || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

func writeBuffers(c net.Conn, b *net.Buffers) (int64, error) {
	if w, ok := c.(interface {
		WriteBuffers(*net.Buffers) (int64, error)
	}); ok {
		return w.WriteBuffers(b)
	}
	return b.WriteTo(c)
}

// CloseWrite is called by net/http before Close.
func (c *promptConn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// realTransport is for an origin on the network.
func realTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() // proxies, HTTP/2, dial timeouts
	t.DisableCompression = true                          // bodies are passed on as they come
	t.MaxIdleConnsPerHost = 64
	return t
}

// untilStopped returns when ctx ends, or with the error that broke the server.
func untilStopped(ctx context.Context, broken <-chan error, f *front, stdout io.Writer) (err error) {
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
	s := f.Stats()
	return fmt.Sprintf("requests %d  hits %d  coalesced %d  origin asked %d  running %d  waiting %d",
		s.Requests, s.Hits+s.Stale+s.Revalidated, s.Coalesced, s.Origin, s.Running, s.Waiting)
}

// drain stops accepting, and waits up to limit until the running requests have ended.
func drain(server *http.Server, f *front, limit time.Duration, stdout io.Writer) {
	fmt.Fprintf(stdout, "draining for %v at most, running: %d\n", limit, f.Stats().Running)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(stdout, "time is up, cut off: %d\n", f.Stats().Running)
	}
	f.close()
	server.Close()
}
