package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
)

// sampling is the time between two samples, and window how many of them a rate is about.
const (
	sampling = 250 * time.Millisecond
	window   = 4
)

// sample notes what the workers have done.
func (d *demo) sample() {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := sample{at: time.Now()}
	for _, m := range d.workers {
		s.reports = append(s.reports, m.report)
		s.dead = append(s.dead, m.state == killed)
	}
	d.samples = append(d.samples, s)
}

// A pace is what a worker does in a second.
type pace struct{ requests, hits, shared, loads float64 }

// paceOf returns that of a worker up to the i-th sample. d.mu is held.
func (d *demo) paceOf(worker, i int) (p pace) {
	if i < 1 {
		return p
	}
	before, now := d.samples[max(0, i-window)], d.samples[i]
	a, b, took := before.reports[worker], now.reports[worker], now.at.Sub(before.at).Seconds()
	p.requests = float64(b.Requests-a.Requests) / took
	p.hits = float64(b.Hits-a.Hits) / took
	p.loads = float64(b.Loads-a.Loads) / took
	p.shared = max(0, p.requests-p.hits-p.loads)
	return p
}

// table shows all workers, 80 columns wide.
func (d *demo) table() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n", d.progress(), d.serversLine())
	fmt.Fprintf(&b, "%-10s %10s %6s %8s %8s %8s %6s  %s\n", "", "requests/s", "hits", "shared/s", "loads/s", "waiting", "lag", "state")
	var all pace
	waiting := 0
	for i, m := range d.workers {
		if m.state == killed {
			fmt.Fprintf(&b, "%-10s %10s %6s %8s %8s %8s %6s  %s\n", m.process.Name, "-", "-", "-", "-", "-", "-", killed)
			continue
		}
		p := d.paceOf(i, len(d.samples)-1)
		all = pace{all.requests + p.requests, all.hits + p.hits, all.shared + p.shared, all.loads + p.loads}
		waiting += m.report.Waiting
		fmt.Fprintf(&b, "%-10s %s %8d %6s  %s\n", m.process.Name, p, m.report.Waiting, m.lag(), m.condition())
	}
	fmt.Fprintf(&b, "%-10s %s %8d\n\n", "all", all, waiting)
	return b.String()
}

func (p pace) String() string {
	return fmt.Sprintf("%10.0f %6s %8.0f %8.0f", p.requests, percent(p.hits, p.requests), p.shared, p.loads)
}

func percent(part, all float64) string {
	if all == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*min(1, part/all))
}

// lag is by how many revisions the worker is behind the bucket.
func (m *machine) lag() string {
	if !m.report.Reachable {
		return "?"
	}
	return fmt.Sprint(m.report.Lag)
}

// condition says what was done to the worker, and whether a server answers it.
func (m *machine) condition() string {
	switch {
	case m.report.Final:
		return "done"
	case m.state != "":
		return m.state
	case !m.report.Reachable && m.report.Requests > 0:
		return "no answer"
	}
	return "up"
}

func (d *demo) progress() string {
	passed := time.Since(d.start)
	return fmt.Sprintf("%s %4.1fs of %v", cli.Bar(float64(passed)/float64(d.c.Duration), 20), passed.Seconds(), d.c.Duration)
}

func (d *demo) serversLine() string {
	leader := "none leads the bucket"
	if d.leader != "" {
		leader = d.leader + " leads the bucket"
	}
	return fmt.Sprintf("%d of %d servers, %s", d.c.Servers-d.killed, d.c.Servers, leader)
}

// line shows in a line what table does.
func (d *demo) line() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all pace
	var states []string
	for i, m := range d.workers {
		p := d.paceOf(i, len(d.samples)-1)
		all = pace{all.requests + p.requests, all.hits + p.hits, all.shared + p.shared, all.loads + p.loads}
		state := m.condition()
		if state != killed {
			state = fmt.Sprintf("%s, lag %s", state, m.lag())
		}
		states = append(states, m.process.Name+" "+state)
	}
	return fmt.Sprintf("%5.1fs  %5.0f requests/s, %s hits, %.0f shared/s, %.0f loads/s; %s\n", time.Since(d.start).Seconds(),
		all.requests, percent(all.hits, all.requests), all.shared, all.loads, strings.Join(states, "; "))
}

// news returns a line for each event but the first ones.
func (d *demo) news(told int) (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events[told:] {
		lines = append(lines, fmt.Sprintf("%5.1fs  %s\n", e.at.Sub(d.start).Seconds(), e.text))
	}
	return lines
}

// totals says what came out of it.
func (d *demo) totals() string {
	loads, keys := d.ledger.count()
	wrong := d.ledger.duplicates()
	took, ok := d.takeover()
	d.mu.Lock()
	defer d.mu.Unlock()
	var r report
	for _, m := range d.workers {
		r.Requests += m.report.Requests
		r.Hits += m.report.Hits
		r.Failed += m.report.Failed
	}
	var b strings.Builder
	row := func(what, format string, a ...any) { fmt.Fprintf(&b, "%-14s %s\n", what, fmt.Sprintf(format, a...)) }
	b.WriteString("\n")
	row("requests", "%d: %s found a valid page, %s shared a load", r.Requests, percent(float64(r.Hits), float64(r.Requests)),
		percent(float64(r.Requests-r.Hits-loads), float64(r.Requests)))
	row("loads", "%d of %d keys", loads, keys)
	row("duplicates", "%d (loads that ran twice under one fence, or while the page of another was valid)", len(wrong))
	row("failed", "%d requests", r.Failed)
	for i, m := range d.workers {
		what := ""
		if i == 0 {
			what = "longest wait"
		}
		row(what, "%v of a request to %s%s", round(m.report.Longest), m.process.Name, d.fate(m))
	}
	if ok {
		row("takeover", "%v from the kill of a worker until another one loaded its key", round(took))
	}
	return b.String()
}

// fate says what has happened to a worker.
func (d *demo) fate(m *machine) string {
	switch m.state {
	case killed:
		return ", until it was killed"
	case cutOff, back:
		return ", which was cut off"
	}
	return ""
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
