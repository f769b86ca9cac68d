package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
)

// Records are those of a [Group], [Cache], [Mutex], [Semaphore] or [Notify] that this process
// has seen, and the waiters for newer ones.
type records struct {
	b       *Bucket
	prefix  string
	holder  id
	closed  context.Context // ends with the Bucket
	close   context.CancelFunc
	changed func(key string, before, now record) // nil, or called with each change that was seen
	waits   waits                                // in this process; nil if nobody says

	mu      sync.Mutex
	there   map[string]record
	watched map[string]*watched
}

// A watched key is one of which a flight waits for a newer record.
type watched struct {
	await.Value[record]
	flights int
}

// open attaches r to its space of the bucket.
func (r *records) open(b *Bucket, kind byte, name string) error {
	r.b, r.holder = b, newID()
	r.there, r.watched = make(map[string]record), make(map[string]*watched)
	r.closed, r.close = context.WithCancel(context.Background())
	r.mu.Lock() // until all is there; nobody takes the two mutexes in the other order before attach
	defer r.mu.Unlock()
	prefix, there, err := b.attach(kind, name, r)
	if err != nil {
		return err
	}
	r.prefix = prefix
	for key, c := range there {
		r.there[key] = c.record(0) // before all histories that will be seen
	}
	return nil
}

// record returns what a change has made of its key.
func (c change) record(history uint64) (r record) {
	if c.put {
		r = decodeRecord(c.value)
	}
	r.at, r.seen = instant{history, c.revision}, time.Now()
	return r
}

// prepare, keys, cancel and end make records a sink.

func (r *records) prepare(c change) func() {
	n := c.record(r.b.histories)
	if n.state == leased {
		n.since = n.seen
	}
	return func() {
		r.mu.Lock()
		before := r.there[c.key]
		if n.state == leased && before.name == n.name { // it was renewed
			n.since = before.since
		}
		if c.put {
			r.there[c.key] = n
		} else {
			delete(r.there, c.key)
		}
		w := r.watched[c.key]
		r.mu.Unlock()
		if w != nil {
			w.Store(n)
			if r.isClosed() { // perhaps n came after that
				w.Store(record{state: ended})
			}
		}
		if r.changed != nil {
			r.changed(c.key, before, n)
		}
	}
}

func (r *records) keys(f func(key string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.there {
		f(key)
	}
}

func (r *records) cancel(string) {}

func (r *records) end() {
	r.close()
	r.mu.Lock()
	var all []*watched
	for _, w := range r.watched {
		all = append(all, w)
	}
	r.mu.Unlock()
	for _, w := range all {
		w.Store(record{state: ended})
	}
}

// now returns the record of key.
func (r *records) now(key string) record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.there[key]
}

// within returns a context that ends with ctx, and with the Bucket.
func (r *records) within(ctx context.Context) (within context.Context, cancel context.CancelFunc) {
	within, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.closed, func() { end(ErrClosed) })
	return within, func() { stop(); end(nil) }
}

// asClosed returns the error of a wait under a context of within.
func (r *records) asClosed(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() != nil || !r.isClosed():
		return err
	case errors.Is(err, ErrUnknown):
		return fmt.Errorf("%w: %w", ErrClosed, ErrUnknown)
	}
	return ErrClosed
}

func (r *records) isClosed() bool { return r.closed.Err() != nil }

// watch returns the record of key, which changes until unwatch is called.
func (r *records) watch(key string) *watched {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.watched[key]
	if w == nil {
		w = new(watched)
		r.watched[key] = w
		n := r.there[key]
		if r.closed.Err() != nil {
			n = record{state: ended}
		}
		w.Store(n)
	}
	w.flights++
	return w
}

func (r *records) unwatch(key string, w *watched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.flights--; w.flights == 0 {
		delete(r.watched, key)
	}
}
