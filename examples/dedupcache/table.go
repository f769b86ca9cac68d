package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/vigil-go/vigil/examples/internal/histogram"
)

// An outcome is a column of the table.
type outcome struct {
	name                     string
	took                     time.Duration
	requests, errors         uint64
	hits, stale, renewed     uint64 // stale and renewed are among the hits
	joined, led              uint64
	passed, asked            uint64
	atOnce                   int64 // the most fetches of one page at the same time
	p50, p90, p99, max, peak int64 // durations, and the most requests that waited at once
}

func newOutcome(name string, f *front, latency *histogram.Shared, took time.Duration) *outcome {
	s := f.Stats()
	return &outcome{
		name: name, took: took,
		requests: s.Requests, errors: s.Failed,
		hits: s.Hits + s.Stale + s.Revalidated, stale: s.Stale, renewed: s.Revalidated, joined: s.Coalesced,
		led: s.Fetched, passed: s.Passed, peak: s.Waited,
		p50: int64(latency.Quantile(.50)), p90: int64(latency.Quantile(.90)),
		p99: int64(latency.Quantile(.99)), max: int64(latency.Quantile(1)),
	}
}

func (o *outcome) perSecond() float64 { return float64(o.requests) / o.took.Seconds() }

// A row says how to show one number of an outcome, and when the ratio of two
// of them means something.
type row struct {
	label   string
	value   func(*outcome) float64
	show    func(float64) string
	compare float64 // the size from which on their ratio means something
}

// These say never: such a row is shown always, or if it is not zero throughout.
const always = math.MaxFloat64

var never = math.Inf(1)

var rows = []row{
	{"requests", func(o *outcome) float64 { return float64(o.requests) }, count, never},
	{"  cache hits", func(o *outcome) float64 { return float64(o.hits) }, count, always},
	{"    stale", func(o *outcome) float64 { return float64(o.stale) }, count, always},
	{"    revalidated", func(o *outcome) float64 { return float64(o.renewed) }, count, never},
	{"  coalesced", func(o *outcome) float64 { return float64(o.joined) }, count, always},
	{"  fetched", func(o *outcome) float64 { return float64(o.led) }, count, never},
	{"  passed through", func(o *outcome) float64 { return float64(o.passed) }, count, never},
	{"errors", func(o *outcome) float64 { return float64(o.errors) }, count, always},
	{"origin requests", func(o *outcome) float64 { return float64(o.asked) }, count, 1},
	{"  per second", func(o *outcome) float64 { return float64(o.asked) / o.took.Seconds() }, count, 1},
	{"  at once for a page", func(o *outcome) float64 { return float64(o.atOnce) }, count, 1},
	{"most waiters", func(o *outcome) float64 { return float64(o.peak) }, count, 1},
	{"latency p50", func(o *outcome) float64 { return float64(o.p50) }, latency, 1e6},
	{"latency p90", func(o *outcome) float64 { return float64(o.p90) }, latency, 1e6},
	{"latency p99", func(o *outcome) float64 { return float64(o.p99) }, latency, 1e6},
	{"latency max", func(o *outcome) float64 { return float64(o.max) }, latency, 1e6},
	{"requests per second", (*outcome).perSecond, count, 1},
}

// table shows outcomes side by side; two of them are compared. A row that is
// zero throughout is left out, but for some.
func table(columns ...*outcome) string {
	var b strings.Builder
	line := func(label string, cells []string, note string) {
		fmt.Fprintf(&b, "%-20s", label)
		for i, cell := range cells {
			fmt.Fprintf(&b, "  %*s", max(10, len(columns[i].name)), cell)
		}
		b.WriteString(strings.TrimRight("   "+note, " ") + "\n")
	}
	if len(columns) > 1 {
		line("", each(columns, func(o *outcome) string { return o.name }), "")
	}
	for _, r := range rows {
		if note, ok := r.note(columns); ok {
			line(r.label, each(columns, func(o *outcome) string { return r.show(r.value(o)) }), note)
		}
	}
	return b.String()
}

// note compares two columns; ok is false if the row has nothing to say.
func (r row) note(columns []*outcome) (note string, ok bool) {
	ok, most := r.compare == always, 0.0
	for _, o := range columns {
		ok, most = ok || r.value(o) != 0, max(most, r.value(o))
	}
	if most < r.compare || len(columns) != 2 {
		return "", ok
	}
	return ratio(r.value(columns[0]), r.value(columns[1])), ok
}

// ratio says in words how b compares to a.
func ratio(a, b float64) string {
	switch {
	case a <= 0 || b <= 0:
		return ""
	case a/b > 1.05:
		return times(a/b) + " less"
	case b/a > 1.05:
		return times(b/a) + " more"
	}
	return "the same"
}

func times(x float64) string {
	if x < 10 {
		return fmt.Sprintf("%4.1fx", x)
	}
	return fmt.Sprintf("%4.0fx", x)
}

// conclusion puts the table into a sentence.
func conclusion(without, with *outcome) string {
	s := fmt.Sprintf("With coalescing the origin was asked %s times instead of %s:\n"+
		"%s requests waited for a fetch that another request had started, and at most\n"+
		"%s at a time went to the origin for one page, instead of %s.\n"+
		"99%% of the requests were answered within %s instead of %s.\n",
		count(float64(with.asked)), count(float64(without.asked)), count(float64(with.joined)),
		count(float64(with.atOnce)), count(float64(without.atOnce)),
		latency(float64(with.p99)), latency(float64(without.p99)))
	if with.requests != without.requests {
		s += "The run with coalescing was cut off before it had made all of the requests:\n" +
			"give it fewer -clients.\n"
	}
	return s
}

func each(columns []*outcome, cell func(*outcome) string) []string {
	cells := make([]string, len(columns))
	for i, o := range columns {
		cells[i] = cell(o)
	}
	return cells
}

// count shows a number with its thousands apart.
func count(x float64) string {
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// latency shows a duration in milliseconds, with three digits or so.
func latency(ns float64) string {
	ms := ns / 1e6
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return count(ms) + " ms"
}
