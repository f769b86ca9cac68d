// Package vigilprom gives Prometheus what vigildebug sees.
//
//	prometheus.MustRegister(vigilprom.NewCollector(nil))
//
// Each metric of vigildebug's documentation becomes vigil_KIND_METRIC, with
// _total behind counters, and with the name under which the thing is registered
// as the label "name":
//
//	vigil_cache_hits_total{name="pages"} 3
//	vigil_map_oldest_wait_seconds{name="answers"} 12.5
//
// The hit rate of a cache is then
//
//	rate(vigil_cache_hits_total[5m])
//	  / (rate(vigil_cache_hits_total[5m]) + rate(vigil_cache_misses_total[5m]))
//
// and the share of its misses that were coalesced
//
//	rate(vigil_cache_coalesced_total[5m]) / rate(vigil_cache_misses_total[5m])
//
// No key is ever in a label. A scrape reads everything that is registered, so it
// is also a sample for the history on vigildebug's page.
package vigilprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vigil-go/vigil/vigildebug"
)

// NewCollector returns a collector of what is registered with r; nil stands for
// the default registry. It may be used from any goroutine.
//
// What there is to collect changes as things come and go. So the collector
// describes nothing in advance, and Prometheus does not notice when it is
// registered twice, until it gathers.
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
