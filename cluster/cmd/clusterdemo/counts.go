package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster/clusterdebug"
	"github.com/vigil-go/vigil/vigildebug"
)

// Counts are those of the requests of a worker.
type counts struct {
	mu      sync.Mutex
	report  report
	begun   map[int]time.Time // of requests that have not ended
	last    int
	hangKey string
	lag     uint64
	answers bool // the engine does
}

// begin counts a request, until end is called.
func (c *counts) begin() (end func(err error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun == nil {
		c.begun = make(map[int]time.Time)
	}
	c.last++
	n, begun := c.last, time.Now()
	c.begun[n] = begun
	return func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.begun, n)
		c.report.Requests++
		c.report.Longest = max(c.report.Longest, time.Since(begun))
		if err != nil {
			c.report.Failed++
			c.report.Failure = err.Error()
		}
	}
}

func (c *counts) hit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Hits++
}

func (c *counts) load() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Loads++
}

// hang makes the loads of a key hang.
func (c *counts) hang(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangKey = key
}

func (c *counts) hangs(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return key == c.hangKey
}

// now returns the report. The longest of the requests may be one that has not ended.
func (c *counts) now() report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.report
	r.Lag, r.Reachable = c.lag, c.answers
	for _, begun := range c.begun {
		r.Longest = max(r.Longest, time.Since(begun))
	}
	return r
}

// reports is how long a worker waits between two reports.
const reports = 250 * time.Millisecond

// report reports until ctx ends.
func (w *worker) report(ctx context.Context) {
	tick := time.NewTicker(reports)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.tell(w.now(false))
		case <-ctx.Done():
			return
		}
	}
}

// lag looks how far the worker is behind until ctx ends.
func (w *worker) lag(ctx context.Context) {
	for await.Sleep(ctx, reports) == nil {
		within, cancel := context.WithTimeout(ctx, patience)
		s := w.bucket.Stats(within)
		cancel()
		w.counts.mu.Lock()
		w.counts.lag, w.counts.answers = s.Lag, s.Err == nil
		w.counts.mu.Unlock()
	}
}

// patience is after how long a server counts as one that does not answer.
const patience = time.Second

func (w *worker) now(final bool) message {
	r := w.counts.now()
	r.Final = final
	for wait := range w.bucket.Waiting() {
		r.Waiting += wait.Waiters
	}
	return message{Report: &r}
}

// serveDebug serves the debug page, if it is asked for, and says that the worker is ready.
func (w *worker) serveDebug() (stop func(), err error) {
	if w.c.Debug == "" {
		w.tell(message{Ready: "-"})
		return func() {}, nil
	}
	address, err := w.c.debugAddress(w.number)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("debug page: %w", err)
	}
	unregister := clusterdebug.Bucket(fmt.Sprint("of worker ", w.number), w.bucket, vigildebug.ShowKeys())
	server := &http.Server{Handler: vigildebug.Handler()}
	go server.Serve(l)
	w.tell(message{Ready: "http://" + l.Addr().String() + "/"})
	return func() { server.Close(); unregister() }, nil
}
