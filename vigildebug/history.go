package vigildebug

import (
	"slices"
	"time"
)

// The history of an object has at most so many samples, at least spacing apart.
const (
	samples = 300
	spacing = time.Second
)

type sample struct {
	at     time.Time
	values []float64 // in the order of the object's metrics
}

// past is the samples of an object, the oldest first.
type past []sample

// add keeps a sample, unless the last one is younger than spacing.
func (p *past) add(now time.Time, metrics Metrics) {
	if len(*p) > 0 && len((*p)[0].values) != len(metrics) { // an object of another package has others now
		*p = nil
	}
	if n := len(*p); n > 0 && now.Sub((*p)[n-1].at) < spacing {
		return
	}
	if len(*p) == samples {
		*p = slices.Delete(*p, 0, 1)
	}
	values := make([]float64, len(metrics))
	for i, m := range metrics {
		values[i] = m.Value
	}
	*p = append(*p, sample{now, values})
}

// history returns a copy of the samples, by metric.
func (p past) history(metrics Metrics) History {
	h := History{Times: make([]time.Time, len(p)), Values: make(map[string][]float64, len(metrics))}
	for i, s := range p {
		h.Times[i] = s.at
	}
	for i, m := range metrics {
		line := make([]float64, len(p))
		for j, s := range p {
			line[j] = s.values[i]
		}
		h.Values[m.Name] = line
	}
	return h
}
