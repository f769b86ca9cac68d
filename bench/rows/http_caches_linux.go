package rows

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vigil-go/vigil/bench/httpcaches"
	"github.com/vigil-go/vigil/bench/load"
	"github.com/vigil-go/vigil/bench/measure"
)

func cachesRow() Row {
	return Row{
		Name:  "http/cache",
		Title: "HTTP caches",
		About: "examples/dedupcache and nginx with proxy_cache_lock, with two workers, and varnish with its default threads, each in " +
			"front of an origin of its own. nginx keeps pages in files, and the others keep them in memory. hit: " +
			"64 connections ask for one page that is kept, or 8 connections if it has 16 MiB. miss: each request is for a new page. " +
			"herd: 64 clients ask for the same new page, for which the origin takes 20 ms. CPU is the time of the cache's processes, " +
			"in microseconds a request, which are also CPU seconds for a million requests. The client and the origin run on the " +
			"same processors.",
		Base: httpcaches.Nginx,
		jobs: func(set *Settings) []Job {
			var contests []contest
			for _, kind := range cacheKinds {
				if !set.Quick || kind.quick {
					contests = append(contests, cacheContest(set, kind))
				}
			}
			return contestJobs(set, cacheFigures, contests)
		},
	}
}

const askedFigure = "origin"

var cacheFigures = []figure{
	{cpuFigure, "us of CPU/request"},
	{rateFigure, "requests/s"},
	{medianFigure, "us"},
	{tailFigure, "us"},
	{askedFigure, "requests to the origin/request"},
}

// A cacheKind is a kind of load on a cache.
type cacheKind struct {
	name  string
	conns int
	path  func(run, conn, batch int) string // run differs between runs
	quick bool
}

func onePage(path string) func(run, conn, batch int) string {
	return func(int, int, int) string { return path }
}

var cacheKinds = []cacheKind{
	{"hit/1KiB", 64, onePage("/1024/hit"), true},
	{"hit/64KiB", 64, onePage("/65536/hit"), false},
	{"hit/16MiB", 8, onePage("/16777216/hit"), false},
	{"miss/1KiB", 64, func(run, conn, batch int) string { return fmt.Sprintf("/1024/%d/%d/%d", run, conn, batch) }, true},
	{"miss/64KiB", 64, func(run, conn, batch int) string { return fmt.Sprintf("/65536/%d/%d/%d", run, conn, batch) }, false},
	{"herd/1KiB", 64, func(run, _, batch int) string { return fmt.Sprintf("/slow/1024/%d/%d", run, batch) }, false},
}

func cacheContest(set *Settings, kind cacheKind) contest {
	return contest{
		name:    kind.name,
		measure: func() (scores, []string) { return kind.measure(set) },
		aims: func(figure string, series []measure.Series) (notes []string) {
			isNginx := func(s measure.Series) bool { return s.Name == httpcaches.Nginx }
			if figure == cpuFigure && slices.ContainsFunc(series, isNginx) { // it may not be installed
				notes = append(notes, share{httpcaches.Vigil, httpcaches.Nginx, 1}.note(series))
			}
			return notes
		},
	}
}

// A cacheRival is a cache with its origin and its clients.
type cacheRival struct {
	*httpcaches.Cache
	origin  *httpcaches.Origin
	clients *load.Clients
	run     int
}

func (kind cacheKind) measure(set *Settings) (results scores, notes []string) {
	var all []*cacheRival
	for _, name := range []string{httpcaches.Vigil, httpcaches.Nginx, httpcaches.Varnish} {
		one, err := kind.start(name, set.headline())
		if errors.Is(err, errors.ErrUnsupported) {
			notes = append(notes, err.Error())
			continue
		}
		mustNot(err)
		defer one.close()
		all = append(all, one)
	}
	results = scores{}
	for r := range set.Rounds {
		for i := range all {
			all[(i+r)%len(all)].sample(set, results)
		}
	}
	return results, notes
}

func (kind cacheKind) start(name string, procs int) (*cacheRival, error) {
	one := new(cacheRival)
	var err error
	if one.origin, err = httpcaches.NewOrigin(); err != nil {
		return nil, err
	}
	if one.Cache, err = httpcaches.Start(name, one.origin.Address, procs); err != nil {
		return nil, errors.Join(err, one.origin.Close())
	}
	path := func(conn, batch int) string { return kind.path(one.run, conn, batch) }
	if one.clients, err = load.Dial(one.Address, kind.conns, load.Gets(one.Address, path)); err != nil {
		return nil, errors.Join(err, one.Cache.Close(), one.origin.Close())
	}
	return one, nil
}

func (one *cacheRival) close() {
	mustNot(errors.Join(one.clients.Close(), one.Cache.Close(), one.origin.Close()))
}

func (one *cacheRival) sample(set *Settings, results scores) {
	slice := set.serverSlice()
	one.load(slice / 10) // a warm-up, as in measure.Slice
	time.Sleep(settle)
	cpu, asked := one.cpu(), one.origin.Asked.Load()
	r := one.load(slice)
	time.Sleep(settle)
	n := float64(r.Batches)
	results.add(cpuFigure, one.Name, (one.cpu()-cpu).Seconds()*1e6/n)
	results.add(rateFigure, one.Name, n/r.Wall.Seconds())
	results.add(medianFigure, one.Name, measure.Quantile(r.Times, 0.5)/1e3)
	results.add(tailFigure, one.Name, measure.Quantile(r.Times, 0.99)/1e3)
	results.add(askedFigure, one.Name, float64(one.origin.Asked.Load()-asked)/n)
}

func (one *cacheRival) load(d time.Duration) load.Result {
	one.run++
	r, err := one.clients.Run(d)
	mustNot(err)
	return r
}

func (one *cacheRival) cpu() time.Duration {
	d, err := one.CPU()
	mustNot(err)
	return d
}
