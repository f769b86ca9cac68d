package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/examples/internal/histogram"
)

// clientPace is how often a client asks, if it gets its answers in time.
const clientPace = 100 * time.Millisecond

// A crowd is a number of HTTP clients. The pages that they ask for depend only on the seed,
// and the times on how fast they are answered.
type crowd struct {
	cfg    *config
	base   string // URL that keys are appended to
	client *http.Client

	answered, errors atomic.Uint64
	latency          histogram.Shared
}

func newCrowd(cfg *config, base string) *crowd {
	return &crowd{cfg: cfg, base: base, client: &http.Client{
		Timeout:   10 * time.Second,
		Transport: newTransport(cfg.clients),
	}}
}

// newTransport returns a transport for up to conns connections to one host.
func newTransport(conns int) *http.Transport {
	return &http.Transport{
		MaxConnsPerHost:     conns,
		MaxIdleConns:        conns,
		MaxIdleConnsPerHost: conns,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// run makes each client make up to quota[client] requests, until soft ends. It waits for the
// requests that are being answered then. It returns the number of requests of each client.
func (c *crowd) run(ctx, soft context.Context, quota []int) []int {
	made := make([]int, len(quota))
	start := time.Now()
	var all sync.WaitGroup
	for id := range quota {
		all.Go(func() { made[id] = c.visit(ctx, soft, id, start, quota[id]) })
	}
	all.Wait()
	c.client.CloseIdleConnections()
	return made
}

// visit makes the requests of one client.
func (c *crowd) visit(ctx, soft context.Context, id int, start time.Time, quota int) (made int) {
	keys := c.keysOf(id)
	next := start.Add(clientPace * time.Duration(id) / time.Duration(c.cfg.clients))
	for ; made < quota; made++ {
		if !sleepUntil(soft, next) {
			break
		}
		c.ask(ctx, keys.Uint64())
		next = next.Add(clientPace)
	}
	return made
}

// keysOf returns what client id asks for, one after the other.
func (c *crowd) keysOf(id int) *rand.Zipf {
	random := rand.New(rand.NewPCG(c.cfg.seed, uint64(id)))
	return rand.NewZipf(random, c.cfg.zipf, 1, uint64(c.cfg.keys-1))
}

// ask makes one request and waits for all of the answer.
func (c *crowd) ask(ctx context.Context, key uint64) {
	start := time.Now()
	if err := c.get(ctx, fmt.Sprintf("%s/page/%d", c.base, key)); err != nil {
		c.errors.Add(1)
	}
	c.latency.Record(time.Since(start))
	c.answered.Add(1)
}

func (c *crowd) get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// sleepUntil reports whether it slept until at; false if ctx ended first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
