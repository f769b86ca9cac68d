package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/waitmap"
)

// What the embedded origin is like.
const (
	originSlots    = 16 // requests it works on at once; more wait for their turn
	originFastest  = 20 * time.Millisecond
	originSlowest  = 80 * time.Millisecond
	originFailures = 0.02 // share of requests it answers with 500 or 503
)

// originSays is the Cache-Control of all pages. It permits an old page instead of an error, and
// has no lifetime, so that Options.TTL counts.
const originSays = "stale-if-error=10"

// A gauge goes up and down and remembers its peak.
type gauge struct{ now, top atomic.Int64 }

func (g *gauge) add(n int64) {
	now := g.now.Add(n)
	for top := g.top.Load(); now > top && !g.top.CompareAndSwap(top, now); {
		top = g.top.Load()
	}
}

// An origin is slow, has a limited capacity and fails now and then. What it
// does on the n-th request depends on seed and n only.
type origin struct {
	seed  uint64
	slots chan struct{}
	asked atomic.Uint64
	pages waitmap.Map[string, *gauge] // by path: how many ask for it now
}

func newOrigin(seed uint64) *origin {
	return &origin{seed: seed, slots: make(chan struct{}, originSlots)}
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := o.asked.Add(1)
	page, _ := o.pages.LoadOrStore(r.URL.Path, new(gauge))
	page.add(1)
	defer page.add(-1)
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-r.Context().Done():
		return
	}
	random := rand.New(rand.NewPCG(o.seed, n))
	work := originFastest + time.Duration(random.Int64N(int64(originSlowest-originFastest)))
	select {
	case <-time.After(work):
	case <-r.Context().Done():
		return
	}
	o.answer(w, r, n, random)
}

// atOnce returns the most requests for one page that were here at the same time.
func (o *origin) atOnce() (most int64) {
	for page := range o.pages.Values() {
		most = max(most, page.top.Load())
	}
	return most
}

func (o *origin) answer(w http.ResponseWriter, r *http.Request, n uint64, random *rand.Rand) {
	if random.Float64() < originFailures {
		status := []int{http.StatusInternalServerError, http.StatusServiceUnavailable}[random.IntN(2)]
		http.Error(w, http.StatusText(status), status)
		return
	}
	w.Header().Set("Cache-Control", originSays)
	fmt.Fprintf(w, "page %s, answer %d of the origin\n", r.URL.Path, n)
	fmt.Fprintln(w, strings.Repeat("All work and no cache makes an origin slow. ", 20))
}
