package vigildebug

import (
	"fmt"
	"math"
	"regexp"
	"slices"
)

// Register registers an object of another package as [Map] registers a map. The kind is one
// word for what it is; it must not be a kind that this package has. describe is called for each
// [Snapshot], in another goroutine and with nothing locked. It must not block, and must describe the
// object by the same metrics in the same order each time. Register panics if describe is
// nil, or the kind is not lower-case letters, digits and underscores, after a letter.
func Register(kind, name string, describe func(d *Description), opts ...Option) (unregister func()) {
	if describe == nil {
		panic("vigildebug: nil function")
	}
	mustName("kind", kind)
	if slices.Contains(kinds, kind) {
		panic("vigildebug: the kind " + kind + " is taken")
	}
	return watch(kind, name, &describe, opts, func(describe *func(*Description), showKeys bool) reading {
		var d Description
		(*describe)(&d)
		return d.reading(showKeys)
	})
}

// A Description collects what is shown of an object: see [Register]. It must be used by one
// goroutine at a time, and not after describe has returned.
type Description struct {
	metrics Metrics
	facts   Facts
	charts  []chart
	waits   longest[Wait]
	leases  longest[Lease]
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func mustName(what, name string) {
	if !nameForm.MatchString(name) {
		panic(fmt.Sprintf("vigildebug: %q is no name for a %s", name, what))
	}
}

// Gauge adds a metric that rises and falls. help is one sentence that explains it. The
// name is as that of a kind, and ends with _seconds if value is a duration. Gauge panics if there
// is a metric of that name, or the value is not a number, or infinite.
func (d *Description) Gauge(name string, value float64, help string) {
	d.add(gauge(name, value, help))
}

// Counter is Gauge for a metric that only grows.
func (d *Description) Counter(name string, value float64, help string) {
	d.add(counter(name, value, help))
}

func (d *Description) add(m Metric) {
	mustName("metric", m.Name)
	if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
		panic(fmt.Sprintf("vigildebug: the metric %s is %v", m.Name, m.Value))
	}
	if d.metric(m.Name) >= 0 {
		panic("vigildebug: the metric " + m.Name + " is there twice")
	}
	d.metrics = append(d.metrics, m)
}

// metric returns the index of a metric, or -1.
func (d *Description) metric(name string) int {
	return slices.IndexFunc(d.metrics, func(m Metric) bool { return m.Name == name })
}

// Fact adds a short text, such as a version. It is shown as it is, up to 128 bytes. The
// name is as that of a kind.
func (d *Description) Fact(name, text string) {
	mustName("fact", name)
	d.facts = append(d.facts, Fact{name, show(text)})
}

// Plot adds a plot of metrics, which have been added: of a gauge the values, and of a counter how
// much it grew per second. It panics if there is no such metric.
func (d *Description) Plot(title string, metrics ...string) {
	c := chart{title: title}
	for _, name := range metrics {
		i := d.metric(name)
		switch {
		case i < 0:
			panic("vigildebug: a plot of the metric " + name + ", which is not there")
		case d.metrics[i].Counter:
			c.curves = append(c.curves, rate(name))
		default:
			c.curves = append(c.curves, level(name))
		}
	}
	d.charts = append(d.charts, c)
}

// Wait adds an awaited key. The key is shown as [ShowKeys] says, unless it is empty.
func (d *Description) Wait(w Wait) { d.waits.add(w, w.Waiters, w.Since) }

// Lease adds a lease. The key is shown as [ShowKeys] says, unless it is empty.
func (d *Description) Lease(l Lease) { d.leases.add(l, 0, l.Since) }

func (d *Description) reading(showKeys bool) reading {
	r := reading{metrics: d.metrics, facts: d.facts, charts: d.charts}
	present := func(key string) string {
		switch {
		case key == "": // there is none
			return ""
		case showKeys:
			return show(key)
		}
		return hide(key)
	}
	for _, row := range d.waits.rows {
		w := row.key
		w.In, w.Key, w.Since = valid(w.In), present(w.Key), presentable(w.Since)
		r.waits = append(r.waits, w)
	}
	for _, row := range d.leases.rows {
		l := row.key
		l.In, l.Key, l.Holder, l.Since = valid(l.In), present(l.Key), show(l.Holder), presentable(l.Since)
		r.leases = append(r.leases, l)
	}
	r.more, r.moreLeases = d.waits.keys-len(r.waits), d.leases.keys-len(r.leases)
	return r
}
