package main

import (
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/vigil-go/vigil/examples/internal/histogram"
	"github.com/vigil-go/vigil/httpcache"
	"github.com/vigil-go/vigil/httpcache/diskstore"
)

// A front is a cache in front of an origin, with the latency of its answers.
type front struct {
	*httpcache.Cache
	proxy     http.Handler
	latency   histogram.Shared
	transport *http.Transport
	close     func() // ends what is under way; all clients get errors
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	defer func() { f.latency.Record(time.Since(start)) }()
	f.proxy.ServeHTTP(w, r)
}

// newFront returns a front that coalesces, or one that does not.
func newFront(cfg *config, target *url.URL, t *http.Transport, coalesce bool, log *slog.Logger) (*front, error) {
	store, closeStore, err := openStore(cfg, log)
	if err != nil {
		return nil, err
	}
	options, proxy := cfg.options(log), cfg.proxyOptions()
	options.NoCoalescing, options.Store, proxy.Transport = !coalesce, store, t
	cache, err := httpcache.New(options)
	if err != nil {
		closeStore()
		return nil, err
	}
	f := &front{Cache: cache, transport: t, proxy: cache.Proxy(target, proxy)}
	f.close = func() {
		cache.Close()
		closeStore()
		t.CloseIdleConnections()
	}
	return f, nil
}

// openStore opens the store in the directory that the flags name, if they do.
func openStore(cfg *config, log *slog.Logger) (store httpcache.Store, end func(), err error) {
	if cfg.disk == "" {
		return nil, func() {}, nil
	}
	disk, err := diskstore.Open(cfg.disk, &diskstore.Options{MaxBytes: int64(cfg.diskBytes), Logger: log})
	if err != nil {
		return nil, nil, err
	}
	end = func() {
		if err := disk.Close(); err != nil {
			log.Error("the store could not be closed", "error", err)
		}
	}
	return disk, end, nil
}
