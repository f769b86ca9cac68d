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

// A Cache keeps responses and coalesces requests. Its methods may be called by
// several goroutines at once. It must be closed.
type Cache struct {
	*Options
	rules       rfc9111.Rules
	name        string // in Cache-Status
	pages       *pages
	uncacheable *urlSet
	large       *urlSet // pages that FillRanges does not hold for
	stats       stats
	budget      *budget
	window      int // of bodies that are not kept, in chunks

	storage *storage // nil: there is no Store
	sites   sites
	ticks   ticks
	purges  purges
	writes  writes
	base    context.Context // of every fetch: a body belongs to no user
	end     context.CancelCauseFunc
	fetches waitgroup.Group
	closing sync.Once
}

// New returns a cache. It fails if an option makes no sense. nil stands for
// the defaults.
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

// Close ends the fetches that are under way, waits for them, and forgets all
// responses. Requests that come later, or wait, get status 503. What is to be saved
// in Options.Store is saved, unless that takes more than 5 s. A second Close
// returns nil.
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

// InFlight iterates over the URLs that are being fetched, with the number of
// requests that wait for each and the time at which the fetch began.
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
