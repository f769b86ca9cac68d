package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/vigil-go/vigil/httpcache"
)

// writeMetrics writes the counts in the text format of Prometheus.
func (f *front) writeMetrics(w io.Writer) {
	s := f.Stats()
	family(w, "requests_total", "counter", "Requests, by where their answers came from.")
	for _, from := range []struct {
		source string
		n      uint64
	}{
		{"hit", s.Hits}, {"stale", s.Stale}, {"revalidated", s.Revalidated},
		{"coalesced", s.Coalesced}, {"fetched", s.Fetched}, {"passed", s.Passed},
	} {
		fmt.Fprintf(w, "dedupcache_requests_total{source=%q} %d\n", from.source, from.n)
	}
	for _, m := range []struct {
		name, kind, help string
		value            any
	}{
		{"failed_total", "counter", "Requests that ended with an error.", s.Failed},
		{"broken_total", "counter", "Failed requests whose header had been sent, so the connection was aborted.", s.Broken},
		{"detached_total", "counter", "Slow clients that got the rest of a body by a range request.", s.Detached},
		{"evicted_total", "counter", "Responses that were evicted.", s.Evicted},
		{"body_bytes", "gauge", "Memory that bodies take.", s.Bytes},
		{"origin_requests_total", "counter", "Requests to the origin.", s.Origin},
		{"running", "gauge", "Requests that are being answered.", s.Running},
		{"waiting", "gauge", "Requests that wait for a fetch.", s.Waiting},
		{"waiting_peak", "gauge", "The most requests that waited at once.", s.Waited},
		{"store_hits_total", "counter", "Responses that were found in the store.", s.StoreHits},
		{"stored_total", "counter", "Responses that were saved in the store.", s.Stored},
		{"store_missed_total", "counter", "Responses that were kept, but not saved.", s.StoreMissed},
		{"store_failed_total", "counter", "Calls of the store that failed or took too long.", s.StoreFailed},
	} {
		family(w, m.name, m.kind, m.help)
		fmt.Fprintf(w, "dedupcache_%s %v\n", m.name, m.value)
	}
	f.writeLatency(w)
}

// writeLatency writes the latency of all requests so far.
func (f *front) writeLatency(w io.Writer) {
	family(w, "latency_seconds", "summary", "Time from a request's header to the end of its answer.")
	for _, q := range []float64{0.5, 0.9, 0.99} {
		fmt.Fprintf(w, "dedupcache_latency_seconds{quantile=\"%v\"} %g\n", q, f.latency.Quantile(q).Seconds())
	}
	fmt.Fprintf(w, "dedupcache_latency_seconds_count %d\n", f.latency.Count())
}

// family writes the head of a metric.
func family(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP dedupcache_%s %s\n# TYPE dedupcache_%s %s\n", name, help, name, kind)
}

// purge removes, or with "soft" makes stale, the pages that a query selects.
func (f *front) purge(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	s := httpcache.Selection{URL: q.Get("url"), Prefix: q.Get("prefix"), Tag: q.Get("tag"), Soft: q.Has("soft")}
	set, soft := 0, 0
	for _, field := range []string{s.URL, s.Prefix, s.Tag} {
		if field != "" {
			set++
		}
	}
	if s.Soft {
		soft = 1
	}
	if err != nil || set != 1 || len(q) != set+soft {
		http.Error(w, "want one of url, prefix and tag, and perhaps soft", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d\n", f.Purge(s))
}

// serveMetrics serves /metrics and /purge on an address of its own. It returns the URL of
// /metrics and a function that ends the server.
func (f *front) serveMetrics(address string) (url string, end func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		f.writeMetrics(w)
	})
	// A page of another site must not purge, by a form or by DNS rebinding.
	guard := http.NewCrossOriginProtection()
	mux.Handle("POST /purge", onlyByAddress(address, guard.Handler(http.HandlerFunc(f.purge))))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	return "http://" + listener.Addr().String() + "/metrics", func() { server.Close() }, nil
}
