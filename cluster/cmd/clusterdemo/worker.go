package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/internal/lab"
)

const workerFunction = "worker"

// A page is what is loaded for a key.
type page struct {
	Text  string
	Until time.Time // when it is not valid any more
}

func (p page) valid() bool { return time.Now().Before(p.Until) }

// A worker answers requests for pages.
type worker struct {
	number int
	c      config
	bucket *cluster.Bucket
	pages  *cluster.Map[page]   // that were loaded, by any worker
	loads  *cluster.Group[page] // at most one for each key, of all workers
	tell   func(message)

	counts counts
}

// request answers a request.
func (w *worker) request(ctx context.Context, key string) error {
	if p, ok := w.pages.Load(key); ok && p.valid() {
		w.counts.hit()
		return nil
	}
	_, err := w.loads.Do(ctx, key, func(ctx context.Context) (page, error) { return w.load(ctx, key) })
	return err
}

// load loads a page, and stores it for all. This worker has the lease of the key. Who had it
// before has stored its page before that, so it is seen here. A worker that has lost the lease
// does not replace what its successor has stored.
func (w *worker) load(ctx context.Context, key string) (page, error) {
	old, _ := w.pages.LoadEntry(key)
	if old.Value.valid() {
		return old.Value, nil
	}
	fence, _ := cluster.Fence(ctx)
	l := load{Worker: w.number, Key: key, Fence: fence, Begun: time.Now()}
	w.counts.load()
	w.tell(message{Begun: &l})
	defer func() { w.tell(message{Ended: &l}) }()
	if err := w.ask(ctx, key); err != nil {
		return page{}, err
	}
	p := page{Text: "page " + key, Until: time.Now().Add(around(w.c.Fresh))}
	revision, stored, _ := w.pages.CompareAndSwap(ctx, key, old.Revision, p)
	if stored {
		l.Stored, l.Until = revision, p.Until
	}
	if ctx.Err() != nil {
		return page{}, context.Cause(ctx)
	}
	return p, nil // also if it is not stored: then others will load it
}

// ask takes as long as the source of the pages would.
func (w *worker) ask(ctx context.Context, key string) error {
	d := around(w.c.Load)
	if w.counts.hangs(key) {
		d = time.Hour
	}
	return await.Sleep(ctx, d)
}

// around returns a random duration that is d on average.
func around(d time.Duration) time.Duration { return d/2 + time.Duration(rand.Int64N(int64(d))) }

// work is what the process of a worker does.
func work(ctx context.Context, self *lab.Self) error {
	w := new(worker)
	if err := json.Unmarshal([]byte(self.Arguments[0]), &w.number); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(self.Arguments[1]), &w.c); err != nil {
		return err
	}
	w.tell = func(m message) { self.Send(m) } // who cannot be told is gone, and ctx ends
	if err := w.open(ctx, self.Addresses); err != nil {
		return err
	}
	defer w.bucket.Close()
	stop, err := w.serveDebug()
	if err != nil {
		return err
	}
	defer stop()
	return w.obey(ctx, self)
}

func (w *worker) open(ctx context.Context, addresses []string) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if w.bucket, err = cluster.Open(ctx, &cluster.Options{Addresses: addresses, Logger: log}); err != nil {
		return err
	}
	if w.pages, err = cluster.NewMap[page](w.bucket, &cluster.MapOptions{Name: "pages"}); err != nil {
		return err
	}
	w.loads, err = cluster.NewGroup[page](w.bucket, &cluster.GroupOptions{Name: "pages", TTL: w.c.TTL})
	return err
}

// obey does what it is told, until that is to stop.
func (w *worker) obey(ctx context.Context, self *lab.Self) error {
	asking, stop := context.WithCancel(ctx) // until the last request begins
	defer stop()
	var requests sync.WaitGroup
	for {
		var o order
		if err := self.Receive(ctx, &o); err != nil {
			return err
		}
		switch {
		case o.Begin:
			go w.report(ctx)
			go w.lag(ctx)
			for range w.c.Clients {
				requests.Go(func() { w.client(ctx, asking) })
			}
		case o.Hang != "":
			w.counts.hang(o.Hang)
			requests.Go(func() { w.timed(ctx, o.Hang) })
		case o.Ask != "":
			requests.Go(func() { w.timed(ctx, o.Ask) })
		case o.Stop:
			stop()
			requests.Wait()
			w.tell(w.now(true))
			return nil
		}
	}
}

// client makes requests until asking ends.
func (w *worker) client(ctx, asking context.Context) {
	keys := rand.NewZipf(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), w.c.Skew, 1, uint64(w.c.Keys-1))
	for await.Sleep(asking, around(think)) == nil {
		w.timed(ctx, fmt.Sprint("key ", keys.Uint64()))
	}
}

// think is the average time between two requests of a client.
const think = 10 * time.Millisecond

// timed makes a request, and counts it.
func (w *worker) timed(ctx context.Context, key string) {
	end := w.counts.begin()
	end(w.request(ctx, key))
}
