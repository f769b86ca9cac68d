// Package vigilprom exports the metrics of package vigildebug to Prometheus.
//
// The name of the package differs from that of its folder, so that a program can import
// it next to Prometheus's own package:
//
//	import (
//		"github.com/prometheus/client_golang/prometheus"
//
//		vigilprom "github.com/vigil-go/vigil/vigildebug/prometheus"
//	)
//
//	prometheus.MustRegister(vigilprom.NewCollector(nil)) // nil: the default registry
//
// Each metric in the documentation of vigildebug is exported as vigil_KIND_METRIC. The
// names of counters end with _total. The label "name" is the name under which the object
// is registered:
//
//	vigil_cache_hits_total{name="pages"} 3
//	vigil_map_oldest_wait_seconds{name="answers"} 12.5
//
// The hit rate of a cache is
//
//	rate(vigil_cache_hits_total[5m])
//	  / (rate(vigil_cache_hits_total[5m]) + rate(vigil_cache_misses_total[5m]))
//
// and the share of its misses that joined a load is
//
//	rate(vigil_cache_coalesced_total[5m]) / rate(vigil_cache_misses_total[5m])
//
// Keys are not exported. An object that cannot be read has no metrics in that scrape.
// Each scrape takes a vigildebug.Registry's Snapshot, so it adds a sample to the history
// on the page.
package vigilprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vigil-go/vigil/vigildebug"
)

// NewCollector returns a collector of the metrics of the objects that are registered with
// r. A nil r means the default registry. The collector may be used from any goroutine.
//
// The set of metrics changes when objects are registered and unregistered, so the
// collector is an unchecked one: it describes no metrics in advance, and a second
// collector of the same registry fails only when Prometheus gathers.
func NewCollector(r *vigildebug.Registry) prometheus.Collector {
	if r == nil {
		r = vigildebug.Default()
	}
	return collector{r}
}

type collector struct{ registry *vigildebug.Registry }

// Describe sends nothing, which makes the collector an unchecked one.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends all metrics of one snapshot.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, thing := range c.registry.Snapshot().Things {
		for _, m := range thing.Metrics {
			out <- prometheus.MustNewConstMetric(describe(thing.Kind, m), valueType(m), m.Value, thing.Name)
		}
	}
}

func describe(kind string, m vigildebug.Metric) *prometheus.Desc {
	metric := m.Name
	if m.Counter {
		metric += "_total"
	}
	return prometheus.NewDesc(prometheus.BuildFQName("vigil", kind, metric), m.Help, []string{"name"}, nil)
}

func valueType(m vigildebug.Metric) prometheus.ValueType {
	if m.Counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}
