package main

import (
	"fmt"
	"strings"
	"time"
)

// table shows all results, 80 columns wide.
func table(sections []*section) string {
	var b strings.Builder
	const label, half, gap = "%-22s", " %7s %5s %6s %6s", " "
	fmt.Fprintf(&b, label+"%28s"+gap+"%28s\n", "", workloadNames[pingPong], workloadNames[fanOut])
	fmt.Fprintf(&b, label+half+gap+half+"\n", "", "wakes/s", "calls", "p50", "p99", "wakes/s", "calls", "p50", "p99")
	var last *section
	eachPath(sections, func(s *section, p path) {
		if s != last {
			fmt.Fprintf(&b, "doorbell: %s\n", s.doorbell)
			last = s
		}
		var cells [workloads]string
		for w, r := range s.results[p] {
			cells[w] = fmt.Sprintf(half, rate(r), calls(r, p), latency(r, .50), latency(r, .99))
		}
		fmt.Fprintf(&b, label+"%s"+gap+"%s\n", pathNames[p], cells[pingPong], cells[fanOut])
	})
	return b.String()
}

// legend says what the columns mean.
func legend(sections []*section) string {
	s := "\np50, p99: the time from before the call that wakes until the woken runs.\n"
	if len(sections) > 1 {
		s += "calls: system calls by the loops, and to wake them, for each wake.\n"
	}
	return s
}

func rate(r *result) string {
	if r.wakes.Count() == 0 {
		return "-"
	}
	return digits(r.perSecond())
}

// digits shows a large number with three digits.
func digits(x float64) string {
	for _, unit := range []string{"", "k", "M"} {
		if x < 999.5 {
			return three(x) + unit
		}
		x /= 1000
	}
	return three(x) + "G"
}

// calls shows a number of system calls, where there are loops to make any.
func calls(r *result, p path) string {
	if p == goToGo || r.wakes.Count() == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", r.perWake())
}

func latency(r *result, q float64) string {
	if r.wakes.Count() == 0 {
		return "-"
	}
	return duration(r.wakes.Quantile(q))
}

// duration shows d with three digits or so.
func duration(d time.Duration) string {
	x := float64(d)
	for _, unit := range []string{"ns", "µs", "ms"} {
		if x < 999.5 {
			return three(x) + unit
		}
		x /= 1000
	}
	return three(x) + "s"
}

func three(x float64) string {
	switch {
	case x == float64(int(x)) || x >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
