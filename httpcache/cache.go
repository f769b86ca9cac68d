package httpcache

import (
	"context"
	"hash/maphash"
	"iter"
	"sync"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
	"github.com/vigil-go/vigil/waitgroup"
)

// A Cache keeps responses and coalesces requests. Its methods may be called from any
// goroutine at any time. It must be closed, because it has goroutines while fetches run.
type Cache struct {
	*Options
	rules       rfc9111.Rules
	name        string // in Cache-Status
	pages       *pages
	uncacheable *urlSet
	large       *urlSet // that are larger than FillRanges
	stats       stats
	budget      *budget
	window      int // of bodies that are not kept, in chunks

	storage *storage // nil if there is no Store
	sites   sites
	ticks   ticks
	purges  purges
	writes  writes
	base    context.Context // of every fetch, which may outlive the request that started it
	end     context.CancelCauseFunc
	fetches waitgroup.Group
	closing sync.Once
}

// New returns a Cache. A nil o means the defaults. New returns an error if an option is
// negative, MaxObject exceeds MaxBytes, a name of a cookie is invalid, or Name is not
// printable ASCII.
func New(o *Options) (*Cache, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	name, err := nameOf(o.Name)
	if err != nil {
		return nil, err
	}
	c := &Cache{
		Options: o, name: name, rules: rfc9111.Rules{TTL: o.TTL, Targeted: o.Targeted, Private: o.Private},
		budget: &budget{max: o.MaxBytes}, writes: writes{seed: maphash.MakeSeed()},
	}
	c.purges.last.Store(new(purge))
	for c.ticks.next() < beforehand {
	}
	c.window = int(max(minWindow, min(o.MaxObject, o.MaxBytes/16)) / chunkSize)
	c.base, c.end = context.WithCancelCause(context.Background())
	fetch := func(ctx context.Context, key pageKey, old *response) (*response, error) {
		return key.front.lead(ctx, key, old)
	}
	if c.pages, err = newPages(fetch, uint64(o.MaxBytes), !o.NoCoalescing); err != nil {
		c.end(nil)
		return nil, err
	}
	c.uncacheable, c.large = newURLSet(o.UncacheableTTL), newURLSet(largeTTL)
	if o.Store != nil {
		c.storage = newStorage(c)
	}
	return c, nil
}

// Close cancels all fetches, waits until they have ended, and removes all responses from
// memory. Requests that wait for a fetch, or would start one later, get status 503. Requests that
// pass through still do. Close waits up to 5 s until Options.Store has saved what it was to save.
// It does not close the Store. Close returns nil, also if it is called again.
func (c *Cache) Close() error {
	c.end(dedup.ErrClosed)
	err := c.pages.Close()
	c.uncacheable.urls.Close()
	c.large.urls.Close()
	c.fetches.Wait(context.Background())
	c.closing.Do(c.storage.close)
	c.budget.close()
	return err
}

// InFlight returns an iterator over the fetches whose response header is not there yet: the
// method and URI of each, such as "GET /page?q=1", with its start and the number of requests
// that wait for it. It is not a snapshot, and nothing is locked while the loop body runs.
func (c *Cache) InFlight() iter.Seq2[string, dedup.FlightInfo] {
	return func(yield func(string, dedup.FlightInfo) bool) {
		for _, all := range []iter.Seq2[pageKey, dedup.FlightInfo]{c.pages.InFlight(), c.pages.renewals.InFlight()} {
			for key, info := range all {
				if !yield(key.String(), info) {
					return
				}
			}
		}
	}
}
